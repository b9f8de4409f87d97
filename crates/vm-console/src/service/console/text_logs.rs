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
    pub(super) fn is_empty(&self) -> bool {
        self.wakers.is_empty()
    }

    /// Wakes them if the log has grown, and returns by how much since they were woken last.
    pub(super) fn wake(&mut self, head: u64) -> u64 {
        let grown = head.abs_diff(std::mem::replace(&mut self.woken_at, head));
        if grown > 0 {
            self.wakers.iter().for_each(Waker::wake);
        }
        grown
    }
}

impl ServedConsole {
    pub(in crate::service) fn log_text(&mut self, waker: Waker) {
        // It may have seen less than the others.
        waker.wake();
        self.text_logs.wakers.push(waker);
    }
}
