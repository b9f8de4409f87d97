//! The state machine of a console's exclusive session.

use std::time::Duration;

use super::{EndReason, Identity, Refused};

/// The rules of a console's sessions.
///
/// The limits do not apply to a terminal or to files that the owner
/// [attaches](crate::transport::stdio::FdClient::from_files), unless it asks for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionPolicy {
    /// A session ends after this long without input. Zero means no such limit. Default: 10 minutes.
    pub idle_limit: Duration,
    /// A session ends after this long, whatever its activity. Zero means no such limit. Default: 60
    /// minutes.
    pub absolute_limit: Duration,
    /// The holder is warned this long before either limit. Zero, or a time that is not shorter than
    /// the limit, means no warning. Default: 1 minute.
    pub warn_before: Duration,
    /// Whether output to the holder counts as activity too, so that a console that is only watched
    /// does not reach the idle limit. Default: no.
    pub output_counts: bool,
    /// Whether there is a session only while the boot log is on. Default: no.
    pub requires_boot_log: bool,
}

impl Default for SessionPolicy {
    fn default() -> Self {
        Self {
            idle_limit: Duration::from_secs(600),
            absolute_limit: Duration::from_secs(3600),
            warn_before: Duration::from_secs(60),
            output_counts: false,
            requires_boot_log: false,
        }
    }
}

/// The number of a session. A [`Session`] machine never uses one twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lease(u64);

impl Lease {
    /// The number: 1 for the first session of the machine, and one more for each later one.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

/// The client that holds the console.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent conditions")]
pub struct Holder {
    lease: Lease,
    identity: Identity,
    since: Duration,
    last_input: Option<Duration>,
    last_activity: Duration,
    hung_up: bool,
    warned_idle: bool,
    warned_absolute: bool,
    has_limits: bool,
}

impl Holder {
    /// The lease of its session.
    #[must_use]
    pub fn lease(&self) -> Lease {
        self.lease
    }

    /// The client's name and credentials.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The time of its attach, on the caller's clock.
    #[must_use]
    pub fn since(&self) -> Duration {
        self.since
    }

    /// The time of its last input, on the caller's clock. `None` if it has typed nothing.
    #[must_use]
    pub fn last_input(&self) -> Option<Duration> {
        self.last_input
    }

    /// Time since its last input. `None` if it has typed nothing.
    #[must_use]
    pub fn idle_for(&self, now: Duration) -> Option<Duration> {
        self.last_input.map(|last| now.saturating_sub(last))
    }
}

/// A session that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The session's lease.
    pub lease: Lease,
    /// The client that held it.
    pub identity: Identity,
    /// Why it ended.
    pub reason: EndReason,
    /// How long it lasted.
    pub held_for: Duration,
}

/// The answer to an attach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attach {
    /// A session that this attach ended: it was taken over, its client had hung up, or it was past
    /// a limit and no [`tick`](Session::tick) had noticed.
    pub ended: Option<Ended>,
    /// The new session, or why there is none.
    pub lease: Result<Lease, Refused>,
}

/// One of the two limits of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// [`SessionPolicy::idle_limit`].
    Idle,
    /// [`SessionPolicy::absolute_limit`].
    Absolute,
}

/// A consequence of the passing of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tick {
    /// The holder is to be warned of a limit.
    Warn {
        /// The holder's lease.
        lease: Lease,
        /// The limit.
        limit: Limit,
        /// The time left until the session ends.
        remaining: Duration,
    },
    /// A limit ended the session.
    End(Ended),
}

/// Conditions without which every attach is refused.
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
    /// The latest time seen. An earlier one counts as this one, so time never goes back here.
    latest: Duration,
}

impl Session {
    /// A console without a holder. The machine is powered on, and its boot log is on.
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

    /// The rules that it was made with.
    #[must_use]
    pub fn policy(&self) -> &SessionPolicy {
        &self.policy
    }

    /// The client that holds the console; `None` if it is free.
    #[must_use]
    pub fn holder(&self) -> Option<&Holder> {
        self.holder.as_ref()
    }

    /// Whether the machine is powered on, as [`power_on`](Self::power_on) and
    /// [`power_off`](Self::power_off) last said.
    #[must_use]
    pub fn is_powered(&self) -> bool {
        self.gates.powered
    }

    /// Whether the boot log is on, as [`set_boot_log`](Self::set_boot_log) last said.
    #[must_use]
    pub fn boot_log_is_on(&self) -> bool {
        self.gates.boot_log
    }

    /// Whether sessions can still begin: false for good after [`shut_down`](Self::shut_down).
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.gates.open
    }

    /// Gives the console to `identity`, or refuses it. With `force` the session of another holder
    /// ends as taken over.
    ///
    /// A holder that has [hung up](Self::hang_up) gives way without force: its session ends as
    /// closed by the client.
    pub fn attach(&mut self, now: Duration, identity: Identity, force: bool) -> Attach {
        let now = self.clock(now);
        let mut ended = self.expire(now);
        let reason = match self.would_attach(now, force) {
            Err(refused) => {
                return Attach {
                    ended,
                    lease: Err(refused),
                };
            }
            Ok(None) => None,
            Ok(Some(holder)) if holder.hung_up => Some(EndReason::ClientClosed),
            Ok(Some(_)) => Some(EndReason::TakenOver {
                by: identity.clone(),
            }),
        };
        if let Some(reason) = reason {
            ended = self.end(now, reason);
        }
        self.last_lease += 1;
        let lease = Lease(self.last_lease);
        self.holder = Some(Holder {
            lease,
            identity,
            since: now,
            last_input: None,
            last_activity: now,
            hung_up: false,
            warned_idle: false,
            warned_absolute: false,
            has_limits: true,
        });
        Attach {
            ended,
            lease: Ok(lease),
        }
    }

    /// What [`attach`](Self::attach) would come to at `now`, with no effect: the holder whose session
    /// it would end, if there is one. A session that is past a limit counts as ended.
    ///
    /// # Errors
    /// Why it would be refused.
    pub fn would_attach(&self, now: Duration, force: bool) -> Result<Option<&Holder>, Refused> {
        let now = self.latest.max(now);
        if let Some(refused) = self.gate() {
            return Err(refused);
        }
        let is_over = self.overdue(now).is_some();
        match self.holder.as_ref().filter(|_| !is_over) {
            Some(holder) if !holder.hung_up && !force => Err(Refused::Busy {
                holder: holder.identity.clone(),
                held_for: now.saturating_sub(holder.since),
                idle_for: holder.idle_for(now),
            }),
            holder => Ok(holder),
        }
    }

    /// The time left at `now` until `limit` ends the session. `None` without a session, or if it
    /// has no such limit.
    #[must_use]
    pub fn time_left(&self, limit: Limit, now: Duration) -> Option<Duration> {
        let ends = self.ends().into_iter().flatten();
        let (_, at) = ends.into_iter().find(|(which, _)| *which == limit)?;
        Some(at.saturating_sub(self.latest.max(now)))
    }

    /// Lifts the limits of the policy for the session of `lease`: nothing but an event ends it.
    pub fn lift_limits(&mut self, lease: Lease) {
        if let Some(holder) = self.holder.as_mut().filter(|holder| holder.lease == lease) {
            holder.has_limits = false;
        }
    }

    /// Records input from the client of `lease`, as activity. Returns whether it may type: only the
    /// holder may, and only before its limits.
    #[must_use]
    pub fn input(&mut self, now: Duration, lease: Lease) -> bool {
        let now = self.clock(now);
        if self.overdue(now).is_some() {
            return false;
        }
        match &mut self.holder {
            Some(holder) if holder.lease == lease => {
                holder.last_input = Some(now);
                holder.last_activity = now;
                holder.warned_idle = false;
                true
            }
            _ => false,
        }
    }

    /// Records that output has reached the client of `lease`. It is activity only if the policy
    /// [says so](SessionPolicy::output_counts).
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

    /// Records that the client of `lease` is gone or will never type again, while its input is
    /// still on its way to the guest. The session goes on until [`detach`](Self::detach), a limit,
    /// or the attach of any other client.
    pub fn hang_up(&mut self, lease: Lease) {
        if let Some(holder) = self.holder.as_mut().filter(|holder| holder.lease == lease) {
            holder.hung_up = true;
        }
    }

    /// Ends the session of `lease`, unless it is over already.
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

    /// Records that the machine was powered off. The session ends, and none begins until
    /// [`power_on`](Self::power_on).
    pub fn power_off(&mut self, now: Duration) -> Option<Ended> {
        self.gates.powered = false;
        self.end(now, EndReason::PoweredOff)
    }

    /// Records that the machine was powered on. No effect if it was on.
    pub fn power_on(&mut self) {
        self.gates.powered = true;
    }

    /// Records that the boot log was turned on or off. Off ends a session only if the policy
    /// [requires the boot log](SessionPolicy::requires_boot_log).
    pub fn set_boot_log(&mut self, now: Duration, on: bool) -> Option<Ended> {
        self.gates.boot_log = on;
        if on || !self.policy.requires_boot_log {
            return None;
        }
        self.end(now, EndReason::Error("the boot log was turned off".into()))
    }

    /// Closes the console for good: the session ends, and none begins any more.
    pub fn shut_down(&mut self, now: Duration) -> Option<Ended> {
        self.gates.open = false;
        self.end(now, EndReason::ShuttingDown)
    }

    /// Lets time pass, and returns one consequence. Call it at
    /// [`next_deadline`](Self::next_deadline) before anything else, and again until it returns
    /// `None`.
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

    /// The next time when [`tick`](Self::tick) returns something; `None` while nothing can expire.
    /// If it is not later than the latest time seen, `tick` returns something now.
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

    /// When each limit ends the session. The absolute limit comes first, so that it wins a tie.
    fn ends(&self) -> [Option<(Limit, Duration)>; 2] {
        let Some(holder) = self.holder.as_ref().filter(|holder| holder.has_limits) else {
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

    /// When each warning is due that has not been given yet.
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
                .then(|| (limit, at.saturating_sub(before)))
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
