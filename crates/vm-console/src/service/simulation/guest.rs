//! The guest: it prints bytes that tell their own offset, and takes its input apart by who typed it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::line::{ConsoleLine, Input};
use crate::port::GuestPort;

/// The guest's port.
#[derive(Debug)]
pub(super) struct SimulatedPort {
    line: Mutex<ConsoleLine>,
    carrier: AtomicBool,
}

impl SimulatedPort {
    pub(super) fn new(line: ConsoleLine) -> Self {
        Self {
            line: Mutex::new(line),
            carrier: AtomicBool::new(true),
        }
    }

    pub(super) fn visit<T>(&self, visit: impl FnOnce(&mut ConsoleLine) -> T) -> T {
        let mut line = self
            .line
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        visit(&mut line)
    }

    pub(super) fn carrier(&self) -> bool {
        self.carrier.load(Ordering::Relaxed)
    }
}

impl GuestPort for SimulatedPort {
    fn with_line(&self, visit: &mut dyn FnMut(&mut ConsoleLine)) {
        self.visit(visit);
    }

    fn set_carrier(&self, present: bool) {
        self.carrier.store(present, Ordering::Relaxed);
    }
}

/// Sees whether each SysRq arrives as one piece. Its keys are `a`, `b` and so on.
#[derive(Debug, Default)]
pub(super) struct SysRqReader {
    last: [Option<Input>; 2],
}

impl SysRqReader {
    /// Whether `input`, if it is a key, follows its BREAK, and that the key before.
    pub(super) fn takes(&mut self, input: Input) -> bool {
        let [before, last] = self.last;
        self.last = [last, Some(input)];
        match input {
            Input::Break => true,
            Input::Byte(key) => {
                let is_first = key == b'a';
                last == Some(Input::Break) && (is_first || before == Some(Input::Byte(key - 1)))
            }
        }
    }
}

/// The byte that the guest prints at this offset: never a control character, a bracket or a tilde.
///
/// Four bytes together say where they are, so that a reader who lost its place notices.
pub(super) fn printed(offset: u64) -> u8 {
    let group = offset / 4;
    match offset % 4 {
        0 => b'A' + (group >> 12 & 15) as u8,
        1 => b'a' + (group >> 8 & 15) as u8,
        2 => b'a' + (group >> 4 & 15) as u8,
        _ => b'a' + (group & 15) as u8,
    }
}

/// What a client types: who it is, and a number that goes on. No escape begins with it.
pub(super) fn typed(client: usize, number: u64) -> u8 {
    0x80 | (client as u8 & 15) << 3 | (number & 7) as u8
}

/// Undoes [`typed`].
pub(super) fn typed_by(byte: u8) -> (usize, u64) {
    (usize::from(byte >> 3 & 15), u64::from(byte & 7))
}
