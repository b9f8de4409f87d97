//! One client's descriptors, whatever they are: read and written without ever waiting.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags};

use super::closer::close_elsewhere;

/// A client's two ways. No method may wait, whatever the peer does.
pub(crate) trait Stream: fmt::Debug + Send {
    /// The descriptor that input comes from, and the one that output goes to if that is another.
    fn descriptors(&self) -> (RawFd, Option<RawFd>);

    /// Reads once.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Arrived>;

    /// Writes once, and answers how many bytes were taken: 0 if none can be now.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// A descriptor that came along with what was read; given out once.
    fn take_passed(&mut self) -> Option<OwnedFd> {
        None
    }

    /// Whether a closed peer shows otherwise than by the end of its input.
    fn tells_when_closed(&self) -> bool;

    /// Makes room for a few last bytes, where output is bounded by our own side.
    fn make_room(&mut self) {}

    /// Says that nothing more will be written. Whether the peer can answer that by closing, so
    /// that waiting for it makes sense.
    fn finish_output(&mut self) -> bool;
}

/// What reading brought.
#[derive(Debug)]
pub(crate) enum Arrived {
    /// So many bytes, never 0.
    Bytes(usize),
    /// Nothing now.
    Nothing,
    /// Nothing ever again.
    End,
}

/// A connected stream socket. Every call says that it must not wait, so it does not matter whether
/// somebody else who shares the socket has made it blocking.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    passed: Option<OwnedFd>,
}

impl Socket {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self { fd, passed: None }
    }
}

impl Stream for Socket {
    fn descriptors(&self) -> (RawFd, Option<RawFd>) {
        (self.fd.as_raw_fd(), None)
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Arrived> {
        let passed = &mut self.passed;
        arrived(receive(&self.fd, buffer, |descriptor| {
            if passed.is_none() && is_connected_unix_stream(&descriptor) {
                *passed = Some(descriptor);
            } else {
                close_elsewhere(descriptor);
            }
        }))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        taken(rustix::net::send(&self.fd, bytes, flags))
    }

    fn take_passed(&mut self) -> Option<OwnedFd> {
        self.passed.take()
    }

    fn tells_when_closed(&self) -> bool {
        // A TCP socket's closed peer shows only when something is written, and the console of a
        // silent guest would be held by nobody.
        rustix::net::sockopt::socket_domain(&self.fd) == Ok(rustix::net::AddressFamily::UNIX)
    }

    fn make_room(&mut self) {
        // A unix socket's bytes wait in the sender's buffer until they are read. Setting a size
        // doubles it, and an error leaves the room that there is.
        if let Ok(size) = rustix::net::sockopt::socket_send_buffer_size(&self.fd) {
            let _ = rustix::net::sockopt::set_socket_send_buffer_size(&self.fd, size);
        }
    }

    fn finish_output(&mut self) -> bool {
        // A peer that is gone already needs not be told.
        let _ = rustix::net::shutdown(&self.fd, rustix::net::Shutdown::Write);
        true
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(passed) = self.passed.take() {
            close_elsewhere(passed);
        }
        if !is_unix_stream(&self.fd) {
            return;
        }
        // What was sent and not read is dropped with the socket, descriptors included, and closing
        // those might wait. So they are taken out first; after this shutdown no more can come.
        let _ = rustix::net::shutdown(&self.fd, rustix::net::Shutdown::Read);
        let mut buffer = [0; 4096];
        for _ in 0..UNREAD {
            match receive(&self.fd, &mut buffer, close_elsewhere) {
                Ok(0) => return,
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }
}

/// Reads of what a closed socket still has: more than its buffer holds messages.
const UNREAD: usize = 4096;

/// A non-blocking file for both ways: the master of a pty.
#[derive(Debug)]
pub(crate) struct File(pub(crate) OwnedFd);

impl Stream for File {
    fn descriptors(&self) -> (RawFd, Option<RawFd>) {
        (self.0.as_raw_fd(), None)
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Arrived> {
        arrived(rustix::io::read(&self.0, buffer))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        taken(rustix::io::write(&self.0, bytes))
    }

    fn tells_when_closed(&self) -> bool {
        true
    }

    fn finish_output(&mut self) -> bool {
        false
    }
}

/// A non-blocking file for each way: a terminal, pipes.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) input: OwnedFd,
    pub(crate) output: OwnedFd,
}

impl Stream for Files {
    fn descriptors(&self) -> (RawFd, Option<RawFd>) {
        (self.input.as_raw_fd(), Some(self.output.as_raw_fd()))
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Arrived> {
        arrived(rustix::io::read(&self.input, buffer))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        taken(rustix::io::write(&self.output, bytes))
    }

    fn tells_when_closed(&self) -> bool {
        true
    }

    fn finish_output(&mut self) -> bool {
        false
    }
}

fn arrived(read: Result<usize, Errno>) -> io::Result<Arrived> {
    match read {
        Ok(0) => Ok(Arrived::End),
        Ok(n) => Ok(Arrived::Bytes(n)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(Arrived::Nothing),
        Err(error) => Err(error.into()),
    }
}

fn taken(written: Result<usize, Errno>) -> io::Result<usize> {
    match written {
        Ok(n) => Ok(n),
        Err(Errno::AGAIN | Errno::INTR) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// Whether it is a socket that never waits for anybody if it is told not to. A TCP socket can wait
/// when it is closed.
fn is_unix_stream(descriptor: impl AsFd) -> bool {
    use rustix::net::{AddressFamily, SocketType, sockopt};
    let descriptor = descriptor.as_fd();
    sockopt::socket_type(descriptor) == Ok(SocketType::STREAM)
        && sockopt::socket_domain(descriptor) == Ok(AddressFamily::UNIX)
}

/// Whether it is such a socket, and somebody is at its other end.
fn is_connected_unix_stream(descriptor: impl AsFd) -> bool {
    let descriptor = descriptor.as_fd();
    is_unix_stream(descriptor) && rustix::net::getpeername(descriptor).is_ok()
}

/// Most descriptors that one message carries: `SCM_MAX_FD` of the kernel.
const PASSED: usize = 253;

/// Reads once, and gives `take` the descriptors that came along. There is room for all of them: the
/// kernel would close the rest, and this thread would wait for that.
fn receive(
    fd: impl AsFd,
    buffer: &mut [u8],
    mut take: impl FnMut(OwnedFd),
) -> Result<usize, Errno> {
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PASSED))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let message =
        rustix::net::recvmsg(fd, &mut [io::IoSliceMut::new(buffer)], &mut control, flags)?;
    for ancillary in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = ancillary {
            descriptors.for_each(&mut take);
        }
    }
    Ok(message.bytes)
}
