//! The way out of a connection, shared by whoever sends on it.

use std::io::{self, IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use crate::protocol::ClientFrame;

/// Sends whole frames. The kernel may take a long frame in pieces, so two threads that send at once
/// have to take turns.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    stream: Arc<UnixStream>,
    turn: Arc<Mutex<()>>,
}

impl Sender {
    pub(super) fn new(stream: Arc<UnixStream>) -> Self {
        Self {
            stream,
            turn: Arc::default(),
        }
    }

    /// A descriptor travels with the first byte of the frame.
    pub(super) fn send(
        &self,
        frame: &ClientFrame,
        passed: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.in_turn(|mut stream| {
            let sent = match passed {
                Some(passed) => send_with_descriptor(stream, &bytes, passed)?,
                None => 0,
            };
            stream.write_all(&bytes[sent..])
        })
    }

    fn in_turn<T>(&self, act: impl FnOnce(&UnixStream) -> T) -> T {
        // A thread that panicked here has at worst cut a frame short, which the service notices.
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        act(&self.stream)
    }
}

fn send_with_descriptor(
    stream: &UnixStream,
    bytes: &[u8],
    passed: BorrowedFd<'_>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let passed = [passed];
    // There is room for exactly this.
    control.push(SendAncillaryMessage::ScmRights(&passed));
    let slices = [IoSlice::new(bytes)];
    let flags = SendFlags::NOSIGNAL;
    Ok(rustix::net::sendmsg(stream, &slices, &mut control, flags)?)
}
