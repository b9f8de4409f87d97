//! A listening socket that can be closed without waiting.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{Shutdown, SocketFlags};

use super::accept::Came;
use super::closer::close_elsewhere;
use super::identity::Credentials;
use super::socket::Socket;
use super::takeable::Takeable;

/// A listening socket. Closing it also closes the clients that wait to be accepted, and the
/// descriptors that they have sent, which might wait. So those clients are taken out first.
#[derive(Debug)]
pub(super) struct ListeningSocket {
    fd: Takeable,
    /// Whether another process may go on listening on it.
    is_shared: bool,
}

impl ListeningSocket {
    /// A socket that this process has made.
    pub(super) fn own(fd: OwnedFd) -> Self {
        Self {
            fd: Takeable::new(fd),
            is_shared: false,
        }
    }

    /// A socket from somebody else, who may keep it open.
    pub(super) fn shared(fd: OwnedFd) -> Self {
        Self {
            fd: Takeable::new(fd),
            is_shared: true,
        }
    }

    /// Another process goes on listening on it.
    pub(super) fn share(&mut self) {
        self.is_shared = true;
    }
}

/// Accepts a connection without waiting, or says what came in its place. `of_family` knows the
/// errors that mean something else, or only exist, in the socket's address family.
pub(super) fn accept(
    fd: impl AsFd,
    of_family: impl FnOnce(Errno) -> Option<Came>,
) -> Result<OwnedFd, Came> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::accept_with(fd, flags).map_err(|error| refused(error, of_family))
}

/// What an error of accept means.
fn refused(error: Errno, of_family: impl FnOnce(Errno) -> Option<Came>) -> Came {
    match error {
        Errno::AGAIN => Came::Nobody,
        Errno::INTR | Errno::CONNABORTED => Came::Lost,
        Errno::INVAL | Errno::NOTSOCK | Errno::BADF => Came::Dead(error.into()),
        _ => of_family(error).unwrap_or_else(|| Came::Exhausted(error.into())),
    }
}

impl AsFd for ListeningSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for ListeningSocket {
    fn drop(&mut self) {
        let Some(fd) = self.fd.take() else { return };
        if self.is_shared {
            // Clients that wait may be for the other owner, so none is taken out.
            return close_elsewhere(fd, None);
        }
        // No further client can connect after this, and the number of those that wait is bounded.
        let _ = rustix::net::shutdown(&fd, Shutdown::Both);
        loop {
            match accept(&fd, |_| None) {
                // Its drop takes passed descriptors out, as for any other client.
                Ok(connection) => {
                    let uid = Credentials::of_peer(&connection).map(|peer| peer.uid);
                    drop(Socket::new(connection, uid));
                }
                Err(Came::Lost) => {}
                Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_error_of_the_listener_itself_closes_it() {
        let of_no_family = |_| None;
        for error in [Errno::INTR, Errno::CONNABORTED] {
            assert!(matches!(refused(error, of_no_family), Came::Lost));
        }
        for error in [Errno::INVAL, Errno::NOTSOCK, Errno::BADF] {
            assert!(matches!(refused(error, of_no_family), Came::Dead(_)));
        }
        for error in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            assert!(matches!(refused(error, of_no_family), Came::Exhausted(_)));
        }
        let of_family = |error| (error == Errno::NETDOWN).then_some(Came::Lost);
        assert!(matches!(refused(Errno::NETDOWN, of_family), Came::Lost));
        assert!(matches!(refused(Errno::AGAIN, of_family), Came::Nobody));
        assert!(matches!(
            refused(Errno::MFILE, of_family),
            Came::Exhausted(_)
        ));
    }
}
