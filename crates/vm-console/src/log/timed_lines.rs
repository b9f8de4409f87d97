//! A view of the log with the time before each line.

use super::cursor::{Cursor, Read};
use super::layout::LINE_TIME_RECORDS;
use super::line_text::{LineText, Times};
use super::reader::BootLog;
use super::time::UnixTime;

/// Reads a log and puts the time of each line before it. The log keeps the times apart from its
/// bytes.
///
/// The time of a line is the newest one that was [stamped](super::LogWriter::stamp) up to its end,
/// which is right to within the writer's resolution. An unfinished line gets the newest time so
/// far. If the time is not kept any more, or never was, the view says so in the same width.
///
/// ```
/// use std::time::Duration;
/// use vm_console::{BootLog, LogConfig, Read, Start, TimedLines, UnixTime};
///
/// let (mut writer, log) = BootLog::in_memory(LogConfig::default())?;
/// writer.append(b"early\n");
/// writer.append(b"Linux version 6.1.0\n");
/// writer.stamp(UnixTime::from_nanos(1_700_000_000_250_000_000));
/// writer.append(b"login: ");
///
/// let mut lines = TimedLines::new(log.cursor(Start::Oldest));
/// let mut shown = Vec::new();
/// while let Read::Bytes(_) = lines.read(&mut shown) {}
/// assert_eq!(
///     String::from_utf8_lossy(&shown),
///     "[time unknown            ] early\n\
///      [2023-11-14T22:13:20.250Z] Linux version 6.1.0\n\
///      [2023-11-14T22:13:20.250Z] login: ",
/// );
/// # Ok::<(), vm_console::LogError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TimedLines {
    text: LineText,
}

impl TimedLines {
    /// A view of all that this cursor will read. It takes the cursor's place for the beginning of a
    /// line.
    #[must_use]
    pub fn new(cursor: Cursor) -> Self {
        Self {
            text: LineText::new(cursor, Times::Kept),
        }
    }

    /// Adds the next part to `out`, and returns the cursor's result. It counts bytes of the log, at
    /// most 4096; `out` may grow by 28 times as many if each is a line of its own.
    pub fn read(&mut self, out: &mut Vec<u8>) -> Read {
        self.text.read(out)
    }

    /// The cursor behind the view.
    #[must_use]
    pub fn cursor(&self) -> &Cursor {
        self.text.cursor()
    }
}

/// When a line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineTime {
    /// The offset after the line.
    pub end: u64,
    /// The time that was [stamped](super::LogWriter::stamp) there.
    pub at: UnixTime,
}

impl BootLog {
    /// How many line times are kept. The next one replaces the oldest.
    pub const LINE_TIMES: u64 = LINE_TIME_RECORDS.capacity;

    /// The newest time that was stamped at or before `offset`, if it is still kept.
    #[must_use]
    pub fn time_at(&self, offset: u64) -> Option<UnixTime> {
        self.line_times_around(offset).0
    }

    /// The times of the lines that end after the offset `after`, oldest first, and no more than
    /// `max` of them. To go on, ask for those after the [end](LineTime::end) of the last.
    ///
    /// ```
    /// use vm_console::{BootLog, LogConfig, UnixTime};
    ///
    /// let (mut writer, log) = BootLog::in_memory(LogConfig::default())?;
    /// for second in 1..=3 {
    ///     writer.append(b"line\n");
    ///     writer.stamp(UnixTime::from_nanos(second * 1_000_000_000));
    /// }
    /// let ends: Vec<_> = log.line_times(5, 9).iter().map(|line| line.end).collect();
    /// assert_eq!(ends, [10, 15]);
    /// # Ok::<(), vm_console::LogError>(())
    /// ```
    #[must_use]
    pub fn line_times(&self, after: u64, max: usize) -> Vec<LineTime> {
        let cells = self.cells();
        let end = LINE_TIME_RECORDS.indices(cells).end;
        let mut times: Vec<LineTime> = Vec::new();
        for index in self.line_times_around(after).1..end {
            // One that was overwritten meanwhile is older than all others.
            let Some([end, nanos, _]) = LINE_TIME_RECORDS.get(cells, index) else {
                continue;
            };
            let at = UnixTime::from_nanos(nanos);
            // In a sound file, later lines end later.
            let is_later = times.last().is_none_or(|last| last.end < end);
            if is_later && times.len() == max {
                break;
            } else if is_later {
                times.push(LineTime { end, at });
            } else if let Some(last) = times.last_mut().filter(|last| last.end == end) {
                // Of two at one place the newer counts, as for `time_at`.
                last.at = at;
            }
        }
        times
    }

    /// The newest time at or before `offset`, and the index of the first one after it.
    fn line_times_around(&self, offset: u64) -> (Option<UnixTime>, u64) {
        let cells = self.cells();
        let indices = LINE_TIME_RECORDS.indices(cells);
        let (mut low, mut high) = (indices.start, indices.end);
        let mut newest = None;
        while low < high {
            let middle = low + (high - low) / 2;
            match LINE_TIME_RECORDS.get(cells, middle) {
                Some([at, ..]) if at > offset => high = middle,
                // A record that was overwritten meanwhile is older than all others.
                found => {
                    newest = found.or(newest);
                    low = middle + 1;
                }
            }
        }
        let newest = newest.map(|[_, nanos, _]| UnixTime::from_nanos(nanos));
        (newest, low)
    }
}
