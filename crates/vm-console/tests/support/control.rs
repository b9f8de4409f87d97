//! A control connection under a test's control: it sends frames together, passes descriptors with
//! them, and may leave answers unread.

use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use vm_console::Start;
use vm_console::protocol::{
    AttachRequest, ClientFrame, Decoder, ErrorCode, LogRequest, ServerFrame,
};

use super::{PATIENCE, Rig};

/// Version 1, whose answers have no numbers.
const VERSION: u16 = 1;

pub struct Control {
    pub stream: UnixStream,
    decoder: Decoder,
}

impl Control {
    /// Connects, and sends hello.
    pub fn connect(rig: &Rig) -> Self {
        let mut control = Self::silent(rig);
        control.send(&[hello()]);
        control
    }

    /// Connects, and sends nothing.
    pub fn silent(rig: &Rig) -> Self {
        Self {
            stream: rig.control_stream(),
            decoder: Decoder::default(),
        }
    }

    pub fn send(&mut self, frames: &[ClientFrame]) {
        self.stream.write_all(&encode(frames)).unwrap();
    }

    /// Sends frames, and descriptors with their first byte.
    pub fn pass(&mut self, frames: &[ClientFrame], along: &[BorrowedFd<'_>]) {
        pass(&self.stream, &encode(frames), along);
    }

    /// The next frame; `None` when the service has closed the connection.
    pub fn next(&mut self) -> Option<ServerFrame> {
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return Some(ServerFrame::parse(frame, VERSION).unwrap());
            }
            let mut buffer = [0; 16 << 10];
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(n) => self.decoder.feed(&buffer[..n]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Waits for a frame that `wanted` takes, and drops those before it.
    pub fn next_that<T>(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(ServerFrame) -> Option<T>,
    ) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < end, "waited in vain for {what}");
            let frame = self
                .next()
                .unwrap_or_else(|| panic!("closed before {what}"));
            if let Some(found) = wanted(frame) {
                return found;
            }
        }
    }

    /// Sends an attach, and waits until it is granted.
    pub fn attach(&mut self, request: &AttachRequest) {
        self.send(&[ClientFrame::Attach(request.clone())]);
        self.next_that("attached", |frame| match frame {
            ServerFrame::Attached { .. } => Some(()),
            ServerFrame::Refused(refusal) => panic!("{refusal:?}"),
            _ => None,
        });
    }
}

pub fn hello() -> ClientFrame {
    ClientFrame::Hello {
        version: VERSION,
        program: "test".into(),
    }
}

/// Asks for bytes of the log.
pub fn log_read(id: u32, start: Start, max: u32) -> ClientFrame {
    ClientFrame::LogRead(LogRequest {
        id,
        start,
        log: None,
        max,
    })
}

pub fn error_code(frame: &ServerFrame) -> Option<ErrorCode> {
    match frame {
        ServerFrame::Error { code, .. } => Some(*code),
        _ => None,
    }
}

pub fn named(name: &str) -> AttachRequest {
    AttachRequest {
        name: name.into(),
        ..AttachRequest::default()
    }
}

pub fn encode(frames: &[ClientFrame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for frame in frames {
        frame.encode(&mut bytes);
    }
    bytes
}

/// Sends bytes, and descriptors with the first of them.
pub fn pass(stream: &UnixStream, bytes: &[u8], along: &[BorrowedFd<'_>]) {
    assert_eq!(try_pass(stream, bytes, along).unwrap(), bytes.len());
}

/// As [`pass`], to a service that may have closed the connection.
pub fn try_pass(
    stream: &UnixStream,
    bytes: &[u8],
    along: &[BorrowedFd<'_>],
) -> rustix::io::Result<usize> {
    send_along(stream, bytes, along, SendFlags::NOSIGNAL)
}

/// Sends one byte out of band, and descriptors with it.
pub fn pass_urgently(stream: &UnixStream, byte: u8, along: &[BorrowedFd<'_>]) {
    let flags = SendFlags::NOSIGNAL | SendFlags::OOB;
    assert_eq!(send_along(stream, &[byte], along, flags), Ok(1));
}

fn send_along(
    stream: &UnixStream,
    bytes: &[u8],
    along: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> rustix::io::Result<usize> {
    let mut space = vec![MaybeUninit::uninit(); 2048];
    let mut message = SendAncillaryBuffer::new(&mut space);
    assert!(message.push(SendAncillaryMessage::ScmRights(along)));
    let slices = [IoSlice::new(bytes)];
    rustix::net::sendmsg(stream, &slices, &mut message, flags)
}
