//! Logs to read, wherever they are: one interface for the file that a VMM has left, or writes, and
//! for the console of a living one. Nothing here prints, or knows of a command line.

mod file;
mod socket;

use std::fmt;
use std::time::Duration;

use vm_console::client::ClientError;
use vm_console::protocol::{Boots, LineTimes};
use vm_console::{LogError, LogId};

pub(crate) use file::FileSource;
pub(crate) use socket::SocketSource;

/// A log that can be read.
///
/// Offsets count the bytes that were ever written to it, from 0.
pub(crate) trait LogSource: fmt::Debug {
    /// Which log it is. `None` for a file, or a service, of a version that knows no identities.
    fn id(&self) -> Option<LogId>;

    /// Whether it is a file, which does not tell that its writer has ended.
    fn is_file(&self) -> bool;

    /// What it holds now.
    fn span(&mut self) -> Result<Span, SourceError>;

    /// Copies the bytes from the offset `at` on, as many as fit into `room` and are there.
    fn read(&mut self, at: u64, room: &mut [u8]) -> Result<Piece, SourceError>;

    /// The boots that it knows, and its marks.
    fn boots(&mut self) -> Result<Boots, SourceError>;

    /// The times of lines that end after the offset `after`, as many as fit into one answer. To go
    /// on, ask for those after the last one's end, until there are none.
    fn line_times(&mut self, after: u64) -> Result<LineTimes, SourceError>;

    /// Returns when there is a byte at the offset `at`, when a boot has begun since this was called
    /// first, or after `limit`. It may return earlier.
    fn wait(&mut self, at: u64, limit: Duration) -> Result<(), SourceError>;
}

/// What a log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Lowest offset that can still be read.
    pub(crate) oldest: u64,
    /// Offset of the next byte of output.
    pub(crate) head: u64,
    /// How often the machine was started.
    pub(crate) epoch: u64,
}

/// What is at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// This many bytes, at least one.
    Bytes(usize),
    /// Nothing is left of the bytes before the offset `to`.
    Lost {
        /// Where to go on.
        to: u64,
    },
    /// Nothing was written there yet.
    End,
}

/// Why a log cannot be read.
#[derive(Debug)]
pub(crate) enum SourceError {
    /// The file is not, or no longer, what it should be.
    Log(LogError),
    /// The file was cut while it was read.
    Cut,
    /// The console's service failed, or is gone.
    Client(ClientError),
}

impl SourceError {
    /// Whether it is because the VMM is gone.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Client(ClientError::Closed | ClientError::Io(_)))
    }
}

impl From<LogError> for SourceError {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl From<ClientError> for SourceError {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}
