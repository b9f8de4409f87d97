//! Receiving from a socket that a client shares, on a thread that does nothing else.
//!
//! A receive that asks not to wait can wait all the same, for as long as the client likes:
//!
//! - The kernel skips a byte that came out of band, and closes what came along with it before the
//!   receive returns.
//! - It lets one receive after the other, and another owner's may stop half way, at memory of its
//!   own.
//!
//! So the thread receives only what it was asked for, and the service never waits for it. A thread
//! that does not come back is left behind when the session ends, and counts against its user
//! until it ends.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt;
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use super::ancillary::receive_shared;
use super::closer::{self, Sender, Unwanted, close_elsewhere};
use super::quota::{Exceeded, drain, readable};
use super::stream::Arrived;

/// Its buffers take 14 KiB, and the calls into the kernel little more.
const STACK: usize = 256 << 10;

/// Most bytes that are received at a time.
const MOST: usize = 4096;

/// Before the next look at a socket that is ready and has nothing.
const PAUSE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 5_000_000,
};

/// The thread, as the service sees it.
#[derive(Debug)]
pub(super) struct ReceivingThread {
    exchange: Arc<Exchange>,
    is_started: bool,
}

/// What the service and the thread say to each other.
#[derive(Debug)]
struct Exchange {
    state: Mutex<State>,
    changed: Condvar,
    /// Readable unless something is asked for, or nothing was asked for yet: whoever waits for that
    /// gets an answer, or may ask.
    ready: EventFd,
}

#[derive(Debug)]
enum State {
    Idle,
    /// So many bytes are asked for, at most.
    Asked(usize),
    /// What came, as far as the service has not taken it. No bytes are the end.
    Answered(Result<Vec<u8>, Failure>),
    /// The service has let go of the socket.
    Over,
}

/// Why nothing more comes.
#[derive(Clone, Copy, Debug)]
enum Failure {
    System(Errno),
    Quota(Exceeded),
}

impl ReceivingThread {
    /// One that is not started yet.
    ///
    /// # Errors
    /// No descriptor is left.
    pub(super) fn new() -> io::Result<Self> {
        let ready = EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC)?;
        let exchange = Exchange {
            state: Mutex::new(State::Idle),
            changed: Condvar::new(),
            ready,
        };
        Ok(Self {
            exchange: Arc::new(exchange),
            is_started: false,
        })
    }

    /// Readable when [`receive`](Self::receive) is worth a call.
    pub(super) fn descriptor(&self) -> RawFd {
        self.exchange.ready.as_raw_fd()
    }

    /// Starts it, for a socket from `sender`.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(super) fn start(&mut self, socket: Arc<OwnedFd>, sender: Sender) -> io::Result<()> {
        let exchange = Arc::clone(&self.exchange);
        let thread = std::thread::Builder::new().name("vm-console-recv".into());
        let thread = thread.stack_size(STACK);
        thread.spawn(move || exchange.serve(socket, sender))?;
        self.is_started = true;
        Ok(())
    }

    pub(super) fn is_started(&self) -> bool {
        self.is_started
    }

    /// Takes what has come, or asks for something if nothing is asked for.
    ///
    /// # Errors
    /// What the system says to the receive.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<Arrived> {
        self.exchange.take(buffer)
    }

    /// Whether something is asked for that has not come.
    pub(super) fn is_receiving(&self) -> bool {
        matches!(*self.exchange.state(), State::Asked(_))
    }

    /// Has it take out of the socket what was not received, close it and end. The socket was shut
    /// down, so that the thread does not go on waiting for bytes. Returns the socket if no thread can
    /// be started.
    pub(super) fn end(mut self, socket: Arc<OwnedFd>, sender: Sender) -> Option<OwnedFd> {
        if !self.is_started && self.start(Arc::clone(&socket), sender).is_err() {
            return Arc::into_inner(socket);
        }
        closer::is_left_behind(sender);
        // First, so that the thread's is the last.
        drop(socket);
        *self.exchange.state() = State::Over;
        self.exchange.changed.notify_one();
        None
    }
}

impl Exchange {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, buffer: &mut [u8]) -> io::Result<Arrived> {
        let mut state = self.state();
        match &mut *state {
            State::Idle => {
                *state = State::Asked(buffer.len().min(MOST));
                // Unless this is the first request it is readable, and this takes that back.
                let _ = self.ready.read();
                self.changed.notify_one();
                Ok(Arrived::Later)
            }
            State::Asked(_) | State::Over => Ok(Arrived::Later),
            State::Answered(Err(Failure::System(error))) => Err((*error).into()),
            State::Answered(Err(Failure::Quota(exceeded))) => Err((*exceeded).into()),
            State::Answered(Ok(bytes)) if bytes.is_empty() => Ok(Arrived::End),
            State::Answered(Ok(bytes)) => {
                let count = bytes.len().min(buffer.len());
                buffer[..count].copy_from_slice(&bytes[..count]);
                bytes.drain(..count);
                if bytes.is_empty() {
                    *state = State::Idle;
                }
                Ok(Arrived::Bytes(count))
            }
        }
    }

    /// The thread: receives as often as it is asked to.
    fn serve(&self, socket: Arc<OwnedFd>, sender: Sender) {
        // As for any other client, as long as nobody unsets it: a byte out of band is typed.
        let _ = sockopt::set_socket_oobinline(&socket, true);
        while let Some(most) = self.next_request() {
            let answer = self.receive(&socket, most, sender);
            self.answer(answer);
        }
        // Closing it would close what nobody has received, one after the other. What is left because
        // there is too much of it is closed so.
        drain(sender, |buffer| receive(&socket, buffer, sender));
        drop(socket);
        closer::has_ended(sender);
    }

    /// Waits until something is asked for. `None`: never again.
    fn next_request(&self) -> Option<usize> {
        let mut state = self.state();
        loop {
            match *state {
                State::Asked(most) => return Some(most),
                State::Over => return None,
                State::Idle | State::Answered(_) => {}
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn answer(&self, answer: Result<Vec<u8>, Failure>) {
        let mut state = self.state();
        if matches!(*state, State::Asked(_)) {
            *state = State::Answered(answer);
            // The one error is a full counter, and that is readable as well.
            let _ = self.ready.write(1);
        }
    }

    /// Receives once, when there is something.
    fn receive(&self, socket: impl AsFd, most: usize, sender: Sender) -> Result<Vec<u8>, Failure> {
        let mut buffer = [0; MOST];
        loop {
            // A closed socket is ready, too.
            let _ = poll(&mut [PollFd::new(&socket, PollFlags::IN)], None);
            if matches!(*self.state(), State::Over) {
                return Ok(Vec::new());
            }
            let most = readable(&socket, sender, &mut buffer[..most]).map_err(Failure::Quota)?;
            if most == 0 {
                // Another owner can make a look find nothing though the socket is ready.
                let _ = poll(&mut [], Some(&PAUSE));
                continue;
            }
            match receive(&socket, &mut buffer[..most], sender) {
                Ok(count) => return Ok(buffer[..count].to_vec()),
                // Another owner was faster.
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(Failure::System(error)),
            }
        }
    }
}

/// Receives once, and has closed what came along.
fn receive(socket: impl AsFd, buffer: &mut [u8], sender: Sender) -> Result<usize, Errno> {
    receive_shared(socket, buffer, |number| {
        close_elsewhere(Unwanted::Number(number), sender);
    })
}
