//! What other threads may know of the service without asking it.

use std::sync::atomic::{AtomicBool, Ordering};

use super::turn_times::TurnCounters;

#[derive(Debug, Default)]
pub(super) struct Progress {
    is_shutting_down: AtomicBool,
    is_finished: AtomicBool,
    pub(super) turns: TurnCounters,
}

impl Progress {
    /// Whether it was told to shut down, or has finished in another way.
    pub(super) fn is_over(&self) -> bool {
        self.is_shutting_down.load(Ordering::Acquire) || self.is_finished()
    }

    pub(super) fn shut_down(&self) {
        self.is_shutting_down.store(true, Ordering::Release);
    }

    pub(super) fn is_finished(&self) -> bool {
        self.is_finished.load(Ordering::Acquire)
    }

    pub(super) fn finish(&self) {
        self.is_finished.store(true, Ordering::Release);
    }
}
