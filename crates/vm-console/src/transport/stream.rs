//! One client's descriptors, whatever they are: read and written without ever waiting.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags};

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
        arrived(receive(&self.fd, buffer, &mut self.passed))
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

    fn finish_output(&mut self) -> bool {
        // A peer that is gone already needs not be told.
        let _ = rustix::net::shutdown(&self.fd, rustix::net::Shutdown::Write);
        true
    }
}

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

fn receive(fd: impl AsFd, buffer: &mut [u8], passed: &mut Option<OwnedFd>) -> Result<usize, Errno> {
    // Room for one descriptor, which is kept until a frame asks for one. The kernel closes what
    // does not fit; a second one, for which alignment may leave room, replaces the first.
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let message =
        rustix::net::recvmsg(fd, &mut [io::IoSliceMut::new(buffer)], &mut control, flags)?;
    for ancillary in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = ancillary {
            for descriptor in descriptors {
                *passed = Some(descriptor);
            }
        }
    }
    Ok(message.bytes)
}
