//! A console's share of the service's time.
//!
//! One batch of events may hold many of one console, if its clients make them. So that those of all
//! others do not wait behind them, a console has a share of each batch. Its events beyond that wait
//! in a line of their own, from which the service takes some after each batch.

use std::collections::VecDeque;
use std::time::Duration;

use super::kernel::{Part, Readiness};

/// Time for the events of one console in one batch. The last one may go beyond it.
const SHARE: Duration = Duration::from_micros(50);

/// What a console has had of its share, and what waits.
#[derive(Debug, Default)]
pub(super) struct Share {
    /// The batch that `spent` is about.
    batch: u64,
    spent: Duration,
    /// In the order in which they came, one for each part: so no part can push out another, and
    /// there are no more than the console has descriptors.
    waiting: VecDeque<(Part, Readiness)>,
}

impl Share {
    /// Whether an event in this batch has to wait.
    pub(super) fn is_used_up(&self, batch: u64) -> bool {
        let is_spent = self.batch == batch && self.spent >= SHARE;
        is_spent || !self.waiting.is_empty()
    }

    pub(super) fn spend(&mut self, batch: u64, time: Duration) {
        if self.batch != batch {
            self.batch = batch;
            self.spent = Duration::ZERO;
        }
        self.spent = self.spent.saturating_add(time);
    }

    /// Lets an event wait. It is told again while it waits, and then waits once. A part may have
    /// two descriptors, each of which tells its own side, so what was told before stays.
    pub(super) fn put_off(&mut self, part: Part, ready: Readiness) {
        let mut waiting = self.waiting.iter_mut();
        match waiting.find(|(waits, _)| *waits == part) {
            Some((_, known)) => known.add(ready),
            None => self.waiting.push_back((part, ready)),
        }
    }

    /// The event that has waited longest.
    pub(super) fn next(&mut self) -> Option<(Part, Readiness)> {
        self.waiting.pop_front()
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READABLE: Readiness = Readiness {
        readable: true,
        writable: false,
        hung_up: false,
    };

    #[test]
    fn a_share_is_for_one_batch() {
        let mut share = Share::default();
        assert!(!share.is_used_up(0));
        share.spend(0, SHARE / 2);
        assert!(!share.is_used_up(0));
        share.spend(0, SHARE / 2);
        assert!(share.is_used_up(0));
        assert!(!share.is_used_up(1));
        share.spend(1, SHARE / 2);
        assert!(!share.is_used_up(1));
    }

    #[test]
    fn events_wait_once_and_in_their_order() {
        let mut share = Share::default();
        let parts = [Part::Listener(1), Part::Bell, Part::Listener(0)];
        for part in parts.iter().chain(&parts) {
            share.put_off(*part, READABLE);
            assert!(share.is_used_up(7), "later ones do not overtake it");
            assert!(share.has_waiting());
        }
        let taken = std::iter::from_fn(|| share.next());
        assert_eq!(
            taken.collect::<Vec<_>>(),
            parts.map(|part| (part, READABLE))
        );
        assert!(!share.has_waiting());
    }

    /// A terminal's two descriptors are one part, and each tells only its own side.
    #[test]
    fn a_part_that_is_told_again_keeps_what_it_was_told_before() {
        let mut share = Share::default();
        let told = |at| Readiness {
            readable: at == 0,
            writable: at == 1,
            hung_up: at == 2,
        };
        for at in 0..3 {
            share.put_off(Part::Bell, told(at));
        }
        let all = Readiness {
            readable: true,
            writable: true,
            hung_up: true,
        };
        assert_eq!(share.next(), Some((Part::Bell, all)));
        assert!(!share.has_waiting());
    }
}
