//! What other threads may know of the service without asking it.

use std::sync::atomic::{AtomicBool, Ordering};

use super::turn_times::TurnCounters;

#[derive(Debug, Default)]
pub(super) struct Progress {
    is_finished: AtomicBool,
    pub(super) turns: TurnCounters,
}

impl Progress {
    pub(super) fn is_finished(&self) -> bool {
        self.is_finished.load(Ordering::Acquire)
    }

    pub(super) fn finish(&self) {
        self.is_finished.store(true, Ordering::Release);
    }
}
