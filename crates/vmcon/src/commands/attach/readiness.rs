//! Waiting for several descriptors at once.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// Descriptors to wait for, each with the name that it is asked for by.
#[derive(Debug)]
pub(super) struct Readiness<'a, Name> {
    names: Vec<Name>,
    fds: Vec<PollFd<'a>>,
}

impl<'a, Name: Copy> Readiness<'a, Name> {
    pub(super) fn new() -> Self {
        Self {
            names: Vec::new(),
            fds: Vec::new(),
        }
    }

    /// Waits for `fd`, too. Even with no flags its end is seen.
    pub(super) fn of(&mut self, name: Name, fd: BorrowedFd<'a>, wanted: PollFlags) {
        self.names.push(name);
        self.fds.push(PollFd::from_borrowed_fd(fd, wanted));
    }

    /// Waits until one of them is ready, or until `deadline`. Returns those that are ready.
    pub(super) fn wait(&mut self, deadline: Option<Instant>) -> io::Result<Vec<Name>> {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        // Rounded up, so as not to wake before it.
        let left = left.map(|left| left.saturating_add(Duration::from_micros(1)));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut self.fds, left.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        }
        let all = self.names.iter().zip(&self.fds);
        let ready = all.filter(|(_, fd)| !fd.revents().is_empty());
        Ok(ready.map(|(name, _)| *name).collect())
    }
}
