//! What the program writes, in ways that cannot panic.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use rustix::io::Errno;
use rustix::termios::Winsize;
use vm_console::client::ClientError;

use crate::failure::{Code, Failure};

/// Why a command ends before it is done.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The reader of standard output is gone, so there is nothing left to do.
    OutputGone,
    /// It failed; the user is still to be told.
    Failed(Failure),
    /// It ends with this code, and the user was told why.
    Told(Code),
}

impl Stop {
    /// Something failed that has no code of its own.
    pub(crate) fn failed(why: impl Display) -> Self {
        Failure::new(Code::Failed, why).into()
    }
}

/// Why standard output cannot be written to.
impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        // A pipe without a reader, or a closed terminal.
        let is_gone = error.kind() == io::ErrorKind::BrokenPipe
            || error.raw_os_error() == Some(Errno::IO.raw_os_error());
        if is_gone {
            Self::OutputGone
        } else {
            Self::failed(format_args!("standard output: {error}"))
        }
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<ClientError> for Stop {
    fn from(error: ClientError) -> Self {
        Self::Failed(error.into())
    }
}

/// Writes a text to standard output, all of it.
pub(crate) fn print(text: impl Display) -> Result<(), Stop> {
    let mut out = io::stdout().lock();
    out.write_all(text.to_string().as_bytes())?;
    Ok(out.flush()?)
}

/// Writes a value to standard output as one line of JSON.
pub(crate) fn print_json(value: &serde_json::Value) -> Result<(), Stop> {
    print(format_args!("{value}\n"))
}

/// Writes to standard error, if anybody reads that.
pub(crate) fn notice(text: impl Display) {
    // With one write, so that no output comes in between.
    let _ = io::stderr().write_all(text.to_string().as_bytes());
}

/// Whether the terminal is said to know text only.
pub(crate) fn terminal_is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}

/// How wide the terminal at standard output is; `None` if it is none.
pub(crate) fn width() -> Option<usize> {
    size(|size| size.ws_col)
}

/// How many lines the terminal at standard output has; `None` if it is none.
pub(crate) fn height() -> Option<usize> {
    size(|size| size.ws_row)
}

fn size(of: impl FnOnce(Winsize) -> u16) -> Option<usize> {
    let out = io::stdout();
    if !out.is_terminal() {
        return None;
    }
    let size = of(rustix::termios::tcgetwinsize(&out).ok()?);
    (size > 0).then_some(usize::from(size))
}
