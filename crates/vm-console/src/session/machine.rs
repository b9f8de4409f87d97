//! The state machine itself.

use std::time::Duration;

use super::{EndReason, Identity, Refused};

/// The rules of a console's sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionPolicy {
    /// A session without input for this long ends. Zero: no such limit. Default: 10 minutes.
    pub idle_limit: Duration,
    /// A session ends after this long whatever its activity. Zero: no such limit. Default: 60 minutes.
    pub absolute_limit: Duration,
    /// The client is warned this long before either limit. Zero: no warning. Default: 1 minute.
    pub warn_before: Duration,
    /// Output counts as activity too, so that a watched console does not fall idle. Default: no.
    pub output_counts: bool,
    /// No session unless the boot log is on. Default: no.
    pub requires_boot_log: bool,
}

impl Default for SessionPolicy {
    fn default() -> Self {
        Self {
            idle_limit: Duration::from_mins(10),
            absolute_limit: Duration::from_hours(1),
            warn_before: Duration::from_mins(1),
            output_counts: false,
            requires_boot_log: false,
        }
    }
}

/// Names one session for good: no two sessions of a [`Session`] machine ever have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lease(u64);

impl Lease {
    /// A number that is unique within the machine and grows with each session.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

/// Who holds the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    lease: Lease,
    identity: Identity,
    since: Duration,
    last_input: Duration,
    last_activity: Duration,
    hung_up: bool,
    warned_idle: bool,
    warned_absolute: bool,
}

impl Holder {
    /// Its lease.
    #[must_use]
    pub fn lease(&self) -> Lease {
        self.lease
    }

    /// Who it is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// When it attached, on the caller's clock.
    #[must_use]
    pub fn since(&self) -> Duration {
        self.since
    }

    /// When it last typed (or attached), on the caller's clock.
    #[must_use]
    pub fn last_input(&self) -> Duration {
        self.last_input
    }
}

/// A session that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which one.
    pub lease: Lease,
    /// Whose it was.
    pub identity: Identity,
    /// Why.
    pub reason: EndReason,
    /// How long it lasted.
    pub held_for: Duration,
}

/// The answer to an attach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attach {
    /// The session that ended on the way: the one taken over, or one whose limit had passed unnoticed.
    pub ended: Option<Ended>,
    /// The new session, or why there is none.
    pub lease: Result<Lease, Refused>,
}

/// Which of the two limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// No input for too long.
    Idle,
    /// Attached for too long.
    Absolute,
}

/// What the passing of time brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tick {
    /// The holder is to be warned that a limit comes up.
    Warn {
        /// Whom.
        lease: Lease,
        /// Which limit.
        limit: Limit,
        /// How long until then.
        remaining: Duration,
    },
    /// A limit ended the session.
    End(Ended),
}

/// The gates that refuse an attach whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gates {
    powered: bool,
    boot_log: bool,
    open: bool,
}

/// One console's exclusive session. See the [module](super) for the rules.
#[derive(Clone, Debug)]
pub struct Session {
    policy: SessionPolicy,
    gates: Gates,
    holder: Option<Holder>,
    last_lease: u64,
    /// The latest time seen: the clock never goes back in here.
    latest: Duration,
}

impl Session {
    /// A free console of a machine that runs, its boot log on.
    #[must_use]
    pub fn new(policy: SessionPolicy) -> Self {
        let gates = Gates {
            powered: true,
            boot_log: true,
            open: true,
        };
        Self {
            policy,
            gates,
            holder: None,
            last_lease: 0,
            latest: Duration::ZERO,
        }
    }

    /// The rules it was made with.
    #[must_use]
    pub fn policy(&self) -> &SessionPolicy {
        &self.policy
    }

    /// Who holds the console.
    #[must_use]
    pub fn holder(&self) -> Option<&Holder> {
        self.holder.as_ref()
    }

    /// Whether the machine is powered, as last told.
    #[must_use]
    pub fn is_powered(&self) -> bool {
        self.gates.powered
    }

    /// Whether the boot log is on, as last told.
    #[must_use]
    pub fn boot_log_is_on(&self) -> bool {
        self.gates.boot_log
    }

    /// Whether sessions may begin at all: not once it was [shut down](Self::shut_down).
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.gates.open
    }

    /// `identity` wants the console, by `force` if need be.
    ///
    /// A holder that has hung up does not stand in the way: its session ends as closed by the client.
    pub fn attach(&mut self, now: Duration, identity: Identity, force: bool) -> Attach {
        let now = self.clock(now);
        let mut ended = self.expire(now);
        if let Some(refused) = self.gate() {
            return Attach {
                ended,
                lease: Err(refused),
            };
        }
        if let Some(holder) = &self.holder {
            let reason = if holder.hung_up {
                EndReason::ClientClosed
            } else if force {
                EndReason::TakenOver {
                    by: identity.clone(),
                }
            } else {
                let refused = Refused::Busy {
                    holder: holder.identity.clone(),
                    held_for: now.saturating_sub(holder.since),
                    idle_for: now.saturating_sub(holder.last_input),
                };
                return Attach {
                    ended,
                    lease: Err(refused),
                };
            };
            ended = self.end(now, reason);
        }
        self.last_lease += 1;
        let lease = Lease(self.last_lease);
        self.holder = Some(Holder {
            lease,
            identity,
            since: now,
            last_input: now,
            last_activity: now,
            hung_up: false,
            warned_idle: false,
            warned_absolute: false,
        });
        Attach {
            ended,
            lease: Ok(lease),
        }
    }

    /// The client of `lease` has typed. Whether it may: only the holder, and only before its limits.
    #[must_use]
    pub fn input(&mut self, now: Duration, lease: Lease) -> bool {
        let now = self.clock(now);
        if self.overdue(now).is_some() {
            return false;
        }
        match &mut self.holder {
            Some(holder) if holder.lease == lease => {
                holder.last_input = now;
                holder.last_activity = now;
                holder.warned_idle = false;
                true
            }
            _ => false,
        }
    }

    /// The guest's output has reached the client of `lease`. Counts as activity only if the policy says so.
    pub fn output(&mut self, now: Duration, lease: Lease) {
        let now = self.clock(now);
        if !self.policy.output_counts || self.overdue(now).is_some() {
            return;
        }
        if let Some(holder) = self.holder.as_mut().filter(|holder| holder.lease == lease) {
            holder.last_activity = now;
            holder.warned_idle = false;
        }
    }

    /// The peer of `lease` is gone, though input of it is still on its way to the guest. The session goes on until that
    /// is done, a limit ends it, or anybody attaches.
    pub fn hang_up(&mut self, lease: Lease) {
        if let Some(holder) = self.holder.as_mut().filter(|holder| holder.lease == lease) {
            holder.hung_up = true;
        }
    }

    /// Ends the session of `lease`, if it still is the holder's.
    pub fn detach(&mut self, now: Duration, lease: Lease, reason: EndReason) -> Option<Ended> {
        if self.holder.as_ref()?.lease == lease {
            self.end(now, reason)
        } else {
            None
        }
    }

    /// Ends the session, whoever holds it.
    pub fn end(&mut self, now: Duration, reason: EndReason) -> Option<Ended> {
        let now = self.clock(now);
        let holder = self.holder.take()?;
        Some(Ended {
            lease: holder.lease,
            held_for: now.saturating_sub(holder.since),
            identity: holder.identity,
            reason,
        })
    }

    /// The machine was powered off: the session ends, and none begins until [`power_on`](Self::power_on).
    pub fn power_off(&mut self, now: Duration) -> Option<Ended> {
        self.gates.powered = false;
        self.end(now, EndReason::PoweredOff)
    }

    /// The machine runs (again). Without effect if it did.
    pub fn power_on(&mut self) {
        self.gates.powered = true;
    }

    /// The boot log was turned on or off. Turning it off ends a session only if the policy requires it on.
    pub fn set_boot_log(&mut self, now: Duration, on: bool) -> Option<Ended> {
        self.gates.boot_log = on;
        if on || !self.policy.requires_boot_log {
            return None;
        }
        self.end(now, EndReason::Error("the boot log was turned off".into()))
    }

    /// The service is going away: the session ends, and none begins any more.
    pub fn shut_down(&mut self, now: Duration) -> Option<Ended> {
        self.gates.open = false;
        self.end(now, EndReason::ShuttingDown)
    }

    /// Lets time pass: call it at [`next_deadline`](Self::next_deadline), and before anything else at `now`. Call again
    /// until it answers `None`.
    pub fn tick(&mut self, now: Duration) -> Option<Tick> {
        let now = self.clock(now);
        if let Some(ended) = self.expire(now) {
            return Some(Tick::End(ended));
        }
        let (limit, deadline) = self
            .warnings()
            .into_iter()
            .flatten()
            .filter(|(_, at)| *at <= now)
            .min_by_key(|(_, at)| *at)?;
        let holder = self.holder.as_mut()?;
        let end = match limit {
            Limit::Idle => {
                holder.warned_idle = true;
                deadline.saturating_add(self.policy.warn_before)
            }
            Limit::Absolute => {
                holder.warned_absolute = true;
                deadline.saturating_add(self.policy.warn_before)
            }
        };
        Some(Tick::Warn {
            lease: holder.lease,
            limit,
            remaining: end.saturating_sub(now),
        })
    }

    /// When [`tick`](Self::tick) next has something to say; `None` while nothing can expire. Never earlier than the
    /// latest time seen without `tick` having something to say.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let ends = self.ends().into_iter().flatten().map(|(_, at)| at);
        let warnings = self.warnings().into_iter().flatten().map(|(_, at)| at);
        ends.chain(warnings).min()
    }

    fn clock(&mut self, now: Duration) -> Duration {
        self.latest = self.latest.max(now);
        self.latest
    }

    fn gate(&self) -> Option<Refused> {
        if !self.gates.open {
            Some(Refused::ShuttingDown)
        } else if !self.gates.powered {
            Some(Refused::PoweredOff)
        } else if self.policy.requires_boot_log && !self.gates.boot_log {
            Some(Refused::BootLogOff)
        } else {
            None
        }
    }

    /// When each limit ends the session; the absolute one first, so that it wins a tie.
    fn ends(&self) -> [Option<(Limit, Duration)>; 2] {
        let Some(holder) = &self.holder else {
            return [None, None];
        };
        let end = |limit, from: Duration, span: Duration| {
            if span.is_zero() {
                None
            } else {
                from.checked_add(span).map(|at| (limit, at))
            }
        };
        [
            end(Limit::Absolute, holder.since, self.policy.absolute_limit),
            end(Limit::Idle, holder.last_activity, self.policy.idle_limit),
        ]
    }

    /// When each warning that has not been given is due.
    fn warnings(&self) -> [Option<(Limit, Duration)>; 2] {
        let Some(holder) = &self.holder else {
            return [None, None];
        };
        let before = self.policy.warn_before;
        self.ends().map(|end| {
            let (limit, at) = end?;
            let (given, span) = match limit {
                Limit::Idle => (holder.warned_idle, self.policy.idle_limit),
                Limit::Absolute => (holder.warned_absolute, self.policy.absolute_limit),
            };
            (!given && !before.is_zero() && before < span)
                .then(|| (limit, at.checked_sub(before).unwrap()))
        })
    }

    fn overdue(&self, now: Duration) -> Option<Limit> {
        let due = self
            .ends()
            .into_iter()
            .flatten()
            .filter(|(_, at)| *at <= now);
        due.min_by_key(|(_, at)| *at).map(|(limit, _)| limit)
    }

    fn expire(&mut self, now: Duration) -> Option<Ended> {
        let reason = match self.overdue(now)? {
            Limit::Idle => EndReason::Idle {
                limit: self.policy.idle_limit,
            },
            Limit::Absolute => EndReason::MaximumReached {
                limit: self.policy.absolute_limit,
            },
        };
        self.end(now, reason)
    }
}
