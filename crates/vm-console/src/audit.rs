//! Audit events: one for every transition, as it happens.
//!
//! They arrive in [`ServiceHandle::audit`](crate::service::ServiceHandle::audit).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::protocol::PowerAction;
use crate::session::{EndReason, Identity, Limit, Refused};

/// Most audit events that wait to be received, for all consoles of a service together. Further ones
/// are counted in [`audit_lost`](crate::CounterValues::audit_lost) and dropped; the service never
/// waits. So that one console cannot push out the events of others, each may send 256 events at
/// once and 128 per second in the long run.
pub const AUDIT_LIMIT: usize = 1024;

/// One audit event of a console.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEvent {
    /// The console's [name](crate::ConsoleConfig::name).
    pub console: Arc<str>,
    /// The time when the service noticed it, by the host's clock.
    pub at: SystemTime,
    /// What happened.
    pub what: Audited,
}

/// What happened on a console.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Audited {
    /// A session began.
    Attached {
        /// The holder.
        who: Identity,
        /// Whether it asked to take the console by force, needed or not.
        forced: bool,
    },
    /// An attach was refused.
    Refused {
        /// The client.
        who: Identity,
        /// The reason.
        why: Refused,
    },
    /// A session ended.
    Ended {
        /// The holder.
        who: Identity,
        /// The reason.
        why: EndReason,
        /// How long the session lasted.
        held_for: Duration,
    },
    /// An observer (a read-only client) was let in.
    Observing {
        /// The observer.
        who: Identity,
    },
    /// An observer left, or its session was ended.
    ObserverLeft {
        /// The observer.
        who: Identity,
        /// The reason.
        why: EndReason,
    },
    /// A client read the log over a control socket.
    LogRead {
        /// The client.
        who: Identity,
        /// Offset of the first byte.
        from: u64,
        /// Offset after the last byte.
        to: u64,
    },
    /// The holder was warned of a limit.
    Warned {
        /// The limit.
        limit: Limit,
    },
    /// The holder sent BREAK.
    Break {
        /// The holder.
        who: Identity,
    },
    /// A client typed a SysRq sequence: BREAKs and keys in one piece.
    SysRq {
        /// The client.
        who: Identity,
        /// The keys; a BREAK goes before each. If there are none, it was one BREAK.
        keys: String,
        /// The holder, if that is somebody else: the client has forced it.
        beside: Option<Identity>,
    },
    /// A client begins to follow the log over a control socket without a session, or goes on
    /// elsewhere than where it had come to.
    Following {
        /// The client.
        who: Identity,
        /// Offset of the first byte.
        from: u64,
    },
    /// The holder's window has another size.
    Resized {
        /// Width in characters.
        columns: u16,
        /// Height in characters.
        rows: u16,
    },
    /// A client's request to stop, start, restart or interrupt the machine was passed on.
    Power {
        /// The client.
        who: Identity,
        /// The request.
        action: PowerAction,
    },
    /// The machine was powered on.
    PoweredOn,
    /// The machine was powered off.
    PoweredOff,
    /// A new boot began.
    Boot {
        /// The number of the boot.
        epoch: u64,
    },
    /// A session began, and input of an earlier one that the guest had not taken was dropped.
    /// Otherwise it would reach the guest as the new holder's.
    InputDiscarded {
        /// The number of characters.
        characters: u64,
    },
    /// A listener accepts nobody for a while, because descriptors or memory have run out.
    ListenerPaused,
}
