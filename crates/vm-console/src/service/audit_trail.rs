//! The audit events of all consoles, in one channel of which no console takes more than its share.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use crossbeam_channel::Sender;

use super::kernel::ConsoleId;
use crate::audit::AuditEvent;
use crate::rate::{RateLimit, TokenBucket};

/// Events that one console may send at once, and a second in the long run: a client that provokes
/// more pushes out none of another console's.
const SHARE: (u32, u32) = (256, 128);

pub(super) struct AuditTrail {
    events: Sender<AuditEvent>,
    shares: HashMap<ConsoleId, TokenBucket>,
}

impl AuditTrail {
    pub(super) fn new(events: Sender<AuditEvent>) -> Self {
        Self {
            events,
            shares: HashMap::new(),
        }
    }

    /// Whether the event was taken.
    pub(super) fn record(&mut self, console: ConsoleId, now: Duration, event: AuditEvent) -> bool {
        let share = self.shares.entry(console).or_insert_with(|| {
            let [burst, bytes_per_second] =
                [SHARE.0, SHARE.1].map(|n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN));
            let limit = RateLimit {
                bytes_per_second,
                burst,
            };
            TokenBucket::new(limit, now)
        });
        if share.allowance(now) == 0 {
            return false;
        }
        share.spend(1);
        self.events.try_send(event).is_ok()
    }

    pub(super) fn forget(&mut self, console: ConsoleId) {
        self.shares.remove(&console);
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::audit::Audited;

    const NOW: Duration = Duration::ZERO;

    fn record(trail: &mut AuditTrail, console: ConsoleId) -> bool {
        let event = AuditEvent {
            console: "vm".into(),
            at: SystemTime::UNIX_EPOCH,
            what: Audited::ListenerPaused,
        };
        trail.record(console, NOW, event)
    }

    #[test]
    fn a_console_takes_no_more_than_its_share_and_leaves_nothing_behind() {
        let (sender, _events) = crossbeam_channel::unbounded();
        let mut trail = AuditTrail::new(sender);
        let (greedy, other) = (ConsoleId(1), ConsoleId(2));
        for _ in 0..SHARE.0 {
            assert!(record(&mut trail, greedy));
        }
        assert!(!record(&mut trail, greedy));
        assert!(record(&mut trail, other));
        for console in [greedy, other] {
            trail.forget(console);
        }
        assert!(trail.shares.is_empty());
    }
}
