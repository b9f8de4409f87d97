//! Until when something is waited for.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::error::ClientError;

/// From one look to the next whether a service has room for a connection: nothing tells.
const LOOK: Duration = Duration::from_millis(5);

#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    limit: Duration,
    /// `None`: so far away that it is never.
    at: Option<Instant>,
}

impl Deadline {
    /// So far from now.
    pub(super) fn after(limit: Duration) -> Self {
        Self {
            limit,
            at: Instant::now().checked_add(limit),
        }
    }

    /// The time left.
    fn left(self) -> Result<Duration, ClientError> {
        let Some(at) = self.at else {
            return Ok(Duration::MAX);
        };
        let left = at.checked_duration_since(Instant::now());
        left.ok_or(ClientError::TimedOut(self.limit))
    }

    /// Waits until `stream` is ready for one of `wanted`.
    pub(super) fn wait(self, stream: impl AsFd, wanted: PollFlags) -> Result<(), ClientError> {
        loop {
            let left = Timespec::try_from(self.left()?).ok();
            match poll(&mut [PollFd::new(&stream, wanted)], left.as_ref()) {
                // It may have woken a little early.
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
    }

    /// Connects to the socket at `path`. A process that is stopped accepts nobody, and its backlog
    /// may be full.
    pub(super) fn connect(self, path: &Path) -> Result<UnixStream, ClientError> {
        let address = SocketAddrUnix::new(path).map_err(io::Error::from)?;
        loop {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket =
                rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
                    .map_err(io::Error::from)?;
            match rustix::net::connect(&socket, &address) {
                Ok(()) => {
                    let stream = UnixStream::from(socket);
                    stream.set_nonblocking(false)?;
                    return Ok(stream);
                }
                Err(Errno::AGAIN) => std::thread::sleep(self.left()?.min(LOOK)),
                Err(Errno::INTR) => {}
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
    }
}
