//! The file of a boot log, while its VMM lives or afterwards.

use std::thread;
use std::time::Duration;

use vm_console::protocol::{Boots, LineTimes};
use vm_console::{BootLog, Cursor, LogId, Read, Start};

use super::{LogSource, Piece, SourceError, Span};

/// A mapped log. Its writer, in another process, does not notice that it is read.
#[derive(Debug)]
pub(crate) struct FileSource {
    log: BootLog,
    /// Where the last read has ended, since the next one mostly goes on there.
    cursor: Cursor,
    /// The epoch as the last wait has left it.
    known_epoch: u64,
}

/// No doorbell rings across processes. A person sees no delay of this length, and so few looks cost
/// nothing.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

impl FileSource {
    pub(crate) fn new(log: BootLog) -> Self {
        Self {
            known_epoch: log.epoch(),
            cursor: log.cursor(Start::Oldest),
            log,
        }
    }
}

impl LogSource for FileSource {
    fn id(&self) -> Option<LogId> {
        self.log.id()
    }

    fn is_file(&self) -> bool {
        true
    }

    fn span(&mut self) -> Result<Span, SourceError> {
        Ok(Span {
            oldest: self.log.oldest(),
            head: self.log.head(),
            epoch: self.log.epoch(),
        })
    }

    fn read(&mut self, at: u64, room: &mut [u8]) -> Result<Piece, SourceError> {
        if self.cursor.offset() != at {
            self.cursor = self.log.cursor(Start::Offset(at));
        }
        if self.cursor.offset() != at {
            return Ok(Piece::End);
        }
        let mut filled = 0;
        while filled < room.len() {
            match self.cursor.read(&mut room[filled..]) {
                Read::Bytes(count) => filled += count,
                Read::Gap { to, .. } if filled == 0 => return Ok(Piece::Lost { to }),
                Read::Gap { .. } | Read::UpToDate => break,
                Read::Ended(_) => return Err(SourceError::Cut),
            }
        }
        Ok(match filled {
            0 => Piece::End,
            filled => Piece::Bytes(filled),
        })
    }

    fn boots(&mut self) -> Result<Boots, SourceError> {
        Ok(Boots::from(&self.log))
    }

    fn line_times(&mut self, after: u64) -> Result<LineTimes, SourceError> {
        Ok(LineTimes::of(&self.log, after, u32::MAX))
    }

    fn wait(&mut self, at: u64, limit: Duration) -> Result<(), SourceError> {
        let mut left = limit;
        while self.log.head() <= at && !left.is_zero() {
            let epoch = self.log.epoch();
            if epoch != self.known_epoch {
                self.known_epoch = epoch;
                break;
            }
            if !self.log.is_whole() {
                return Err(SourceError::Cut);
            }
            let nap = BETWEEN_LOOKS.min(left);
            thread::sleep(nap);
            left -= nap;
        }
        Ok(())
    }
}
