//! The owner's own terminal, or any pair of descriptors, as a client.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::Transport;
use super::identity::{Credentials, Identity};
use super::stream::{Files, Socket, Stream};
use crate::escape::Escape;
use crate::log::Start;

pub use super::terminal::{Terminal, TerminalRestorer};

/// A pair of descriptors to be served as a raw client; see
/// [`ConsoleHandle::attach`](crate::service::ConsoleHandle::attach).
#[derive(Debug)]
pub struct FdClient {
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) identity: Identity,
    pub(crate) escape: Option<Escape>,
    pub(crate) force: bool,
    pub(crate) read_only: bool,
    pub(crate) replay: Option<Start>,
}

impl FdClient {
    /// Standard input and output of this process.
    ///
    /// # Errors
    /// One of them is closed, or no descriptor is left.
    pub fn stdio() -> io::Result<Self> {
        Self::from_files(rustix::stdio::stdin(), rustix::stdio::stdout())
    }

    /// Two files: `input` to read what is typed, `output` to write what the guest prints.
    ///
    /// They are opened anew where the system allows it (terminals, pipes, files), so that making them non-blocking does
    /// not show to other processes that share them: a shell whose terminal is left non-blocking misbehaves. What
    /// cannot be opened anew is used as it is, and is made non-blocking.
    ///
    /// # Errors
    /// A descriptor is not open, or none is left.
    pub fn from_files(input: impl AsFd, output: impl AsFd) -> io::Result<Self> {
        let input = own_description(input.as_fd(), OFlags::RDONLY)?;
        let output = own_description(output.as_fd(), OFlags::WRONLY)?;
        Ok(Self::of(
            Box::new(Files { input, output }),
            Transport::Stdio,
        ))
    }

    /// A connected stream socket.
    #[must_use]
    pub fn from_socket(socket: OwnedFd) -> Self {
        Self::of(Box::new(Socket::new(socket)), Transport::Passed)
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
        }
    }

    /// Goes by this identity instead of this process's.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = identity;
        self
    }

    /// Knows the escapes `Enter ~ .` and `Enter ~ B`.
    #[must_use]
    pub fn with_escapes(mut self) -> Self {
        self.escape = Some(Escape::default());
        self
    }

    /// Takes the console from its holder.
    #[must_use]
    pub fn forcing(mut self) -> Self {
        self.force = true;
        self
    }

    /// Only watches.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Is shown this at attach, instead of the console's default.
    #[must_use]
    pub fn replay(mut self, replay: Start) -> Self {
        self.replay = Some(replay);
        self
    }
}

/// A description of our own for what `fd` refers to, non-blocking.
fn own_description(fd: impl AsFd, access: OFlags) -> io::Result<OwnedFd> {
    let fd = fd.as_fd();
    let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode);
    // Opening a regular file anew would start at its beginning, and it never blocks for long.
    if kind != rustix::fs::FileType::RegularFile {
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let flags = access | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(own) => return Ok(own),
            // Sockets cannot be opened; a terminal of another user may not be.
            Err(Errno::NXIO | Errno::ACCESS | Errno::NOENT | Errno::IO) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let shared = rustix::io::fcntl_dupfd_cloexec(fd, 3)?;
    let flags = rustix::fs::fcntl_getfl(&shared)?;
    rustix::fs::fcntl_setfl(&shared, flags | OFlags::NONBLOCK)?;
    Ok(shared)
}
