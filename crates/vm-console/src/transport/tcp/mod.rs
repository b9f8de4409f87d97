//! TCP, without any protection: listening, and connecting out.
//!
//! Off unless an address is given. **Nothing is authenticated and nothing is encrypted.** Whoever
//! reaches the address has the console: all that the guest prints, and its keyboard. Give an
//! address that only trusted hosts and users reach, and mind that a loopback address is open to
//! every local user. A unix socket, forwarded by SSH, needs no such trust.
//!
//! Clients are raw, as on a [unix socket](super::unix), with these differences:
//!
//! - A client is known by its [address](super::identity::Identity::address). An
//!   [`Authorizer`](crate::session::Authorizer) may decide by that; there are no credentials.
//! - A client that closes its sending side ends its session, because nothing else shows that it is
//!   gone. So let `nc` read its input from a terminal, or keep it open.
//! - A peer that has vanished without a word (its host lost power or its network) ends its session
//!   after [`PEER_LIMIT`], or another [limit](TcpSocket::peer_limit). A quiet peer is asked
//!   (keepalive) whether it is there. One that does not acknowledge output, or takes none, is given
//!   up after the same time (`TCP_USER_TIMEOUT`), also if it lives and is only stopped.
//!
//! Bytes are sent at once (`TCP_NODELAY`). Nothing here waits: a close leaves unsent bytes to the
//! kernel (no `SO_LINGER`), and addresses are numbers, since looking up names would wait.

mod connector;

use std::ffi::OsString;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};

use super::Transport;
use super::accept::{Accepted, Accepts, Came, Release};
use super::kept::KeptSocket;
use super::listening::accept;
use super::socket::Socket;
use super::unix::BindError;

pub use self::connector::TcpConnector;

/// After so long a peer that has vanished is given up, unless another limit is set: two minutes.
pub const PEER_LIMIT: Duration = Duration::from_secs(120);

/// Most connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// A listening TCP socket. Dropping it closes it, unless the owner [keeps](Self::keep) it.
///
/// ```
/// use vm_console::transport::{Listener, tcp::TcpSocket};
///
/// let socket = TcpSocket::bind("127.0.0.1:0".parse()?)?;
/// println!("socat -,raw,echo=0 TCP:{}", socket.address());
/// let listener = Listener::tcp(socket);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TcpSocket {
    socket: OwnedFd,
    address: SocketAddr,
    peer_limit: Duration,
}

impl TcpSocket {
    /// Listens at `address`. Port 0 stands for a free one; [`address`](Self::address) tells which.
    ///
    /// An address whose last connections have not timed out yet is taken all the same
    /// (`SO_REUSEADDR`), so a VMM can be restarted at once.
    ///
    /// # Errors
    /// By its [kind](BindError::kind): `AddrInUse` if another program listens there,
    /// `AddrNotAvailable` if it is no address of this host, `PermissionDenied` for a low port.
    /// Otherwise the system's error, with the step that failed.
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let shown = OsString::from(address.to_string());
        let error = |what| {
            let shown = &shown;
            move |source: Errno| BindError::socket(shown, what, source)
        };
        let socket = socket_for(address).map_err(error("cannot make a socket"))?;
        sockopt::set_socket_reuseaddr(&socket, true).map_err(error("cannot set SO_REUSEADDR"))?;
        rustix::net::bind(&socket, &address).map_err(error("cannot bind"))?;
        rustix::net::listen(&socket, BACKLOG).map_err(error("cannot listen"))?;
        Self::of(socket).map_err(error("cannot tell its address"))
    }

    fn of(socket: OwnedFd) -> Result<Self, Errno> {
        let address = rustix::net::getsockname(&socket)?;
        Ok(Self {
            socket,
            address: address.try_into()?,
            peer_limit: PEER_LIMIT,
        })
    }

    /// Takes over a listening socket that was made elsewhere, such as by a service manager, and
    /// makes it non-blocking.
    ///
    /// # Errors
    /// The descriptor is no TCP socket.
    pub fn adopt(socket: OwnedFd) -> io::Result<Self> {
        // Accepting must not wait if the client has left meanwhile.
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self::of(socket)?)
    }

    /// A hold on the socket for the owner, who gives this to a service: the socket goes on
    /// listening when the service has let go of it. See [`transport`](super#over-a-restart).
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn keep(&self) -> io::Result<KeptSocket> {
        Ok(KeptSocket::new(self.socket.try_clone()?, None))
    }

    /// The address at which it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives up a vanished peer after this time, from one second to twelve hours, instead of
    /// [`PEER_LIMIT`].
    #[must_use]
    pub fn peer_limit(mut self, limit: Duration) -> Self {
        self.peer_limit = limit;
        self
    }
}

impl TryFrom<TcpListener> for TcpSocket {
    type Error = io::Error;

    /// As [`adopt`](TcpSocket::adopt).
    fn try_from(listener: TcpListener) -> io::Result<Self> {
        Self::adopt(OwnedFd::from(listener))
    }
}

impl Accepts for TcpSocket {
    fn descriptor(&self) -> Option<RawFd> {
        Some(self.socket.as_raw_fd())
    }

    fn accept(&mut self) -> Came {
        let lost = |error| is_of_connection(error).then_some(Came::Lost);
        let connection = match accept(&self.socket, lost) {
            Ok(connection) => connection,
            Err(came) => return came,
        };
        match connected(connection, self.peer_limit) {
            Ok(client) => Came::Client(client),
            Err(_) => Came::Lost,
        }
    }

    fn closes_at_shut_down(&self) -> bool {
        true
    }

    fn release(&mut self, _how: Release) -> io::Result<()> {
        Ok(())
    }
}

/// Whether an error of accept is the connection's, which is gone then, and not the listener's: those
/// that accept(2) names of TCP.
fn is_of_connection(error: Errno) -> bool {
    matches!(
        error,
        Errno::NETDOWN
            | Errno::PROTO
            | Errno::NOPROTOOPT
            | Errno::HOSTDOWN
            | Errno::NONET
            | Errno::HOSTUNREACH
            | Errno::OPNOTSUPP
            | Errno::NETUNREACH
            | Errno::TIMEDOUT
    )
}

fn socket_for(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))
}

/// A client on a connected socket. Fails if its peer is gone.
fn connected(connection: OwnedFd, peer_limit: Duration) -> Result<Accepted, Errno> {
    let address = rustix::net::getpeername(&connection)?.ok_or(Errno::NOTCONN)?;
    sockopt::set_tcp_nodelay(&connection, true)?;
    // An adopted listener may hand a linger time on, and then closing would wait.
    sockopt::set_socket_linger(&connection, None)?;
    give_up_after(&connection, peer_limit)?;
    Ok(Accepted {
        stream: Box::new(Socket::new(connection, None)),
        transport: Transport::Tcp,
        credentials: None,
        address: Some(address.try_into()?),
        admitted: true,
        exclusive: false,
        settles: Duration::ZERO,
    })
}

/// Has the kernel report an error after `limit` without a sign of the peer: while bytes wait for it
/// and while none do.
fn give_up_after(connection: impl AsFd, limit: Duration) -> Result<(), Errno> {
    let connection = connection.as_fd();
    let limit = limit.clamp(Duration::from_secs(1), Duration::from_secs(43_200));
    // With a user timeout, that ends the asking in place of a count of questions.
    sockopt::set_tcp_user_timeout(connection, limit.as_millis() as u32)?;
    let second = Duration::from_secs(1);
    sockopt::set_tcp_keepidle(connection, (limit / 2).max(second))?;
    sockopt::set_tcp_keepintvl(connection, (limit / 8).max(second))?;
    sockopt::set_socket_keepalive(connection, true)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_quiet_peer_is_asked_and_one_that_takes_nothing_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (ours, _) = listener.accept().unwrap();
        sockopt::set_socket_linger(&ours, Some(PEER_LIMIT)).unwrap();
        let asked = ours.try_clone().unwrap();
        let client = connected(ours.into(), Duration::from_secs(40)).unwrap();
        assert_eq!(client.address, Some(peer.local_addr().unwrap()));
        assert_eq!(sockopt::tcp_nodelay(&asked), Ok(true));
        assert_eq!(sockopt::socket_linger(&asked), Ok(None));
        assert_eq!(sockopt::socket_keepalive(&asked), Ok(true));
        assert_eq!(sockopt::tcp_user_timeout(&asked), Ok(40_000));
        assert_eq!(sockopt::tcp_keepidle(&asked), Ok(Duration::from_secs(20)));
        assert_eq!(sockopt::tcp_keepintvl(&asked), Ok(Duration::from_secs(5)));
        give_up_after(&asked, Duration::ZERO).unwrap();
        assert_eq!(sockopt::tcp_keepidle(&asked), Ok(Duration::from_secs(1)));
        give_up_after(&asked, Duration::MAX).unwrap();
        assert_eq!(sockopt::tcp_user_timeout(&asked), Ok(43_200_000));
    }

    #[test]
    fn a_connection_that_is_gone_is_told_from_a_want_of_descriptors() {
        assert!(is_of_connection(Errno::HOSTUNREACH));
        assert!(!is_of_connection(Errno::MFILE));
    }
}
