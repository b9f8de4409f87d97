//! Why a command ends before it has done what it was asked: one shape for all of them.

use std::fmt;
use std::io;

use serde_json::{Map, Value, json};
use vm_console::client::ClientError;
use vm_console::printable;
use vm_console::protocol::{EndCode, ErrorCode, Held, Refusal, RefusalCode};

use crate::held::{in_words, millis};

/// The exit codes, as `--help` shows them.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
   0  done; or you left; or nobody reads the output any more
   1  something failed that has no code of its own; log --grep, ls PATTERN: nothing matches
   2  the arguments are wrong, or ask for a boot or an offset that is not there
   3  there is no such console
   4  its VMM is gone, or does not answer
   5  somebody else holds the console
   6  the machine is off
   7  not permitted, or a limit of the console is reached
   8  the session was taken over
   9  the session was ended for another reason
  10  the pattern was not seen in time (attach --expect)
  11  this console, or its version, cannot do that
  12  the entry or the log is damaged, or not what it should be
A signal puts the terminal back first: a shell shows 128 + its number.";

/// Longest message that is shown, in bytes.
const MESSAGE_LIMIT: usize = 1024;

/// The reason of a [`Failure`], for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Whatever has no code of its own.
    Failed,
    /// The arguments are wrong.
    Usage,
    /// No entry of that name.
    NoSuchConsole,
    /// What is left of a VMM that has ended.
    Gone,
    /// Nobody answers.
    Unreachable,
    /// Somebody else holds the console.
    InUse,
    /// The machine is off.
    PoweredOff,
    /// The console is configured to allow nobody in without its boot log.
    BootLogOff,
    /// No right to do this.
    NotPermitted,
    /// A limit of the console is reached.
    TooMany,
    /// The console's service ends.
    ShuttingDown,
    /// The session was taken over.
    TakenOver,
    /// No input for the idle limit.
    Idle,
    /// The session has reached the longest time that is allowed.
    MaximumReached,
    /// The client fell too far behind.
    TooSlow,
    /// The owner withdrew the right to be here.
    Revoked,
    /// No line matches a pattern.
    NoMatch,
    /// A pattern did not come in time.
    NotSeen,
    /// The console cannot do this.
    NotSupported,
    /// A file is not what it should be.
    Damaged,
}

impl Code {
    /// Its name in JSON.
    pub(crate) fn key(self) -> &'static str {
        self.row().0
    }

    /// The exit code of the process.
    pub(crate) fn exit(self) -> u8 {
        self.row().1
    }

    fn row(self) -> (&'static str, u8) {
        match self {
            Self::Failed => ("failed", 1),
            Self::Usage => ("usage", 2),
            Self::NoMatch => ("no_match", 1),
            Self::NoSuchConsole => ("no_such_console", 3),
            Self::Gone => ("gone", 4),
            Self::Unreachable => ("unreachable", 4),
            Self::InUse => ("in_use", 5),
            Self::PoweredOff => ("powered_off", 6),
            Self::BootLogOff => ("boot_log_off", 7),
            Self::NotPermitted => ("not_permitted", 7),
            Self::TooMany => ("too_many", 7),
            Self::TakenOver => ("taken_over", 8),
            Self::ShuttingDown => ("shutting_down", 9),
            Self::Idle => ("idle", 9),
            Self::MaximumReached => ("maximum_reached", 9),
            Self::TooSlow => ("too_slow", 9),
            Self::Revoked => ("revoked", 9),
            Self::NotSeen => ("not_seen", 10),
            Self::NotSupported => ("not_supported", 11),
            Self::Damaged => ("damaged", 12),
        }
    }
}

/// Why a command could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// For programs.
    pub(crate) code: Code,
    /// For people: one line without an end.
    pub(crate) message: String,
    /// Who holds the console, if that is the reason.
    pub(crate) holder: Option<Held>,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl fmt::Display) -> Self {
        Self {
            code,
            message: message.to_string(),
            holder: None,
        }
    }

    /// The same, said about the console of that name.
    pub(crate) fn of(mut self, console: impl fmt::Display) -> Self {
        self.message = format!("{console}: {}", self.message);
        self
    }

    /// The shape that programs read.
    pub(crate) fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("code".into(), self.code.key().into());
        object.insert("message".into(), self.message.clone().into());
        if let Some(held) = &self.holder {
            object.insert("holder".into(), held.by.clone().into());
            object.insert("held_for_ms".into(), millis(held.held_for).into());
            object.insert("idle_for_ms".into(), held.idle_for.map(millis).into());
        }
        json!({ "error": object })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It may repeat what a guest's VMM, a holder or a path says.
        f.write_str(&printable(&self.message, MESSAGE_LIMIT))
    }
}

impl std::error::Error for Failure {}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal.reason {
            RefusalCode::Busy => Code::InUse,
            RefusalCode::PoweredOff => Code::PoweredOff,
            RefusalCode::BootLogOff => Code::BootLogOff,
            RefusalCode::NotPermitted => Code::NotPermitted,
            RefusalCode::TooManyObservers => Code::TooMany,
            RefusalCode::ShuttingDown => Code::ShuttingDown,
            _ => Code::Failed,
        };
        let message = match &refusal.holder {
            Some(held) => in_use(held),
            None => refusal.text,
        };
        Self {
            code,
            message,
            holder: refusal.holder,
        }
    }
}

/// Who holds a console, since when, and for how long idle, in a few words.
pub(crate) fn in_use(held: &Held) -> String {
    format!("in use by {}", in_words(&held.by, held))
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let code = match &error {
            ClientError::Refused(refusal) => return refusal.clone().into(),
            ClientError::Closed => Code::Unreachable,
            ClientError::Service { code, .. } => match code {
                ErrorCode::NotPermitted => Code::NotPermitted,
                ErrorCode::NotSupported | ErrorCode::UnknownType => Code::NotSupported,
                _ => Code::Failed,
            },
            ClientError::OldService { .. } => Code::NotSupported,
            ClientError::Io(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    return Self::new(Code::Unreachable, "the console service does not answer");
                }
                _ => Code::Unreachable,
            },
            _ => Code::Failed,
        };
        Self::new(code, error)
    }
}

/// The failure that the end of a session is; `None` if it ended as its client wanted.
pub(crate) fn of_end(code: EndCode) -> Option<Code> {
    Some(match code {
        EndCode::ClientClosed => return None,
        EndCode::TakenOver => Code::TakenOver,
        EndCode::Idle => Code::Idle,
        EndCode::MaximumReached => Code::MaximumReached,
        EndCode::PoweredOff => Code::PoweredOff,
        EndCode::TooSlow => Code::TooSlow,
        EndCode::Revoked => Code::Revoked,
        EndCode::ShuttingDown => Code::ShuttingDown,
        _ => Code::Failed,
    })
}
