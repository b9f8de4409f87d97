//! Why a session was refused, and why it ended.

use std::fmt;
use std::time::Duration;

use super::Identity;
use crate::when::Span;

/// Why a session ended. Every session ends with exactly one of these, and its client is told which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The client closed its side, detached or died.
    ClientClosed,
    /// Somebody else took the console by force.
    TakenOver {
        /// The new holder.
        by: Identity,
    },
    /// No input for the idle limit.
    Idle {
        /// The limit that was reached.
        limit: Duration,
    },
    /// The absolute limit was reached, whatever the activity.
    MaximumReached {
        /// The limit that was reached.
        limit: Duration,
    },
    /// The machine was powered off.
    PoweredOff,
    /// The client fell further behind than the configured bound, or lost output where its policy forbids a gap.
    TooSlow,
    /// The owner withdrew the right to be here.
    Revoked,
    /// The service is shutting down.
    ShuttingDown,
    /// Something failed; the text names what.
    Error(String),
}

impl EndReason {
    /// How many kinds there are; [`index`](Self::index) is below it.
    pub const KINDS: usize = 9;

    /// A dense number for counting, in the order of declaration.
    #[must_use]
    pub fn index(&self) -> usize {
        match self {
            Self::ClientClosed => 0,
            Self::TakenOver { .. } => 1,
            Self::Idle { .. } => 2,
            Self::MaximumReached { .. } => 3,
            Self::PoweredOff => 4,
            Self::TooSlow => 5,
            Self::Revoked => 6,
            Self::ShuttingDown => 7,
            Self::Error(_) => 8,
        }
    }

    /// The names that belong to [`index`](Self::index), for counters and logs.
    pub const NAMES: [&'static str; Self::KINDS] = [
        "client closed",
        "taken over",
        "idle",
        "maximum reached",
        "powered off",
        "too slow",
        "revoked",
        "shutting down",
        "error",
    ];

    /// Whether the client is still shown the output up to the moment of the end. A revoked or hopelessly slow one is
    /// not.
    pub(crate) fn lets_output_drain(&self) -> bool {
        !matches!(self, Self::Revoked | Self::TooSlow | Self::Error(_))
    }

    /// Whether input that the guest has not taken yet still belongs to it: only if the client left of its own accord.
    pub(crate) fn keeps_input(&self) -> bool {
        matches!(self, Self::ClientClosed)
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientClosed => f.write_str("closed by the client"),
            Self::TakenOver { by } => write!(f, "taken over by {by}"),
            Self::Idle { limit } => write!(f, "no input for {}", Span(*limit)),
            Self::MaximumReached { limit } => {
                write!(f, "the maximum of {} is reached", Span(*limit))
            }
            Self::PoweredOff => f.write_str("the machine was powered off"),
            Self::TooSlow => f.write_str("the client was too slow for the output"),
            Self::Revoked => f.write_str("access was revoked"),
            Self::ShuttingDown => f.write_str("the console service is shutting down"),
            Self::Error(what) => write!(f, "error: {what}"),
        }
    }
}

/// Why an attach was refused. Nothing changed for whoever holds the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Somebody holds it, and the attach did not ask to force.
    Busy {
        /// Who holds it.
        holder: Identity,
        /// For how long.
        held_for: Duration,
        /// Time since the holder's last input.
        idle_for: Duration,
    },
    /// The machine is off; attach again when it runs.
    PoweredOff,
    /// The policy wants the boot log on, and it is off.
    BootLogOff,
    /// This client has no right to attach.
    NotPermitted,
    /// As many read-only observers as are allowed are there already.
    TooManyObservers,
    /// The service is shutting down.
    ShuttingDown,
}

impl Refused {
    /// How many kinds there are; [`index`](Self::index) is below it.
    pub const KINDS: usize = 6;

    /// The names that belong to [`index`](Self::index), for counters and logs.
    pub const NAMES: [&'static str; Self::KINDS] = [
        "busy",
        "powered off",
        "boot log off",
        "not permitted",
        "too many observers",
        "shutting down",
    ];

    /// A dense number for counting, in the order of declaration.
    #[must_use]
    pub fn index(&self) -> usize {
        match self {
            Self::Busy { .. } => 0,
            Self::PoweredOff => 1,
            Self::BootLogOff => 2,
            Self::NotPermitted => 3,
            Self::TooManyObservers => 4,
            Self::ShuttingDown => 5,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy {
                holder,
                held_for,
                idle_for,
            } => {
                write!(
                    f,
                    "in use by {holder} for {}, last input {} ago",
                    Span(*held_for),
                    Span(*idle_for)
                )
            }
            Self::PoweredOff => f.write_str("the machine is powered off"),
            Self::BootLogOff => f.write_str("the boot log is off, and sessions need it on"),
            Self::NotPermitted => f.write_str("not permitted"),
            Self::TooManyObservers => f.write_str("too many observers"),
            Self::ShuttingDown => f.write_str("the console service is shutting down"),
        }
    }
}

impl std::error::Error for Refused {}
