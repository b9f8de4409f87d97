//! Connected unix stream sockets that other processes may have, too.
//!
//! Another owner can set any option at any moment, receive from the socket, and hold its locks. So
//! the service's thread makes only calls here that wait for none of that, and that free nothing
//! that was sent: it sends, shuts down, and asks for a size and for readiness. It neither receives,
//! nor sets an option, nor closes: a [thread of its own](super::receiving_thread) does.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendFlags, Shutdown, sockopt};

use super::closer::{Sender, close_elsewhere, has_too_many};
use super::quota::TOO_MANY;
use super::receiving_thread::ReceivingThread;
use super::stream::{Arrived, Stream, taken};
use super::takeable::Takeable;

/// A unix stream socket that its client may share.
#[derive(Debug)]
pub(crate) struct SharedSocket {
    socket: Takeable<Arc<OwnedFd>>,
    /// None if no descriptor was left for it.
    thread: Option<ReceivingThread>,
    /// The user whose account its descriptors are on.
    sender: Sender,
    /// Most bytes to send at a time, so that room is left for last words: a larger buffer then would
    /// be an option to set. None once they are said.
    most: Option<usize>,
    /// What may still be used of the buffer before the kernel is asked anew.
    credit: usize,
}

const AT_ONCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// What the kernel counts for a message beside its bytes, and a little more.
const OVERHEAD: usize = 1024;

impl SharedSocket {
    /// A socket that came from user `sender`.
    pub(crate) fn new(fd: OwnedFd, sender: Sender) -> Self {
        // A client that shrinks the buffer later has less room for its own last words.
        let most = sockopt::socket_send_buffer_size(&fd)
            .ok()
            .map(|size| size / 4);
        Self {
            socket: Takeable::new(Arc::new(fd)),
            thread: ReceivingThread::new().ok(),
            sender,
            most,
            credit: 0,
        }
    }

    /// How many bytes may be sent now: a quarter of the buffer, once no more than a quarter is used,
    /// which is what the kernel means by room.
    fn room(&mut self) -> usize {
        let Some(most) = self.most else {
            return usize::MAX;
        };
        if self.credit == 0 {
            let mut room = [PollFd::new(&self.socket, PollFlags::OUT)];
            if matches!(poll(&mut room, Some(&AT_ONCE)), Ok(0)) {
                return 0;
            }
            self.credit = most;
        }
        self.credit
    }
}

fn exhausted(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::QuotaExceeded, what)
}

impl Stream for SharedSocket {
    fn descriptors(&self) -> (RawFd, Option<RawFd>) {
        let socket = self.socket.as_fd().as_raw_fd();
        match &self.thread {
            Some(thread) => (thread.descriptor(), Some(socket)),
            None => (socket, None),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Arrived> {
        if has_too_many(self.sender) {
            return Err(exhausted(TOO_MANY));
        }
        let (Some(thread), Some(socket)) = (&mut self.thread, self.socket.get()) else {
            return Err(exhausted("no descriptor is left to receive with"));
        };
        if !thread.is_started() {
            // Who never types needs no thread.
            let mut input = [PollFd::new(socket, PollFlags::IN)];
            if matches!(poll(&mut input, Some(&AT_ONCE)), Ok(0)) {
                return Ok(Arrived::Nothing);
            }
            thread
                .start(Arc::clone(socket), self.sender)
                .map_err(|error| exhausted(&format!("no thread to receive: {error}")))?;
        }
        thread.receive(buffer)
    }

    fn output_tells_of_input(&self) -> bool {
        self.thread
            .as_ref()
            .is_some_and(|thread| !thread.is_started())
    }

    fn is_receiving(&self) -> bool {
        self.thread
            .as_ref()
            .is_some_and(ReceivingThread::is_receiving)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.room());
        if count == 0 {
            return Ok(0);
        }
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let sent = taken(rustix::net::send(&self.socket, &bytes[..count], flags));
        let used = sent.as_ref().map_or(usize::MAX, |count| count + OVERHEAD);
        self.credit = self.credit.saturating_sub(used);
        sent
    }

    fn tells_when_closed(&self) -> bool {
        true
    }

    fn make_room(&mut self) {
        self.most = None;
    }

    fn finish_output(&mut self) -> bool {
        // It fails only if the peer is gone already.
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Write);
        true
    }
}

impl Drop for SharedSocket {
    fn drop(&mut self) {
        // Its peer sees the end now, whenever it is closed, and the thread wakes.
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Both);
        let Some(socket) = self.socket.take() else {
            return;
        };
        let left = match self.thread.take() {
            Some(thread) => thread.end(socket, self.sender),
            None => Arc::into_inner(socket),
        };
        if let Some(socket) = left {
            close_elsewhere(socket, self.sender);
        }
    }
}
