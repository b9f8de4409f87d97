//! A listening socket, and how it is closed.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{Shutdown, SocketFlags};

use super::closer::close_elsewhere;
use super::stream::Socket;

/// Clients that wait to be accepted are closed with a listening socket, and so is what they have
/// sent along, which might wait. So they are taken out of it first.
#[derive(Debug)]
pub(super) struct ListeningSocket {
    /// `None` only while it is dropped.
    fd: Option<OwnedFd>,
    /// Somebody else may go on listening on it.
    is_shared: bool,
}

impl ListeningSocket {
    /// Made here.
    pub(super) fn own(fd: OwnedFd) -> Self {
        Self {
            fd: Some(fd),
            is_shared: false,
        }
    }

    /// Made by somebody else, who may keep it open.
    pub(super) fn shared(fd: OwnedFd) -> Self {
        Self {
            fd: Some(fd),
            is_shared: true,
        }
    }
}

impl AsFd for ListeningSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.fd {
            Some(fd) => fd.as_fd(),
            // Nobody can ask while it is dropped.
            None => rustix::stdio::stdin(),
        }
    }
}

impl Drop for ListeningSocket {
    fn drop(&mut self) {
        let Some(fd) = self.fd.take() else { return };
        if self.is_shared {
            // Who waits may be the other owner's, so nobody is taken out.
            return close_elsewhere(fd);
        }
        // After this nobody can join those who wait, whose number is bounded.
        let _ = rustix::net::shutdown(&fd, Shutdown::Both);
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        loop {
            match rustix::net::accept_with(&fd, flags) {
                // Closed as any other client.
                Ok(connection) => drop(Socket::new(connection)),
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(_) => return,
            }
        }
    }
}
