//! A descriptor whose owner can hand it on when it is dropped.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

#[derive(Debug)]
pub(super) struct Takeable<T = OwnedFd>(Option<T>);

impl<T: AsFd> Takeable<T> {
    pub(super) fn new(fd: T) -> Self {
        Self(Some(fd))
    }

    /// None once it was taken out.
    pub(super) fn get(&self) -> Option<&T> {
        self.0.as_ref()
    }

    /// Takes it out. Only the owner's drop may do so.
    pub(super) fn take(&mut self) -> Option<T> {
        self.0.take()
    }
}

impl<T: AsFd> AsFd for Takeable<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Some(fd) => fd.as_fd(),
            // Never reached: nobody has it once its owner is dropped.
            None => rustix::stdio::stdin(),
        }
    }
}
