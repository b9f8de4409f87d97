//! The reasons why an attach is refused, and why a session ends.

use std::fmt;
use std::time::Duration;

use super::Identity;
use crate::when::{LastInput, Span};

/// Why a session ended. Each session ends with exactly one of these. A client of a control socket
/// is told which; so is a raw client, if [`notices`](crate::ConsoleConfig::notices) are on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The client closed its side, detached or died.
    ClientClosed,
    /// Another client took the console by force.
    TakenOver {
        /// The new holder.
        by: Identity,
    },
    /// There was no input for as long as the idle limit.
    Idle {
        /// The idle limit.
        limit: Duration,
    },
    /// The absolute limit was reached, whatever the activity.
    MaximumReached {
        /// The absolute limit.
        limit: Duration,
    },
    /// The machine was powered off.
    PoweredOff,
    /// The client was further behind than [`max_behind`](crate::ConsoleConfig::max_behind) allows,
    /// or lost output where [`gaps`](crate::ConsoleConfig::gaps) forbids it.
    TooSlow,
    /// The owner withdrew the client's right.
    Revoked,
    /// The service is shutting down, or the console is no longer served.
    ShuttingDown,
    /// Something failed. The text says what, and is shown to the client.
    Error(String),
}

impl EndReason {
    /// The number of kinds, 9. [`index`](Self::index) is less.
    pub const KINDS: usize = 9;

    /// A number from 0 to [`KINDS`](Self::KINDS) - 1 for counting, in the order of declaration. The
    /// protocol has numbers of its own.
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

    /// The name of each kind at its [`index`](Self::index), for counters and logs.
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

    /// Whether the client is still sent the output from before the end.
    pub(crate) fn lets_output_drain(&self) -> bool {
        !matches!(self, Self::Revoked | Self::TooSlow | Self::Error(_))
    }

    /// Whether the guest still gets the input that it has not taken: only if the client left by
    /// itself, since any other end takes away its right to type.
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

/// Why an attach was refused. A refusal changes nothing for the holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Another client holds the console, and the attach did not ask for force.
    Busy {
        /// The holder.
        holder: Identity,
        /// Time since the holder attached.
        held_for: Duration,
        /// Time since the holder's last input. `None` if it has typed nothing.
        idle_for: Option<Duration>,
    },
    /// The machine is off. Attach again when it runs; observers may attach now.
    PoweredOff,
    /// The boot log is off. Observers need it on, and so do holders if the policy
    /// [says so](super::SessionPolicy::requires_boot_log).
    BootLogOff,
    /// The client has no right to attach, or as an observer no right to read the log.
    NotPermitted,
    /// There are as many observers as [`max_observers`](crate::ConsoleConfig::max_observers)
    /// allows.
    TooManyObservers,
    /// The service is shutting down, or the console is no longer served.
    ShuttingDown,
}

impl Refused {
    /// The number of kinds, 6. [`index`](Self::index) is less.
    pub const KINDS: usize = 6;

    /// The name of each kind at its [`index`](Self::index), for counters and logs.
    pub const NAMES: [&'static str; Self::KINDS] = [
        "busy",
        "powered off",
        "boot log off",
        "not permitted",
        "too many observers",
        "shutting down",
    ];

    /// A number from 0 to [`KINDS`](Self::KINDS) - 1 for counting, in the order of declaration. The
    /// protocol has numbers of its own.
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
                    "in use by {holder} for {}, {}",
                    Span(*held_for),
                    LastInput(*idle_for)
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
