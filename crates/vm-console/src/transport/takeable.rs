//! A descriptor whose owner can hand it on when it is dropped.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

#[derive(Debug)]
pub(super) struct Takeable(Option<OwnedFd>);

impl Takeable {
    pub(super) fn new(fd: OwnedFd) -> Self {
        Self(Some(fd))
    }

    /// Takes it out. Only the owner's drop may do so.
    pub(super) fn take(&mut self) -> Option<OwnedFd> {
        self.0.take()
    }
}

impl AsFd for Takeable {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Some(fd) => fd.as_fd(),
            // Never reached: nobody has it once its owner is dropped.
            None => rustix::stdio::stdin(),
        }
    }
}
