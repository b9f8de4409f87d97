//! A connection with a session on it, that never makes its user wait.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::SendFlags;
use vm_console::client::{ClientError, ControlClient};
use vm_console::protocol::{ClientFrame, PowerAction, ServerFrame};

/// Bytes typed in one frame. A console takes a frame whole, so short ones let it keep its bound.
const TYPED: usize = 4096;
/// How long the rest of a frame may take. More is there already as soon as a part of it is.
const REST_OF_FRAME: Duration = Duration::from_millis(50);

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Link {
    client: ControlClient,
    read_only: bool,
    /// Encoded frames that are still to be sent. Nothing else may send on the connection, because
    /// the first of them may be sent in part.
    outgoing: VecDeque<u8>,
    /// The service takes nothing any more. What it sent before may still be there.
    broken: bool,
    /// The user leaves, and is gone by then at the latest.
    leaving: Option<Instant>,
}

/// What was received.
#[derive(Debug)]
pub(super) enum Received {
    Frame(Box<ServerFrame>),
    /// Nothing for now.
    Nothing,
    /// The connection is lost.
    Lost,
}

impl Link {
    pub(super) fn new(client: ControlClient, read_only: bool) -> Self {
        Self {
            client,
            read_only,
            outgoing: VecDeque::new(),
            broken: false,
            leaving: None,
        }
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Bytes that the service has not taken yet.
    pub(super) fn unsent(&self) -> usize {
        self.outgoing.len()
    }

    /// Whether it waits for the service to take something.
    pub(super) fn wants_to_send(&self) -> bool {
        !self.outgoing.is_empty() && !self.broken
    }

    pub(super) fn type_bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(TYPED) {
            self.put(&ClientFrame::Data(chunk.to_vec()));
        }
    }

    pub(super) fn send_break(&mut self) {
        self.put(&ClientFrame::Break);
    }

    pub(super) fn reset(&mut self) {
        self.put(&ClientFrame::Power(PowerAction::Restart));
    }

    pub(super) fn resize(&mut self, columns: u16, rows: u16) {
        self.put(&ClientFrame::Resize { columns, rows });
    }

    /// Asks for the end of the session. Whether it comes or not, the user is gone after `limit`.
    pub(super) fn leave(&mut self, limit: Duration) {
        if self.leaving.is_none() {
            self.put(&ClientFrame::Detach);
        }
        let at = Instant::now() + limit;
        self.leaving = Some(self.leaving.map_or(at, |earlier| earlier.min(at)));
    }

    /// When the user is gone at the latest.
    pub(super) fn leaving(&self) -> Option<Instant> {
        self.leaving
    }

    fn put(&mut self, frame: &ClientFrame) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.outgoing.extend(bytes);
    }

    /// Sends what the service takes without a wait.
    pub(super) fn flush(&mut self) {
        while self.wants_to_send() {
            let (first, _) = self.outgoing.as_slices();
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match rustix::net::send(&self.client, first, flags) {
                Ok(count) => drop(self.outgoing.drain(..count)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.broken = true,
            }
        }
    }

    /// Whether a frame is there without a look at the socket.
    pub(super) fn has_frame(&self) -> bool {
        self.client.has_frame()
    }

    /// The next frame. To be asked for when the socket is ready or [a frame](Self::has_frame) is
    /// there.
    pub(super) fn receive(&mut self) -> Received {
        match self.client.next_frame_within(REST_OF_FRAME) {
            Ok(Some(frame)) => Received::Frame(Box::new(frame)),
            Err(ClientError::TimedOut(_)) => Received::Nothing,
            Err(ClientError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                Received::Nothing
            }
            Ok(None) | Err(_) => Received::Lost,
        }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.client.as_fd()
    }
}
