//! The end of the line that the drop-in talks to.

use std::collections::VecDeque;
use std::io::{self, Write};

use vm_superio::serial::SerialEvents;

use crate::fifo::Character;
use crate::line::{Line, Outputs};

/// The writer seen as the [`Line`] that it is too.
type AsLine<W> = for<'a> fn(&'a mut W) -> &'a mut (dyn Line + 'a);

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
    /// The writer is used as a line.
    as_line: Option<AsLine<W>>,
}

impl<EV, W> WriterLine<EV, W> {
    pub(super) fn new(events: EV, out: W) -> Self {
        Self {
            out,
            events,
            error: None,
            waiting: VecDeque::new(),
            timeout_started: false,
            as_line: None,
        }
    }

    fn line(&mut self) -> Option<&mut dyn Line> {
        self.as_line.map(|as_line| as_line(&mut self.out))
    }
}

impl<EV, W: Line> WriterLine<EV, W> {
    /// Uses the writer as a line from now on.
    pub(super) fn use_line(&mut self, outputs: Outputs) {
        if self.as_line.is_none() {
            self.as_line = Some(|out| out);
            self.out.outputs(outputs);
        }
    }
}

impl<EV: SerialEvents, W: Write> Line for WriterLine<EV, W> {
    fn transmit(&mut self, bytes: &[u8]) -> usize {
        if let Some(line) = self.line() {
            let taken = line.transmit(bytes).min(bytes.len());
            (0..taken).for_each(|_| self.events.out_byte());
            return taken;
        }
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
        let first = self.waiting.pop_front();
        first.or_else(|| self.line()?.receive())
    }

    fn room_again(&mut self) {
        if let Some(line) = self.line() {
            line.room_again();
        }
    }

    fn timeout_started(&mut self) {
        self.timeout_started = true;
        if let Some(line) = self.line() {
            line.timeout_started();
        }
    }

    fn outputs(&mut self, outputs: Outputs) {
        if let Some(line) = self.line() {
            line.outputs(outputs);
        }
    }
}
