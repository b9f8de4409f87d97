//! The text logs of a console, as readers of its output that have threads of their own.

use super::ServedConsole;
use crate::text_log::Waker;

#[derive(Default)]
pub(super) struct TextLogs {
    wakers: Vec<Waker>,
    /// The write offset at which they were woken last. What was printed by then they see by
    /// themselves.
    woken_at: u64,
}

impl TextLogs {
    /// Wakes them if the log has grown. Returns the offset up to which they see everything, if
    /// there are any, and whether it has moved.
    pub(super) fn wake(&mut self, head: u64) -> Option<(u64, bool)> {
        if self.wakers.is_empty() {
            return None;
        }
        let has_moved = head != std::mem::replace(&mut self.woken_at, head);
        if has_moved {
            self.wakers.iter().for_each(Waker::wake);
        }
        Some((head, has_moved))
    }
}

impl ServedConsole {
    pub(in crate::service) fn log_text(&mut self, waker: Waker) {
        // It may have seen less than the others.
        waker.wake();
        self.text_logs.wakers.push(waker);
    }
}
