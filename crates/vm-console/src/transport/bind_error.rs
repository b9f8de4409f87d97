//! Why a way in cannot be made.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;

/// Why a socket or a pty cannot be made: its address, and the step that failed with the system's
/// error, or what is in the way and what to do about that.
#[derive(Debug)]
pub struct BindError {
    /// Said before the address: what it is of, if not of a socket.
    noun: &'static str,
    address: OsString,
    what: &'static str,
    source: io::Error,
}

impl BindError {
    pub(super) fn socket(
        address: &OsStr,
        what: &'static str,
        source: impl Into<io::Error>,
    ) -> Self {
        Self {
            noun: "",
            address: address.to_owned(),
            what,
            source: source.into(),
        }
    }

    pub(super) fn pty(link: &OsStr, what: &'static str, source: impl Into<io::Error>) -> Self {
        Self {
            noun: "pty ",
            ..Self::socket(link, what, source)
        }
    }

    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// The system's error, if it was one. Otherwise the words of the kind would add nothing.
    fn system_error(&self) -> Option<&io::Error> {
        Some(&self.source).filter(|error| error.raw_os_error().is_some())
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            noun,
            address,
            what,
            ..
        } = self;
        write!(f, "{noun}{}: {what}", address.display())?;
        match self.system_error() {
            Some(error) => write!(f, ": {error}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.system_error().map(|error| error as _)
    }
}
