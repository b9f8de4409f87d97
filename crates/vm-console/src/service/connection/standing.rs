//! What a connection is to the console, and whether its peer is there.

use std::time::Duration;

use crate::session::{EndReason, Lease};

/// What a connection is to the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::service) enum Role {
    /// It has no session.
    Guest {
        /// It had one: what it sent before it knew of the end is void.
        had_session: bool,
    },
    Holder(Lease),
    Observer {
        since: Duration,
    },
    /// Its session is over. It is shown output before `drain_to`, and is then told why.
    Leaving {
        why: EndReason,
        drain_to: u64,
        until: Duration,
    },
}

/// Whether the peer is there, and whether it is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Open,
    /// The peer is gone; what it sent is passed on until then.
    HungUp {
        until: Duration,
    },
    /// Everything is said; it may take until then to read it and to close.
    Closing {
        until: Duration,
    },
    /// To be taken out.
    Gone {
        /// The peer has left, rather than been let go.
        peer_left: bool,
    },
}

#[derive(Debug)]
pub(in crate::service) struct Standing {
    role: Role,
    life: Life,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            role: Role::Guest { had_session: false },
            life: Life::Open,
        }
    }
}

impl Standing {
    pub(in crate::service) fn role(&self) -> &Role {
        &self.role
    }

    pub(in crate::service) fn lease(&self) -> Option<Lease> {
        match self.role {
            Role::Holder(lease) => Some(lease),
            Role::Guest { .. } | Role::Observer { .. } | Role::Leaving { .. } => None,
        }
    }

    pub(in crate::service) fn is_observer(&self) -> bool {
        matches!(self.role, Role::Observer { .. })
    }

    pub(in crate::service) fn has_session(&self) -> bool {
        matches!(self.role, Role::Holder(_) | Role::Observer { .. })
    }

    pub(in crate::service) fn is_leaving(&self) -> bool {
        matches!(self.role, Role::Leaving { .. })
    }

    pub(in crate::service) fn hold(&mut self, lease: Lease) {
        self.role = Role::Holder(lease);
    }

    pub(in crate::service) fn observe(&mut self, since: Duration) {
        self.role = Role::Observer { since };
    }

    /// It was told why its session ended.
    pub(in crate::service) fn has_left(&mut self) {
        self.role = Role::Guest { had_session: true };
    }

    /// Nothing more will be said than what is pending.
    pub(in crate::service) fn close(&mut self, until: Duration) {
        if self.life == Life::Open {
            self.life = Life::Closing { until };
        }
    }

    /// The peer is gone.
    pub(in crate::service) fn hang_up(&mut self, until: Duration) {
        self.life = match self.life {
            Life::Open => Life::HungUp { until },
            Life::HungUp { .. } => return,
            // Nothing of it is awaited.
            Life::Closing { .. } | Life::Gone { .. } => Life::Gone { peer_left: true },
        };
    }

    pub(in crate::service) fn go(&mut self) {
        let peer_left = match self.life {
            Life::Open | Life::Closing { .. } => false,
            Life::HungUp { .. } => true,
            Life::Gone { peer_left } => peer_left,
        };
        self.life = Life::Gone { peer_left };
    }

    pub(in crate::service) fn has_hung_up(&self) -> bool {
        matches!(self.life, Life::HungUp { .. })
    }

    pub(in crate::service) fn is_closing(&self) -> bool {
        matches!(self.life, Life::Closing { .. })
    }

    pub(in crate::service) fn is_gone(&self) -> bool {
        matches!(self.life, Life::Gone { .. })
    }

    /// Whether it is gone because its peer has left.
    pub(in crate::service) fn peer_left(&self) -> bool {
        self.life == Life::Gone { peer_left: true }
    }

    /// Whether it hung up so long ago that what it typed last is not passed on any more.
    pub(in crate::service) fn was_heard_out(&self, now: Duration) -> bool {
        matches!(self.life, Life::HungUp { until } if until <= now)
    }

    /// Its session is over. What is left of the output is still its own, unless the reason says
    /// otherwise; a peer that is gone needs no farewell.
    pub(super) fn end_session(&mut self, why: EndReason, head: u64, until: Duration) {
        if self.has_hung_up() {
            self.go();
        }
        let drain_to = if why.lets_output_drain() { head } else { 0 };
        self.role = Role::Leaving {
            why,
            drain_to,
            until,
        };
    }

    pub(super) fn on_time(&mut self, now: Duration) {
        if matches!(self.life, Life::Closing { until } if until <= now) {
            self.go();
        }
    }

    /// Whether the time is over in which it could read what is left for it.
    pub(in crate::service) fn has_lingered(&self, now: Duration) -> bool {
        self.leaves_by().is_some_and(|until| until <= now)
    }

    /// It is shown no more output before it is told why it leaves.
    pub(in crate::service) fn stop_draining(&mut self) {
        if let Role::Leaving { drain_to, .. } = &mut self.role {
            *drain_to = 0;
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let life = match self.life {
            Life::HungUp { until } | Life::Closing { until } => Some(until),
            Life::Open | Life::Gone { .. } => None,
        };
        [self.leaves_by(), life].into_iter().flatten().min()
    }

    fn leaves_by(&self) -> Option<Duration> {
        match self.role {
            Role::Leaving { until, .. } => Some(until),
            Role::Guest { .. } | Role::Holder(_) | Role::Observer { .. } => None,
        }
    }
}
