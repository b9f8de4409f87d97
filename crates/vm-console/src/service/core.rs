//! What all consoles of a service share: descriptors, deadlines, a clock, a buffer.

use std::collections::{BTreeSet, HashMap};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::Sender;
use event_manager::{EventOps, EventSet, Events};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

use crate::audit::{AuditEvent, Audited};
use crate::counters::Counters;
use crate::rate::{RateLimit, TokenBucket};

/// Names a console within a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ConsoleId(pub(super) u32);

/// What a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Commands,
    Timer,
    Bell(ConsoleId),
    Listener(ConsoleId, usize),
    Client(ConsoleId, u32),
}

/// Bytes moved at a time.
pub(super) const CHUNK: usize = 64 << 10;

pub(super) struct Core {
    roles: HashMap<RawFd, Role>,
    timer: OwnedFd,
    /// The moment the timer is set to.
    alarm: Option<Duration>,
    deadlines: BTreeSet<(Duration, ConsoleId)>,
    origin: Instant,
    audit: Sender<AuditEvent>,
    warnings: TokenBucket,
    warnings_held_back: u64,
    pub(super) scratch: Box<[u8]>,
    /// Consoles with a client whose descriptor cannot be watched and has something to do.
    pub(super) again: Vec<ConsoleId>,
}

impl Core {
    pub(super) fn new(audit: Sender<AuditEvent>) -> std::io::Result<Self> {
        let timer = rustix::time::timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        let [rate, burst] =
            [1, 10].map(|n| std::num::NonZeroU32::new(n).unwrap_or(std::num::NonZeroU32::MIN));
        let warnings = TokenBucket::new(
            RateLimit {
                bytes_per_second: rate,
                burst,
            },
            Duration::ZERO,
        );
        Ok(Self {
            roles: HashMap::new(),
            timer,
            alarm: None,
            deadlines: BTreeSet::new(),
            origin: Instant::now(),
            audit,
            warnings,
            warnings_held_back: 0,
            scratch: vec![0; CHUNK].into_boxed_slice(),
            again: Vec::new(),
        })
    }

    /// Time since the service was made.
    pub(super) fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    pub(super) fn role(&self, fd: RawFd) -> Option<Role> {
        self.roles.get(&fd).copied()
    }

    /// Starts to watch a descriptor. `Ok(false)`: it is of a kind that is always ready (a regular file) and cannot be
    /// watched.
    pub(super) fn watch(
        &mut self,
        ops: &mut EventOps<'_>,
        fd: RawFd,
        role: Role,
        interest: EventSet,
    ) -> Result<bool, event_manager::Error> {
        match ops.add(Events::new_raw(fd, interest)) {
            Ok(()) => {
                self.roles.insert(fd, role);
                Ok(true)
            }
            Err(event_manager::Error::Epoll(error))
                if error.errno() == rustix::io::Errno::PERM.raw_os_error() =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn rewatch(&mut self, ops: &mut EventOps<'_>, fd: RawFd, interest: EventSet) {
        if let Err(error) = ops.modify(Events::new_raw(fd, interest)) {
            self.warn(|| format!("cannot change what is watched: {error}"));
        }
    }

    /// Stops watching. To be called before the descriptor is closed: the event loop panics on an event for a
    /// descriptor that it does not know, and only this takes back events that wait in the current batch.
    pub(super) fn unwatch(&mut self, ops: &mut EventOps<'_>, fd: RawFd) {
        if self.roles.remove(&fd).is_some()
            && let Err(error) = ops.remove(Events::empty_raw(fd))
        {
            self.warn(|| format!("cannot stop watching a descriptor: {error}"));
        }
    }

    /// Starts to watch the service's own descriptors.
    pub(super) fn watch_own(
        &mut self,
        ops: &mut EventOps<'_>,
        commands: RawFd,
    ) -> Result<(), event_manager::Error> {
        self.watch(ops, commands, Role::Commands, EventSet::IN)?;
        self.watch(ops, self.timer.as_raw_fd(), Role::Timer, EventSet::IN)?;
        Ok(())
    }

    pub(super) fn unwatch_timer(&mut self, ops: &mut EventOps<'_>) {
        self.unwatch(ops, self.timer.as_raw_fd());
    }

    /// Wants `console` woken at `at`. An alarm that is set too early rings for nothing, once, and is then set right;
    /// that is cheaper than moving it at each key.
    pub(super) fn wake_at(
        &mut self,
        console: ConsoleId,
        old: &mut Option<Duration>,
        at: Option<Duration>,
    ) {
        match (*old, at) {
            (Some(set), Some(at)) if set <= at => return,
            (None, None) => return,
            _ => {}
        }
        if let Some(set) = old.take() {
            self.deadlines.remove(&(set, console));
        }
        if let Some(at) = at {
            self.deadlines.insert((at, console));
            *old = Some(at);
        }
        self.set_alarm();
    }

    /// The consoles whose time has come.
    pub(super) fn take_due(&mut self) -> Vec<ConsoleId> {
        // How often it expired is of no interest, nor is an expiry that was taken back since.
        let _ = rustix::io::read(&self.timer, &mut [0u8; 8]);
        let now = self.now();
        let later = self
            .deadlines
            .split_off(&(now + Duration::from_nanos(1), ConsoleId(0)));
        let due = std::mem::replace(&mut self.deadlines, later);
        self.alarm = None;
        due.into_iter().map(|(_, console)| console).collect()
    }

    /// Arms the timer for the earliest deadline, or disarms it if there is none.
    pub(super) fn set_alarm(&mut self) {
        let first = self.deadlines.first().map(|(at, _)| *at);
        if self.alarm == first {
            return;
        }
        // Zero would disarm it.
        let span = first.map_or(Duration::ZERO, |at| {
            at.saturating_sub(self.now()).max(Duration::from_nanos(1))
        });
        let it_value = Timespec {
            tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: span.subsec_nanos().into(),
        };
        let once = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value,
        };
        match rustix::time::timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once) {
            Ok(_) => self.alarm = first,
            Err(error) => self.warn(|| format!("cannot set the timer: {error}")),
        }
    }

    pub(super) fn audit(&self, console: &Arc<str>, counters: &Counters, what: Audited) {
        let event = AuditEvent {
            console: Arc::clone(console),
            at: SystemTime::now(),
            what,
        };
        if self.audit.try_send(event).is_err() {
            counters.audit_lost.add(1);
        }
    }

    /// Logs a warning that a client or a guest may have provoked: ten at once, then one a second.
    pub(super) fn warn(&mut self, message: impl FnOnce() -> String) {
        let now = self.now();
        if self.warnings.allowance(now) == 0 {
            self.warnings_held_back += 1;
            return;
        }
        self.warnings.spend(1);
        match std::mem::take(&mut self.warnings_held_back) {
            0 => ::log::warn!("{}", message()),
            n => ::log::warn!("{} ({n} other warnings were held back)", message()),
        }
    }
}
