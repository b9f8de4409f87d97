//! What a connection has typed, and whether more of it is read.

use std::collections::VecDeque;

use crate::line::{ConsoleLine, Input};

#[derive(Debug)]
pub(in crate::service) struct Inbox {
    /// More may still come.
    open: bool,
    /// Typed, and not taken by the line's queue yet.
    typed: VecDeque<Input>,
    /// The size of the peer's window, if it said: columns, rows.
    window: Option<(u16, u16)>,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self {
            open: true,
            typed: VecDeque::new(),
            window: None,
        }
    }

    pub(in crate::service) fn is_open(&self) -> bool {
        self.open
    }

    /// Nothing that comes from now on is read.
    pub(in crate::service) fn close(&mut self) {
        self.open = false;
    }

    /// Whether all that was typed is with the line.
    pub(in crate::service) fn is_empty(&self) -> bool {
        self.typed.is_empty()
    }

    pub(in crate::service) fn type_bytes(&mut self, bytes: &[u8]) {
        self.typed
            .extend(bytes.iter().map(|byte| Input::Byte(*byte)));
    }

    pub(in crate::service) fn type_break(&mut self) {
        self.typed.push_back(Input::Break);
    }

    /// The peer's window has this size. Whether that is new.
    pub(in crate::service) fn resize(&mut self, columns: u16, rows: u16) -> bool {
        self.window.replace((columns, rows)) != Some((columns, rows))
    }

    /// Moves into the line's queue what fits there, and asks the line to tell when there is room
    /// for the rest.
    pub(in crate::service) fn pass_on(&mut self, line: &mut ConsoleLine) {
        while let Some(input) = self.typed.front() {
            let fits = match input {
                Input::Byte(byte) => line.queue_bytes(&[*byte]) == 1,
                Input::Break => line.queue_break(),
            };
            if !fits {
                line.want_room();
                return;
            }
            self.typed.pop_front();
        }
        self.typed = VecDeque::new();
    }

    /// Drops what was typed, and answers how much that was.
    pub(in crate::service) fn discard(&mut self) -> u64 {
        std::mem::take(&mut self.typed).len() as u64
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn waiting(&self) -> usize {
        self.typed.len()
    }
}
