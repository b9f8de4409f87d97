//! The program's end and its messages. No print here can panic.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use vm_console::client::ClientError;

/// The exit codes, as `--help` shows them.
pub(crate) const CODES: &str = "\
Exit codes:
  0  done; or you left; or nobody reads the output any more
  1  the console cannot be reached, refuses, or has ended the session
  2  the arguments are wrong
  A signal puts the terminal back first: a shell shows 128 + its number.";

/// Why a command ends before it is done.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The reader of standard output is gone, so there is nothing left to do.
    OutputGone,
    /// It failed, for the reason in the text.
    Failed(String),
    /// The other side ended the session, and the user was told.
    Told,
}

impl Stop {
    pub(crate) fn failed(why: impl Display) -> Self {
        Self::Failed(why.to_string())
    }

    /// Why standard output cannot be written to.
    pub(crate) fn by_output(error: &io::Error) -> Self {
        // A pipe without a reader, or a closed terminal.
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

/// Prints the line that is due on standard error, if any, and returns the exit code.
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

/// Prints a line on standard error, if anybody reads that.
pub(crate) fn notice(text: impl Display) {
    // With one write, so that no output comes in between.
    let _ = io::stderr().write_all(text.to_string().as_bytes());
}
