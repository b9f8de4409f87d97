//! One client's descriptors, whatever they are: read and written without ever waiting.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags};

/// A client's two ways.
#[derive(Debug)]
pub(crate) enum Stream {
    /// One socket for both; every call says that it must not wait, so that it does not matter who else shares it.
    Socket(OwnedFd),
    /// A file for each way, non-blocking by itself.
    Files { input: OwnedFd, output: OwnedFd },
    /// One file for both.
    File(OwnedFd),
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

impl Stream {
    /// Where input comes from; where output goes to, unless that is the same.
    pub(crate) fn descriptors(&self) -> (RawFd, Option<RawFd>) {
        match self {
            Self::Socket(fd) | Self::File(fd) => (fd.as_raw_fd(), None),
            Self::Files { input, output } => (input.as_raw_fd(), Some(output.as_raw_fd())),
        }
    }

    /// Reads, together with a descriptor if one was passed along and `passed` is there to take it.
    pub(crate) fn read(
        &self,
        buffer: &mut [u8],
        passed: Option<&mut Option<OwnedFd>>,
    ) -> io::Result<Arrived> {
        let read = match (self, passed) {
            (Self::Socket(fd), None) => {
                rustix::net::recv(fd, &mut *buffer, RecvFlags::DONTWAIT).map(|(n, _)| n)
            }
            (Self::Socket(fd), Some(passed)) => receive_with_descriptor(fd, buffer, passed),
            (Self::Files { input, .. }, _) => rustix::io::read(input, buffer),
            (Self::File(fd), _) => rustix::io::read(fd, buffer),
        };
        match read {
            Ok(0) => Ok(Arrived::End),
            Ok(n) => Ok(Arrived::Bytes(n)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(Arrived::Nothing),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes, and answers how many bytes were taken: 0 if none can be now.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let written = match self {
            Self::Socket(fd) => {
                rustix::net::send(fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
            }
            Self::Files { output, .. } => rustix::io::write(output, bytes),
            Self::File(fd) => rustix::io::write(fd, bytes),
        };
        match written {
            Ok(n) => Ok(n),
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a peer that is gone shows otherwise than by the end of its input. On a TCP socket it does not until
    /// something is written, and a silent guest's console would be held by nobody.
    pub(crate) fn tells_when_closed(&self) -> bool {
        match self {
            Self::Socket(fd) => {
                rustix::net::sockopt::socket_domain(fd) == Ok(rustix::net::AddressFamily::UNIX)
            }
            Self::Files { .. } | Self::File(_) => true,
        }
    }

    /// Says that nothing more will be written, where the other side can tell.
    pub(crate) fn finish_output(&self) {
        if let Self::Socket(fd) = self {
            // A peer that is gone already needs not be told.
            let _ = rustix::net::shutdown(fd, rustix::net::Shutdown::Write);
        }
    }
}

fn receive_with_descriptor(
    fd: &OwnedFd,
    buffer: &mut [u8],
    passed: &mut Option<OwnedFd>,
) -> Result<usize, Errno> {
    // Room for one, which is kept for the next frame that wants one. The kernel closes what does not fit; a second, for
    // which alignment may leave room, replaces the first.
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
