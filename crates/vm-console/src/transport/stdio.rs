//! Clients that the owner attaches: its own terminal, a pair of files, or a socket.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::Transport;
use super::identity::{Credentials, Identity};
use super::shared_socket::SharedSocket;
use super::socket::{Socket, is_unix_stream};
use super::stream::{Files, Stream};
use crate::escape::Escape;
use crate::log::Start;
use crate::lone_newline::LoneNewlines;

pub use super::terminal::{Terminal, TerminalRestorer};

/// Descriptors to be served as a raw client, and how; see
/// [`ConsoleHandle::attach`](crate::service::ConsoleHandle::attach).
///
/// Unless told otherwise it attaches without force, as a holder and not an observer, has no
/// escapes, and is shown the console's default [`replay`](crate::ConsoleConfig::replay). Its
/// identity has no name, and the user, group and process of this process.
#[derive(Debug)]
pub struct FdClient {
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) identity: Identity,
    pub(crate) escape: Option<Escape>,
    pub(crate) force: bool,
    pub(crate) read_only: bool,
    pub(crate) replay: Option<Start>,
    pub(crate) has_limits: bool,
    pub(crate) newlines: Option<LoneNewlines>,
}

impl FdClient {
    /// A client on this process's standard input and output. For a terminal, make it
    /// [raw](super::terminal::Terminal::raw) first.
    ///
    /// # Errors
    /// As [`from_files`](Self::from_files).
    pub fn stdio() -> io::Result<Self> {
        Self::from_files(rustix::stdio::stdin(), rustix::stdio::stdout())
    }

    /// A client on two files: typed input is read from `input`, and the guest's output is written
    /// to `output`. The client gets descriptors of its own for both.
    ///
    /// The end of the input does not end the session. All that was typed goes to the guest, and
    /// output goes on until its reader is gone; since nothing more can be typed, the next client
    /// gets the console without force.
    ///
    /// Terminals and pipes are opened anew where the system allows it. Otherwise other processes
    /// that share them would see them become non-blocking, and a shell misbehaves on a terminal
    /// that was left so. Regular files, and files that cannot be opened anew, are duplicated and
    /// made non-blocking.
    ///
    /// These are the owner's own, so its session has no limits unless it is
    /// [asked for](Self::with_limits) them.
    ///
    /// # Errors
    /// A descriptor is not open, or no descriptor is left.
    pub fn from_files(input: impl AsFd, output: impl AsFd) -> io::Result<Self> {
        let input = own_description(input.as_fd(), OFlags::RDONLY)?;
        let output = own_description(output.as_fd(), OFlags::WRONLY)?;
        Ok(Self::of(
            Box::new(Files { input, output }),
            Transport::Stdio,
        ))
    }

    /// A client on a connected stream socket, unix or TCP. It may be blocking: the service asks for
    /// each read and write not to wait.
    ///
    /// A TCP client that closes its sending side ends its session, because nothing else shows that
    /// it is gone; a unix client goes on watching. Set no linger time (`SO_LINGER`) on a TCP
    /// socket: the service's thread closes it, and would wait.
    #[must_use]
    pub fn from_socket(socket: OwnedFd) -> Self {
        let stream: Box<dyn Stream> = if is_unix_stream(&socket) {
            Box::new(SharedSocket::new(socket, None))
        } else {
            Box::new(Socket::new(socket, None))
        };
        Self::of(stream, Transport::Passed)
    }

    fn of(stream: Box<dyn Stream>, transport: Transport) -> Self {
        let credentials = Credentials {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            pid: std::process::id(),
        };
        let identity = Identity::new(transport, "").with_credentials(credentials);
        Self {
            stream,
            identity,
            escape: None,
            force: false,
            read_only: false,
            replay: None,
            has_limits: transport == Transport::Passed,
            newlines: None,
        }
    }

    /// Sets the identity that others and audit see, and that the
    /// [`Authorizer`](crate::session::Authorizer) is asked about, in place of this process's.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = identity;
        self
    }

    /// Lets the client use the [escapes](crate::escape): `Enter ~ .` leaves, `Enter ~ B` sends
    /// BREAK, `Enter ~ ?` shows them.
    #[must_use]
    pub fn with_escapes(mut self) -> Self {
        self.escape = Some(Escape::default());
        self
    }

    /// Takes the console from its holder, if there is one.
    #[must_use]
    pub fn forcing(mut self) -> Self {
        self.force = true;
        self
    }

    /// Ends its session at the console's [limits](crate::session::SessionPolicy), as that of a
    /// client on a socket in any case.
    #[must_use]
    pub fn with_limits(mut self) -> Self {
        self.has_limits = true;
        self
    }

    /// Attaches as an observer: its input is dropped.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Types a carriage return for each newline that follows none, for guests that take only that
    /// for Enter (Windows SAC).
    #[must_use]
    pub fn newline_as_return(mut self) -> Self {
        self.newlines = Some(LoneNewlines::default());
        self
    }

    /// Begins the replay at this place, in place of the console's default.
    #[must_use]
    pub fn replay(mut self, replay: Start) -> Self {
        self.replay = Some(replay);
        self
    }
}

/// A non-blocking descriptor of the file of `fd`, with file status flags of its own where possible.
fn own_description(fd: impl AsFd, access: OFlags) -> io::Result<OwnedFd> {
    let fd = fd.as_fd();
    let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode);
    // A regular file opened anew would start at its beginning. It never blocks for long anyway.
    if kind != rustix::fs::FileType::RegularFile {
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let flags = access | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(own) => return Ok(own),
            // A socket cannot be opened, and another user's terminal may be forbidden.
            Err(Errno::NXIO | Errno::ACCESS | Errno::NOENT | Errno::IO) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let shared = rustix::io::fcntl_dupfd_cloexec(fd, 3)?;
    let flags = rustix::fs::fcntl_getfl(&shared)?;
    rustix::fs::fcntl_setfl(&shared, flags | OFlags::NONBLOCK)?;
    Ok(shared)
}
