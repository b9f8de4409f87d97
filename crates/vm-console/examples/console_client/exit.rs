//! What the program ends with, and what it prints with. No print here can panic.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use vm_console::client::ClientError;

/// For `--help`.
pub(crate) const CODES: &str = "\
Exit codes:
  0  done; or you left; or nobody reads the output any more
  1  the console cannot be reached, refuses, or has ended the session
  2  the arguments are wrong
  A signal puts the terminal back first: a shell shows 128 + its number.";

/// Why a command ends before it is done.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Nobody reads the output any more: nothing is left to do, and nobody left to tell.
    OutputGone,
    /// The text says why.
    Failed(String),
    /// The session was ended by the other side, and the user was told.
    Told,
}

impl Stop {
    pub(crate) fn failed(why: impl Display) -> Self {
        Self::Failed(why.to_string())
    }

    /// What it means that standard output takes nothing.
    pub(crate) fn by_output(error: &io::Error) -> Self {
        // A pipe without a reader, and a terminal that was closed.
        let is_gone = error.kind() == io::ErrorKind::BrokenPipe
            || error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error());
        if is_gone {
            Self::OutputGone
        } else {
            Self::Failed(format!("standard output: {error}"))
        }
    }
}

impl From<ClientError> for Stop {
    fn from(error: ClientError) -> Self {
        Self::failed(error)
    }
}

/// The exit code, after a line on standard error if one is due.
pub(crate) fn code(result: Result<(), Stop>) -> ExitCode {
    match result {
        Ok(()) | Err(Stop::OutputGone) => ExitCode::SUCCESS,
        Err(Stop::Told) => ExitCode::FAILURE,
        Err(Stop::Failed(why)) => {
            notice(format_args!("{why}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Says something on standard error, whether or not anybody reads it.
pub(crate) fn notice(text: impl Display) {
    // In one write, so that output does not come between.
    let _ = io::stderr().write_all(text.to_string().as_bytes());
}
