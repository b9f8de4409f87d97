//! What other threads may know of the service without asking it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Progress {
    is_finished: AtomicBool,
    longest_turn: AtomicU64,
}

impl Progress {
    pub(super) fn is_finished(&self) -> bool {
        self.is_finished.load(Ordering::Acquire)
    }

    pub(super) fn longest_turn(&self) -> Duration {
        Duration::from_nanos(self.longest_turn.load(Ordering::Relaxed))
    }

    pub(super) fn finish(&self) {
        self.is_finished.store(true, Ordering::Release);
    }

    pub(super) fn turn_took(&self, span: Duration) {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        self.longest_turn.fetch_max(nanos, Ordering::Relaxed);
    }
}
