//! The owner's hold on a listening socket that a service has.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::unix::BoundSocket;

/// Keeps a listening socket open when its [`Listener`](super::Listener) is gone, for the VMM that
/// replaces this one.
///
/// Clients that connect while no service has the socket wait in its backlog. Dropping this closes
/// the socket, unless a service has it, and removes its file; clients that wait see the end.
///
/// As an [`OwnedFd`] it is on its way to another process, which [adopts](super) it. From then on
/// nothing that is dropped here ends the socket or removes its file.
#[derive(Debug)]
pub struct KeptSocket {
    /// A descriptor of its own, so that handing it over cannot fail for want of one.
    socket: OwnedFd,
    /// Of a unix socket: what ends with its last holder.
    bound: Option<Arc<BoundSocket>>,
}

impl KeptSocket {
    pub(super) fn new(socket: OwnedFd, bound: Option<Arc<BoundSocket>>) -> Self {
        Self { socket, bound }
    }
}

impl AsFd for KeptSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl From<KeptSocket> for OwnedFd {
    fn from(kept: KeptSocket) -> Self {
        if let Some(bound) = &kept.bound {
            bound.leave_to_another_process();
        }
        kept.socket
    }
}
