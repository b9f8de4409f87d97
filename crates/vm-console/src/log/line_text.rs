//! A log's bytes as text of whole lines: with or without times, and with lines of its own between.

use super::cursor::{Cursor, Read};
use super::time::UnixTime;

/// The times at the beginnings of the lines.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Times {
    /// None.
    Omitted,
    /// Those that the log keeps.
    Kept,
    /// The time by this clock when the line's beginning is read.
    Clock(fn() -> UnixTime),
}

/// Reads a log, and knows where lines begin.
#[derive(Clone, Debug)]
pub(crate) struct LineText {
    cursor: Cursor,
    times: Times,
    within_line: bool,
}

/// Raw bytes read at a time.
const CHUNK: usize = 4096;

impl LineText {
    /// The text of all that this cursor will read. It takes the cursor's place for the beginning of
    /// a line.
    pub(crate) fn new(cursor: Cursor, times: Times) -> Self {
        Self {
            cursor,
            times,
            within_line: false,
        }
    }

    pub(crate) fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// Adds the next part to `out`, and returns the cursor's result. At a gap, an unfinished line
    /// is ended.
    pub(crate) fn read(&mut self, out: &mut Vec<u8>) -> Read {
        let mut chunk = [0; CHUNK];
        let mut offset = self.cursor.offset();
        let lost = self.cursor.lost();
        let read = self.cursor.read(&mut chunk);
        match read {
            Read::Bytes(count) => {
                if self.cursor.lost() != lost {
                    // After a gap that the cursor did not report, a new line begins.
                    self.break_line(out);
                    offset = self.cursor.offset() - count as u64;
                }
                for line in chunk[..count].split_inclusive(|&byte| byte == b'\n') {
                    offset += line.len() as u64;
                    if !self.within_line {
                        self.begin_line(offset, out);
                    }
                    out.extend(line);
                    self.within_line = line.last() != Some(&b'\n');
                }
            }
            Read::Gap { .. } => self.break_line(out),
            Read::UpToDate | Read::Ended(_) => {}
        }
        read
    }

    /// Adds a line that is not in the log.
    pub(crate) fn add_line(&mut self, line: &str, out: &mut Vec<u8>) {
        self.break_line(out);
        self.begin_line(self.cursor.offset(), out);
        out.extend(line.as_bytes());
        out.push(b'\n');
    }

    fn break_line(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.within_line) {
            out.push(b'\n');
        }
    }

    /// Puts the time of the line that ends at `offset`.
    fn begin_line(&self, offset: u64, out: &mut Vec<u8>) {
        let time = match self.times {
            Times::Omitted => return,
            Times::Kept => self.cursor.log().time_at(offset),
            Times::Clock(now) => Some(now()),
        };
        let prefix = match time {
            Some(time) => format!("[{time}] "),
            None => format!("[{:24}] ", "time unknown"),
        };
        out.extend(prefix.into_bytes());
    }
}
