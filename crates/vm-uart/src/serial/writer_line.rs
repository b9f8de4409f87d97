//! The end of the line that the drop-in talks to.

use std::collections::VecDeque;
use std::io::{self, Write};

use vm_superio::serial::SerialEvents;

use crate::fifo::Character;
use crate::line::Line;

/// A writer as the far end of the line. A byte that it fails to write is lost and counts as sent,
/// so that the guest goes on.
#[derive(Debug)]
pub(super) struct WriterLine<EV, W> {
    pub(super) out: W,
    pub(super) events: EV,
    /// The first error since a `write` last returned one.
    pub(super) error: Option<io::Error>,
    /// Input in front of the FIFO; with the FIFO's own, at most [`CAPACITY`](super::CAPACITY).
    pub(super) waiting: VecDeque<Character>,
    /// The guest has started a character timeout, and nobody has asked since.
    pub(super) timeout_started: bool,
}

impl<EV, W> WriterLine<EV, W> {
    pub(super) fn new(events: EV, out: W) -> Self {
        Self {
            out,
            events,
            error: None,
            waiting: VecDeque::new(),
            timeout_started: false,
        }
    }
}

impl<EV: SerialEvents, W: Write> Line for WriterLine<EV, W> {
    fn transmit(&mut self, bytes: &[u8]) -> usize {
        for &byte in bytes {
            match self.out.write_all(&[byte]).and_then(|()| self.out.flush()) {
                Ok(()) => self.events.out_byte(),
                Err(error) => {
                    self.events.tx_lost_byte();
                    self.error.get_or_insert(error);
                }
            }
        }
        bytes.len()
    }

    fn receive(&mut self) -> Option<Character> {
        self.waiting.pop_front()
    }

    fn timeout_started(&mut self) {
        self.timeout_started = true;
    }
}
