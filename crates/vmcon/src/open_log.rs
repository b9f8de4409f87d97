//! Which source a console's log is read from.

use std::io::ErrorKind;
use std::time::Duration;

use vm_console::{BootLog, LogError};

use crate::failure::{Code, Failure};
use crate::source::{FileSource, LogSource, SocketSource, SourceError};
use crate::target::Console;

/// How long a living VMM may take to say which log it writes. One that does not has been stopped,
/// and its file can be read meanwhile.
const PATIENCE: Duration = Duration::from_secs(1);

/// Opens the log of `console`: its file, if there is one and it is the log that a living VMM writes;
/// else over the socket. A file is read without the VMM's help, so also if that has stopped.
pub(crate) fn open(console: &Console) -> Result<Box<dyn LogSource>, Failure> {
    let Some(path) = console.log() else {
        return over_socket(console);
    };
    let opened = BootLog::open_read_only(path);
    if !console.may_live() {
        return match opened {
            Ok(log) => Ok(Box::new(FileSource::new(log))),
            Err(error) => Err(failure(error).of(console.name())),
        };
    }
    let log = match opened {
        Ok(log) => log,
        Err(error) => {
            let damaged = failure(error).of(console.name());
            // What the socket has to say matters only if the file is not the matter.
            return over_socket(console).map_err(|failure| match damaged.code {
                Code::Damaged => damaged,
                _ => failure,
            });
        }
    };
    // A VMM that keeps its log elsewhere has left the file of an earlier one as it was.
    match console.connect_within(PATIENCE) {
        Ok(client) if client.log().is_some() && client.log() != log.id() => {
            Ok(Box::new(SocketSource::new(client)))
        }
        _ => Ok(Box::new(FileSource::new(log))),
    }
}

fn over_socket(console: &Console) -> Result<Box<dyn LogSource>, Failure> {
    Ok(Box::new(SocketSource::new(console.connect()?)))
}

fn failure(error: LogError) -> Failure {
    let kind = match error.cause() {
        LogError::Io { source, .. } => Some(source.kind()),
        _ => None,
    };
    match kind {
        Some(ErrorKind::NotFound) => {
            Failure::new(Code::Gone, "its VMM is gone, and has left no boot log")
        }
        _ => SourceError::from(error).into(),
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Client(error) => error.into(),
            SourceError::Cut => Self::new(Code::Damaged, "the file of its boot log was cut"),
            SourceError::Log(error) => {
                let is_forbidden = matches!(
                    error.cause(),
                    LogError::Io { source, .. } if source.kind() == ErrorKind::PermissionDenied
                );
                let code = if is_forbidden {
                    Code::NotPermitted
                } else {
                    Code::Damaged
                };
                Self::new(code, error.into_cause())
            }
        }
    }
}
