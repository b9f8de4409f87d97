//! Connected stream sockets, and the descriptors that come with their bytes.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use rustix::io::Errno;
use rustix::net::{SendFlags, Shutdown, sockopt};

use super::ancillary::receive;
use super::closer::{Sender, close_elsewhere};
use super::quota::{drain, readable};
use super::stream::{Arrived, Stream, arrived, taken};
use super::takeable::Takeable;

/// A connected stream socket: one that was accepted here, so that no client has it too, or the
/// owner's. Every call asks not to wait, since the owner may have left it blocking.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: Takeable,
    /// A unix socket. Only those bring descriptors.
    is_unix: bool,
    /// The first socket that came along and may be served.
    passed: Option<OwnedFd>,
    /// The user whose account its descriptors are on.
    sender: Sender,
}

impl Socket {
    /// A socket from a client of user `sender`.
    pub(crate) fn new(fd: OwnedFd, sender: Sender) -> Self {
        let is_unix = is_unix_stream(&fd);
        if is_unix {
            // A read skips a byte that came out of band, and the kernel then closes on the reading
            // thread the descriptors that came with it. In line it is read as any other byte.
            let _ = sockopt::set_socket_oobinline(&fd, true);
        }
        Self {
            fd: Takeable::new(fd),
            is_unix,
            passed: None,
            sender,
        }
    }

    /// Reads once, and has closed what came along and is not wanted.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let Self {
            fd, passed, sender, ..
        } = self;
        receive(fd, buffer, |descriptor| {
            if passed.is_none() && is_connected_unix_stream(&descriptor) {
                *passed = Some(descriptor);
            } else {
                close_elsewhere(descriptor, *sender);
            }
        })
    }
}

impl Stream for Socket {
    fn descriptors(&self) -> (RawFd, Option<RawFd>) {
        (self.fd.as_fd().as_raw_fd(), None)
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Arrived> {
        let mut count = buffer.len();
        if self.is_unix {
            // Others bring none, so their users do not pay for those on their account.
            count = readable(&self.fd, self.sender, buffer)?;
            if count == 0 {
                return Ok(Arrived::Nothing);
            }
        }
        arrived(self.receive(&mut buffer[..count]))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        taken(rustix::net::send(&self.fd, bytes, flags))
    }

    fn take_passed(&mut self) -> Option<OwnedFd> {
        self.passed.take()
    }

    fn has_unread(&self) -> bool {
        rustix::io::ioctl_fionread(&self.fd) != Ok(0)
    }

    fn tells_when_closed(&self) -> bool {
        // A TCP peer that has closed everything is noticed only when something is written. Until
        // then a silent guest's console would be held by a client that is gone.
        self.is_unix
    }

    fn make_room(&mut self) {
        // A unix socket keeps unread bytes in the sender's buffer. Setting a size doubles it. After
        // an error there is as much room as before.
        if let Ok(size) = sockopt::socket_send_buffer_size(&self.fd) {
            let _ = sockopt::set_socket_send_buffer_size(&self.fd, size);
        }
    }

    fn finish_output(&mut self) -> bool {
        // It fails only if the peer is gone already.
        let _ = rustix::net::shutdown(&self.fd, Shutdown::Write);
        true
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if !self.is_unix {
            return;
        }
        // The kernel closes descriptors in bytes that were not read, and that might wait. So they
        // are taken out first. After this shutdown no more can come.
        let _ = rustix::net::shutdown(&self.fd, Shutdown::Read);
        let sender = self.sender;
        drain(sender, |buffer| self.receive(buffer));
        // One of them may be kept as wanted, if none was before.
        if let Some(passed) = self.take_passed() {
            close_elsewhere(passed, self.sender);
        }
        let closes_at_once = !self.has_unread();
        let Some(fd) = self.fd.take() else { return };
        if !closes_at_once {
            // Its peer sees the end now, whenever it is closed.
            let _ = rustix::net::shutdown(&fd, Shutdown::Both);
            close_elsewhere(fd, self.sender);
        }
    }
}

/// Whether it is a unix stream socket, which never waits if asked not to. Closing a TCP socket can
/// wait.
pub(super) fn is_unix_stream(descriptor: impl AsFd) -> bool {
    use rustix::net::{AddressFamily, SocketType};
    let descriptor = descriptor.as_fd();
    sockopt::socket_type(descriptor) == Ok(SocketType::STREAM)
        && sockopt::socket_domain(descriptor) == Ok(AddressFamily::UNIX)
}

/// Whether it is a unix stream socket that is connected.
fn is_connected_unix_stream(descriptor: impl AsFd) -> bool {
    let descriptor = descriptor.as_fd();
    is_unix_stream(descriptor) && rustix::net::getpeername(descriptor).is_ok()
}
