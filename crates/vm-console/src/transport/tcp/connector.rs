//! Connecting out to one address, again and again.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::event::epoll::{CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::io::Errno;
use rustix::net::sockopt;

use super::{PEER_LIMIT, connected, give_up_after, socket_for};
use crate::timer::Timer;
use crate::transport::accept::{Accepted, Accepts, Came, Release, Unreachable};

/// Connects out to one address, and serves whoever answers there as a client.
///
/// If nobody answers, or when that client's session is over, it tries again after
/// [a pause](Self::retry_after), for as long as the console is served. So either side may be
/// started first, and be restarted. There is at most one connection at a time.
///
/// The peer attaches as any raw client: while somebody else holds the console it is told so, and
/// let go until the next try. Each session begins with a replay.
///
/// ```
/// use std::time::Duration;
/// use vm_console::transport::{Listener, tcp::TcpConnector};
///
/// let connector = TcpConnector::new("127.0.0.1:4555".parse()?)?;
/// let listener = Listener::connecting(connector.retry_after(Duration::from_secs(5)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TcpConnector {
    address: SocketAddr,
    pause: Duration,
    peer_limit: Duration,
    state: State,
    /// Whether the last try has failed.
    has_failed: bool,
    timer: Timer,
    /// Readable if the timer has run out, or the socket has an answer. One descriptor for both, so
    /// that the service has the same one to watch in every state.
    either: OwnedFd,
}

#[derive(Debug)]
enum State {
    /// It is time for a try.
    Due,
    /// Waits for the timer.
    Pausing,
    /// Waits for an answer.
    Connecting(OwnedFd),
    /// The peer is served.
    Served,
}

impl TcpConnector {
    /// The pause before another try, unless a different one is set: one second.
    pub const RETRY: Duration = Duration::from_secs(1);

    /// Connects to `address` as soon as the console is served.
    ///
    /// # Errors
    /// No descriptor is left. It needs two, and one more while there is a connection.
    pub fn new(address: SocketAddr) -> io::Result<Self> {
        let timer = Timer::new()?;
        let either = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&either, &timer, EventData::new_u64(0), EventFlags::IN)?;
        Ok(Self {
            address,
            pause: Self::RETRY,
            peer_limit: PEER_LIMIT,
            state: State::Due,
            has_failed: false,
            timer,
            either,
        })
    }

    /// The address to which it connects.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Pauses for so long before another try, at least a millisecond, instead of
    /// [`RETRY`](Self::RETRY).
    #[must_use]
    pub fn retry_after(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Gives up a vanished peer after this time, from one second to twelve hours, instead of
    /// [`PEER_LIMIT`]. A try to connect that nobody answers ends after the same time.
    #[must_use]
    pub fn peer_limit(mut self, limit: Duration) -> Self {
        self.peer_limit = limit;
        self
    }
}

impl TcpConnector {
    /// Begins to connect.
    fn begin(&mut self) -> Came {
        let socket = match socket_for(self.address) {
            Ok(socket) => socket,
            Err(error) => return Came::Exhausted(error.into()),
        };
        let begun = give_up_after(&socket, self.peer_limit)
            .and_then(|()| rustix::net::connect(&socket, &self.address));
        match begun {
            Ok(()) => self.answered(socket),
            Err(Errno::INPROGRESS | Errno::INTR) => {
                let answer = EventFlags::OUT;
                match epoll::add(&self.either, &socket, EventData::new_u64(0), answer) {
                    Ok(()) => {
                        self.state = State::Connecting(socket);
                        Came::Nobody
                    }
                    Err(error) => Came::Exhausted(error.into()),
                }
            }
            Err(error) => self.failed(error),
        }
    }

    /// The socket is connected, or never will be.
    fn answered(&mut self, socket: OwnedFd) -> Came {
        match accepted(socket, self.peer_limit) {
            Ok(client) => {
                self.state = State::Served;
                self.has_failed = false;
                Came::Client(client)
            }
            Err(error) => self.failed(error),
        }
    }

    fn failed(&mut self, error: Errno) -> Came {
        let error = Unreachable {
            address: self.address,
            error: error.into(),
            is_first: !std::mem::replace(&mut self.has_failed, true),
        };
        match self.pause() {
            Ok(()) => Came::Unreachable(error),
            Err(error) => Came::Exhausted(error),
        }
    }

    fn pause(&mut self) -> io::Result<()> {
        self.state = State::Due;
        self.timer
            .set(Some(self.pause.max(Duration::from_millis(1))))?;
        self.state = State::Pausing;
        Ok(())
    }
}

impl Accepts for TcpConnector {
    fn descriptor(&self) -> Option<RawFd> {
        Some(self.either.as_raw_fd())
    }

    fn accept(&mut self) -> Came {
        match std::mem::replace(&mut self.state, State::Due) {
            State::Due => self.begin(),
            State::Pausing if is_ready(&self.timer, PollFlags::IN) => {
                self.timer.clear();
                self.begin()
            }
            State::Connecting(socket) if is_ready(&socket, PollFlags::OUT) => {
                // It would be told of for as long as it lives.
                let _ = epoll::delete(&self.either, &socket);
                self.answered(socket)
            }
            waiting => {
                self.state = waiting;
                Came::Nobody
            }
        }
    }

    fn closes_at_shut_down(&self) -> bool {
        true
    }

    fn release(&mut self, _how: Release) -> io::Result<()> {
        self.pause()
    }
}

/// The client on a socket that has its answer, or the error that this is.
fn accepted(socket: OwnedFd, peer_limit: Duration) -> Result<Accepted, Errno> {
    sockopt::socket_error(&socket)??;
    // While nobody listens on a port of this host, the kernel may choose the same one for this end,
    // and connect the socket to itself.
    if rustix::net::getsockname(&socket).ok() == rustix::net::getpeername(&socket)? {
        return Err(Errno::CONNREFUSED);
    }
    Ok(Accepted {
        exclusive: true,
        ..connected(socket, peer_limit)?
    })
}

/// Whether a descriptor is ready for this, or has an error.
fn is_ready(descriptor: impl AsFd, what: PollFlags) -> bool {
    let mut asked = [PollFd::new(&descriptor, what)];
    let at_once = Timespec::default();
    poll(&mut asked, Some(&at_once)).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::transport::accept::Unreachable;

    /// Asks until there is an answer: each try has one at once on the loopback interface.
    fn answer(connector: &mut TcpConnector) -> Came {
        let patience = Timespec {
            tv_sec: 20,
            tv_nsec: 0,
        };
        loop {
            match connector.accept() {
                Came::Nobody => {
                    let mut either = [PollFd::new(&connector.either, PollFlags::IN)];
                    assert_eq!(poll(&mut either, Some(&patience)), Ok(1));
                }
                came => return came,
            }
        }
    }

    #[test]
    fn the_first_failure_after_a_success_is_told_from_those_that_follow() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connector = TcpConnector::new(address).unwrap();
        let mut connector = connector.retry_after(Duration::ZERO);
        assert!(matches!(answer(&mut connector), Came::Client(_)));
        drop(listener);
        connector.release(Release::Left).unwrap();
        for wanted in [true, false, false] {
            let Came::Unreachable(Unreachable { is_first, .. }) = answer(&mut connector) else {
                panic!("nobody listens there");
            };
            assert_eq!(is_first, wanted);
        }
    }

    #[test]
    fn a_try_without_an_answer_is_waited_for() {
        let socket = socket_for(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        rustix::net::listen(&socket, 0).unwrap();
        let address = rustix::net::getsockname(&socket).unwrap();
        let address = SocketAddr::try_from(address).unwrap();
        // The kernel answers no more than it has room for.
        let mut connectors: Vec<_> = (0..4)
            .map(|_| TcpConnector::new(address).unwrap())
            .collect();
        for connector in &mut connectors {
            connector.accept();
        }
        let last = &mut connectors[3];
        for _ in 0..3 {
            assert!(matches!(last.accept(), Came::Nobody));
        }
    }
}
