//! One turn: the handling of one event, and what all consoles share while it lasts.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crossbeam_channel::Sender;

use super::agenda::Agenda;
use super::kernel::{ConsoleId, Interest, Kernel, Watched};
use crate::audit::{AuditEvent, Audited};
use crate::counters::Counters;
use crate::rate::{RateLimit, TokenBucket};

/// Bytes moved at a time.
pub(super) const CHUNK: usize = 64 << 10;

/// What all consoles of a service share.
pub(super) struct Shared {
    pub(super) agenda: Agenda,
    /// Consoles that want another turn though nothing will wake them.
    again: BTreeSet<ConsoleId>,
    audit: Sender<AuditEvent>,
    warnings: Warnings,
    scratch: Box<[u8]>,
}

/// Warnings that a client or a guest may have provoked: ten at once, then one a second.
struct Warnings {
    bucket: TokenBucket,
    held_back: u64,
}

/// What a part of a console needs from outside while it handles an event.
pub(super) struct Turn<'a> {
    pub(super) kernel: &'a mut dyn Kernel,
    pub(super) shared: &'a mut Shared,
}

impl Shared {
    pub(super) fn new(audit: Sender<AuditEvent>) -> Self {
        let [bytes_per_second, burst] =
            [1, 10].map(|n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN));
        let limit = RateLimit {
            bytes_per_second,
            burst,
        };
        Self {
            agenda: Agenda::default(),
            again: BTreeSet::new(),
            audit,
            warnings: Warnings {
                bucket: TokenBucket::new(limit, Duration::ZERO),
                held_back: 0,
            },
            scratch: vec![0; CHUNK].into_boxed_slice(),
        }
    }

    /// Whether some console wants another turn at once.
    pub(super) fn has_more(&self) -> bool {
        !self.again.is_empty()
    }

    /// The consoles that want another turn, once.
    pub(super) fn take_again(&mut self) -> BTreeSet<ConsoleId> {
        std::mem::take(&mut self.again)
    }
}

impl Turn<'_> {
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
    pub(super) fn again(&mut self, console: ConsoleId) {
        self.shared.again.insert(console);
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

    pub(super) fn audit(&self, console: &Arc<str>, counters: &Counters, what: Audited) {
        let event = AuditEvent {
            console: Arc::clone(console),
            at: self.time_of_day(),
            what,
        };
        if self.shared.audit.try_send(event).is_err() {
            counters.audit_lost.add(1);
        }
    }

    /// Logs a warning, unless there were too many.
    pub(super) fn warn(&mut self, message: impl FnOnce() -> String) {
        let now = self.now();
        let warnings = &mut self.shared.warnings;
        if warnings.bucket.allowance(now) == 0 {
            warnings.held_back += 1;
            return;
        }
        warnings.bucket.spend(1);
        match std::mem::take(&mut warnings.held_back) {
            0 => ::log::warn!("{}", message()),
            n => ::log::warn!("{} ({n} other warnings were held back)", message()),
        }
    }
}
