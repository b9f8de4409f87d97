//! What an auditor wants to know: every transition, as it happens.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::protocol::PowerAction;
use crate::session::{EndReason, Identity, Limit, Refused};

/// Events that wait for whoever receives them; beyond that they are counted as lost, never waited for.
pub const AUDIT_LIMIT: usize = 1024;

/// Something happened on a console.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEvent {
    /// On which.
    pub console: Arc<str>,
    /// When.
    pub at: SystemTime,
    /// What.
    pub what: Audited,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Audited {
    /// A session began.
    Attached {
        /// Whose.
        who: Identity,
        /// Whether it asked to take the console by force.
        forced: bool,
    },
    /// An attach was refused.
    Refused {
        /// Whose.
        who: Identity,
        /// Why.
        why: Refused,
    },
    /// A session ended.
    Ended {
        /// Whose.
        who: Identity,
        /// Why.
        why: EndReason,
        /// How long it lasted.
        held_for: Duration,
    },
    /// A read-only client came.
    Observing {
        /// Who.
        who: Identity,
    },
    /// A read-only client left, or was disconnected.
    ObserverLeft {
        /// Who.
        who: Identity,
        /// Why.
        why: EndReason,
    },
    /// The log was read.
    LogRead {
        /// By whom.
        who: Identity,
        /// First offset.
        from: u64,
        /// Offset after the last.
        to: u64,
    },
    /// The holder was warned of a limit.
    Warned {
        /// Which.
        limit: Limit,
    },
    /// A client sent BREAK.
    Break {
        /// Who.
        who: Identity,
    },
    /// The holder's window changed.
    Resized {
        /// Width in characters.
        columns: u16,
        /// Height in characters.
        rows: u16,
    },
    /// A client asked for stop, start or restart.
    Power {
        /// Who.
        who: Identity,
        /// What.
        action: PowerAction,
    },
    /// The machine was powered on.
    PoweredOn,
    /// The machine was powered off.
    PoweredOff,
    /// A new boot began.
    Boot {
        /// Its number.
        epoch: u64,
    },
    /// What one session typed and the guest had not taken was dropped, so that it does not reach the guest as another's.
    InputDiscarded {
        /// How many characters.
        characters: u64,
    },
    /// A listener waits because descriptors or memory ran out.
    ListenerPaused,
}
