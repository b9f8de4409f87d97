//! When each console wants to be woken.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::kernel::ConsoleId;

/// One deadline for each console that has one.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    by_time: BTreeSet<(Duration, ConsoleId)>,
    by_console: HashMap<ConsoleId, Duration>,
}

impl Agenda {
    /// Wants `console` woken at `at`, or not at all. An alarm that is set too early rings for
    /// nothing, once, and is then set right; that is cheaper than moving it at each key.
    pub(super) fn wake_at(&mut self, console: ConsoleId, at: Option<Duration>) {
        if let (Some(set), Some(at)) = (self.by_console.get(&console), at)
            && *set <= at
        {
            return;
        }
        self.forget(console);
        if let Some(at) = at {
            self.by_time.insert((at, console));
            self.by_console.insert(console, at);
        }
    }

    /// The console whose deadline has passed longest, and takes that deadline back.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<ConsoleId> {
        let (at, console) = self.by_time.first().copied()?;
        (at <= now).then(|| {
            self.forget(console);
            console
        })
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Duration> {
        self.by_time.first().map(|(at, _)| *at)
    }

    fn forget(&mut self, console: ConsoleId) {
        if let Some(set) = self.by_console.remove(&console) {
            self.by_time.remove(&(set, console));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_each_console_once() {
        let mut agenda = Agenda::default();
        let at = Duration::from_millis;
        let (a, b) = (ConsoleId(1), ConsoleId(2));
        agenda.wake_at(a, Some(at(50)));
        agenda.wake_at(b, Some(at(30)));
        // Moved forward at once; a later wish keeps the earlier alarm.
        agenda.wake_at(a, Some(at(20)));
        agenda.wake_at(a, Some(at(90)));
        assert_eq!(agenda.next(), Some(at(20)));
        assert_eq!(agenda.take_due(at(19)), None);
        assert_eq!(agenda.take_due(at(40)), Some(a));
        assert_eq!(agenda.take_due(at(40)), Some(b));
        assert_eq!(agenda.take_due(at(100)), None);
        agenda.wake_at(a, Some(at(50)));
        agenda.wake_at(a, None);
        assert_eq!(agenda.next(), None);
    }
}
