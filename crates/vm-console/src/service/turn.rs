//! One turn: the handling of one event, and what all consoles share while it lasts.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crossbeam_channel::Sender;

use super::agenda::Agenda;
use super::audit_trail::AuditTrail;
use super::kernel::{ConsoleId, Interest, Kernel, Watched};
use super::warnings::Warnings;
use crate::audit::{AuditEvent, Audited};
use crate::console::Console;

/// Bytes moved at a time.
pub(super) const CHUNK: usize = 64 << 10;

/// How long a turn goes on taking up more work. What it has begun it finishes, which is bounded by
/// work: one chunk, one request, one step of a search.
const LENGTH: Duration = Duration::from_micros(100);

/// What all consoles of a service share.
pub(super) struct Shared {
    pub(super) agenda: Agenda,
    /// Consoles that want another turn though nothing will wake them.
    again: BTreeSet<ConsoleId>,
    /// The last one that had it. They take turns, or the first could keep out all others.
    last_again: Option<ConsoleId>,
    pub(super) audit: AuditTrail,
    warnings: Warnings,
    scratch: Box<[u8]>,
}

/// What a part of a console needs from outside while it handles an event.
pub(super) struct Turn<'a> {
    pub(super) kernel: &'a mut dyn Kernel,
    pub(super) shared: &'a mut Shared,
    /// When it began.
    started: Duration,
    /// Requests that were carried out in it.
    requests: u32,
}

impl Shared {
    pub(super) fn new(audit: Sender<AuditEvent>) -> Self {
        Self {
            agenda: Agenda::default(),
            again: BTreeSet::new(),
            last_again: None,
            audit: AuditTrail::new(audit),
            warnings: Warnings::new(),
            scratch: vec![0; CHUNK].into_boxed_slice(),
        }
    }

    /// Whether some console wants another turn at once.
    pub(super) fn another_is_wanted(&self) -> bool {
        !self.again.is_empty()
    }

    /// Gives `console` another turn as soon as others have had theirs.
    pub(super) fn want_another(&mut self, console: ConsoleId) {
        self.again.insert(console);
    }

    /// How many consoles want another turn.
    pub(super) fn waiting_for_turn(&self) -> usize {
        self.again.len()
    }

    /// The next console that wants another turn: the one after the last that had it.
    pub(super) fn take_waiting_for_turn(&mut self) -> Option<ConsoleId> {
        let start = self.last_again.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self.again.range((start, Bound::Unbounded));
        let next = *rest.next().or_else(|| self.again.first())?;
        self.last_again = Some(next);
        self.again.remove(&next);
        Some(next)
    }
}

impl<'a> Turn<'a> {
    pub(super) fn new(
        kernel: &'a mut dyn Kernel,
        shared: &'a mut Shared,
        started: Duration,
    ) -> Self {
        Self {
            kernel,
            shared,
            started,
            requests: 0,
        }
    }

    /// Whether it has taken so long that what is left has to wait for the next one.
    pub(super) fn is_over(&self) -> bool {
        self.now().saturating_sub(self.started) >= LENGTH
    }

    /// Whether it carries out no further request. It carries out one in any case: it may be over
    /// before it has come to a connection that has one.
    pub(super) fn is_over_for_requests(&self) -> bool {
        self.requests > 0 && self.is_over()
    }

    pub(super) fn carries_out_request(&mut self) {
        self.requests += 1;
    }

    pub(super) fn requests(&self) -> u32 {
        self.requests
    }

    pub(super) fn now(&self) -> Duration {
        self.kernel.now()
    }

    pub(super) fn time_of_day(&self) -> SystemTime {
        self.kernel.time_of_day()
    }

    /// A buffer for one chunk. Whoever borrows it gives it back before anybody else wants it.
    pub(super) fn scratch(&mut self) -> &mut [u8] {
        &mut self.shared.scratch
    }

    /// Gives `console` another turn as soon as others have had theirs.
    pub(super) fn want_another(&mut self, console: ConsoleId) {
        self.shared.want_another(console);
    }

    /// As [`Kernel::watch`]; a failure is logged and given back as `None`.
    pub(super) fn watch(&mut self, fd: RawFd, what: Watched, interest: Interest) -> Option<bool> {
        match self.kernel.watch(fd, what, interest) {
            Ok(watched) => Some(watched),
            Err(error) => {
                self.warn(|| format!("cannot watch a descriptor ({what:?}): {error}"));
                None
            }
        }
    }

    pub(super) fn rewatch(&mut self, fd: RawFd, interest: Interest) {
        if let Err(error) = self.kernel.rewatch(fd, interest) {
            self.warn(|| format!("cannot change what is watched: {error}"));
        }
    }

    pub(super) fn unwatch(&mut self, fd: RawFd) {
        if let Err(error) = self.kernel.unwatch(fd) {
            self.warn(|| format!("cannot stop watching a descriptor: {error}"));
        }
    }

    pub(super) fn audit(&mut self, id: ConsoleId, console: &Console, what: Audited) {
        let event = AuditEvent {
            console: Arc::clone(&console.name),
            at: self.time_of_day(),
            what,
        };
        let now = self.now();
        if !self.shared.audit.record(id, now, event) {
            console.counters.audit_lost.add(1);
        }
    }

    /// Logs a warning, unless there were too many.
    pub(super) fn warn(&mut self, message: impl FnOnce() -> String) {
        let now = self.now();
        self.shared.warnings.warn(now, message);
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// A kernel in which it is this late, and nothing else.
    struct Clock(Duration);

    impl Kernel for Clock {
        fn now(&self) -> Duration {
            self.0
        }

        fn time_of_day(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH
        }

        fn batch(&self) -> u64 {
            0
        }

        fn watch(&mut self, _: RawFd, _: Watched, _: Interest) -> io::Result<bool> {
            Ok(false)
        }

        fn rewatch(&mut self, _: RawFd, _: Interest) -> io::Result<()> {
            Ok(())
        }

        fn unwatch(&mut self, _: RawFd) -> io::Result<()> {
            Ok(())
        }

        fn set_alarm(&mut self, _: Option<Duration>) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_turn_that_is_over_carries_out_one_request_all_the_same() {
        let mut shared = Shared::new(crossbeam_channel::bounded(0).0);
        let started = Duration::from_secs(1);
        for (after, is_over) in [
            (Duration::ZERO, false),
            (LENGTH.saturating_sub(Duration::from_nanos(1)), false),
            (LENGTH, true),
        ] {
            let mut clock = Clock(started + after);
            let mut turn = Turn::new(&mut clock, &mut shared, started);
            assert_eq!(turn.is_over(), is_over, "{after:?}");
            assert!(!turn.is_over_for_requests());
            for requests in 1..3 {
                turn.carries_out_request();
                assert_eq!(turn.requests(), requests);
                assert_eq!(turn.is_over_for_requests(), is_over, "{after:?}");
            }
        }
    }

    #[test]
    fn consoles_that_always_want_another_turn_take_turns() {
        let mut shared = Shared::new(crossbeam_channel::bounded(0).0);
        let ids = [1, 3, 7].map(ConsoleId);
        let mut had = Vec::new();
        for _ in 0..9 {
            shared.again.extend(ids);
            assert_eq!(shared.waiting_for_turn(), ids.len());
            had.extend(shared.take_waiting_for_turn());
        }
        assert_eq!(had, ids.repeat(3));
        shared.again.clear();
        assert_eq!(shared.take_waiting_for_turn(), None);
    }
}
