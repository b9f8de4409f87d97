//! Where a replay or a log read begins: a kind, a number, and from version 2 on a log.

use super::codec::FrameError;
use super::value::{Reader, Value, Writer};
use crate::log::{LogId, Start};

/// A start, and the log that it is about.
pub(super) struct Place {
    pub(super) start: Start,
    pub(super) log: Option<LogId>,
}

/// Set in a kind: the log's identity follows the number.
const NAMES_LOG: u8 = 0x80;

impl Place {
    pub(super) fn new(start: Start, log: Option<LogId>) -> Self {
        Self { start, log }
    }
}

impl Value for Place {
    fn put(&self, to: &mut Writer<'_>) {
        let (kind, number): (u8, u64) = match self.start {
            Start::Now => (0, 0),
            Start::Oldest => (1, 0),
            Start::Lines(count) => (2, count),
            Start::Newest(count) => (3, count),
            Start::Offset(offset) => (4, offset),
            Start::ThisBoot => (5, 0),
            Start::Boot(epoch) => (6, epoch),
        };
        match self.log {
            None => to.put(&kind).put(&number),
            Some(_) => to.put(&(kind | NAMES_LOG)).put(&number).put(&self.log),
        };
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        let (kind, number) = (from.get::<u8>()?, from.get::<u64>()?);
        let names_log = from.version() >= 2 && kind & NAMES_LOG != 0;
        let start = match if names_log { kind & !NAMES_LOG } else { kind } {
            0 => Start::Now,
            1 => Start::Oldest,
            2 => Start::Lines(number),
            3 => Start::Newest(number),
            4 => Start::Offset(number),
            5 => Start::ThisBoot,
            6 => Start::Boot(number),
            _ => return Err(from.malformed("a start kind from 0 to 6")),
        };
        let log = if names_log { from.get()? } else { None };
        if names_log && log.is_none() {
            return Err(from.malformed("the identity of a log, which is not 0"));
        }
        Ok(Self { start, log })
    }
}

/// 16 bytes; zeros where there is none.
impl Value for Option<LogId> {
    fn put(&self, to: &mut Writer<'_>) {
        to.bytes(&self.map_or(0, LogId::get).to_le_bytes());
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        from.get().map(LogId::new)
    }
}
