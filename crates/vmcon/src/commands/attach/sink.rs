//! A file that is written to only as much as it takes without a wait.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

/// A pipe that is ready takes this much (PIPE_BUF).
const PIPE_ROOM: usize = 4096;
/// Most bytes in one write to a file that says when it is full.
const MOST: usize = 64 << 10;

/// Standard output or standard error.
#[derive(Debug)]
pub(super) struct Sink {
    fd: OwnedFd,
    /// Most bytes that a write takes without a wait once the file is ready.
    at_once: usize,
    is_terminal: bool,
}

impl Sink {
    /// A terminal is opened anew. Otherwise whoever shares it, such as the shell, would see it
    /// become non-blocking.
    pub(super) fn new(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let is_terminal = rustix::termios::isatty(fd);
        if is_terminal {
            let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
            let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
            // Another user's terminal may be forbidden; then a write may have to wait a little.
            if let Ok(fd) = rustix::fs::open(path, flags, Mode::empty()) {
                return Ok(Self {
                    fd,
                    at_once: MOST,
                    is_terminal,
                });
            }
        }
        let kind = FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode);
        let at_once = if kind == FileType::RegularFile {
            MOST
        } else {
            PIPE_ROOM
        };
        let fd = fd.try_clone_to_owned()?;
        Ok(Self {
            fd,
            at_once,
            is_terminal,
        })
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Writes what fits. Returns how much that is: 0 if it has to wait.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let mut ready = [PollFd::new(&self.fd, PollFlags::OUT)];
            match poll(&mut ready, Some(&Timespec::default())) {
                Ok(0) => return Ok(0),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
                Ok(_) => {}
            }
            let most = bytes.len().min(self.at_once);
            match rustix::io::write(&self.fd, &bytes[..most]) {
                Err(Errno::AGAIN) => return Ok(0),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok(count) => return Ok(count),
            }
        }
    }
}

impl AsFd for Sink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
