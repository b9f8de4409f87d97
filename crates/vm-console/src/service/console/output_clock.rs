//! When output came last, as far as the service has looked.

use std::time::Duration;

use crate::service::turn::Turn;

#[derive(Debug)]
pub(super) struct OutputClock {
    head: u64,
    came_at: Option<Duration>,
}

impl OutputClock {
    /// For a log whose write offset is `head`.
    pub(super) fn new(head: u64) -> Self {
        Self {
            head,
            came_at: None,
        }
    }

    /// The write offset is `head` now.
    pub(super) fn look(&mut self, head: u64, turn: &Turn<'_>) {
        if std::mem::replace(&mut self.head, head) != head {
            self.came_at = Some(turn.now());
        }
    }

    /// How long before `now`, when the write offset is `head`, output came last. `None` if none has
    /// come since the first look.
    pub(super) fn age(&self, head: u64, now: Duration) -> Option<Duration> {
        if head == self.head {
            self.came_at.map(|at| now.saturating_sub(at))
        } else {
            // Since the last look, which was not long ago.
            Some(Duration::ZERO)
        }
    }
}
