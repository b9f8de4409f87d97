//! A client's descriptors of any kind, read and written without waiting.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags};

use super::closer::close_elsewhere;

/// A client's input and output. No method may wait, whatever the peer does.
pub(crate) trait Stream: fmt::Debug + Send {
    /// The descriptor for input, and the one for output if it is another.
    fn descriptors(&self) -> (RawFd, Option<RawFd>);

    /// Reads once.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Arrived>;

    /// Writes once, and returns how many bytes were taken: 0 if none can be taken now.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Takes out the descriptor that came with the bytes read so far, if any.
    fn take_passed(&mut self) -> Option<OwnedFd> {
        None
    }

    /// Whether a peer that has closed everything can be told from one that has only closed its
    /// sending side.
    fn tells_when_closed(&self) -> bool;

    /// Makes room for a few last bytes, where the buffer for output is on this side.
    fn make_room(&mut self) {}

    /// Tells the peer that nothing more will be written. Returns whether the peer can answer by
    /// closing, so that waiting for that makes sense.
    fn finish_output(&mut self) -> bool;
}

/// The outcome of one read.
#[derive(Debug)]
pub(crate) enum Arrived {
    /// So many bytes, never 0.
    Bytes(usize),
    /// Nothing for now.
    Nothing,
    /// The end: nothing will ever come.
    End,
}

/// A connected stream socket. Every call asks not to wait, since another process that shares the
/// socket may make it blocking.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    passed: Option<OwnedFd>,
}

impl Socket {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        if is_unix_stream(&fd) {
            // A read skips a byte that came out of band, and the kernel then closes on the reading
            // thread the descriptors that came with it. In line it is read as any other byte.
            let _ = rustix::net::sockopt::set_socket_oobinline(&fd, true);
        }
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
        // A TCP peer that has closed everything is noticed only when something is written. Until
        // then a silent guest's console would be held by a client that is gone.
        rustix::net::sockopt::socket_domain(&self.fd) == Ok(rustix::net::AddressFamily::UNIX)
    }

    fn make_room(&mut self) {
        // A unix socket keeps unread bytes in the sender's buffer. Setting a size doubles it. After
        // an error there is as much room as before.
        if let Ok(size) = rustix::net::sockopt::socket_send_buffer_size(&self.fd) {
            let _ = rustix::net::sockopt::set_socket_send_buffer_size(&self.fd, size);
        }
    }

    fn finish_output(&mut self) -> bool {
        // It fails only if the peer is gone already.
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
        // The kernel closes descriptors in bytes that were not read, and that might wait. So they
        // are taken out first. After this shutdown no more can come.
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

/// Most reads from a socket that is closed. Its buffer holds fewer messages.
const UNREAD: usize = 4096;

/// A non-blocking file for both input and output: the master of a pty.
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

/// A non-blocking file each for input and output: a terminal, or pipes.
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

/// Whether it is a unix stream socket, which never waits if asked not to. Closing a TCP socket can
/// wait.
fn is_unix_stream(descriptor: impl AsFd) -> bool {
    use rustix::net::{AddressFamily, SocketType, sockopt};
    let descriptor = descriptor.as_fd();
    sockopt::socket_type(descriptor) == Ok(SocketType::STREAM)
        && sockopt::socket_domain(descriptor) == Ok(AddressFamily::UNIX)
}

/// Whether it is a unix stream socket that is connected.
fn is_connected_unix_stream(descriptor: impl AsFd) -> bool {
    let descriptor = descriptor.as_fd();
    is_unix_stream(descriptor) && rustix::net::getpeername(descriptor).is_ok()
}

/// Most descriptors in one message: `SCM_MAX_FD` of the kernel.
const PASSED: usize = 253;

/// What may come along besides: whoever shares the socket can have its sender's credentials and
/// security label told as well.
const BESIDES: usize = 8192;

/// Reads once, and gives `take` the descriptors that came along. There is room for as many as can
/// come, since the kernel would close the rest on this thread, which might wait.
fn receive(
    fd: impl AsFd,
    buffer: &mut [u8],
    mut take: impl FnMut(OwnedFd),
) -> Result<usize, Errno> {
    let mut space =
        [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PASSED)) + BESIDES];
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
