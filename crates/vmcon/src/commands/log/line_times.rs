//! The times of lines, as text.

use jiff::tz::TimeZone;
use vm_console::UnixTime;
use vm_console::log::LineTime;

use super::range::line_times;
use crate::source::{LogSource, SourceError};
use crate::when;

/// The times of a log's lines, and how they look.
pub(super) struct ShownTimes {
    times: Vec<LineTime>,
    zone: TimeZone,
    /// Many lines have the same time.
    last: Option<(UnixTime, String)>,
    unknown: String,
}

impl ShownTimes {
    pub(super) fn of(source: &mut dyn LogSource) -> Result<Self, SourceError> {
        Ok(Self {
            times: line_times(source, 0)?,
            zone: TimeZone::system(),
            last: None,
            unknown: when::unknown(),
        })
    }

    /// Takes over times of lines that have ended since.
    pub(super) fn refresh(&mut self, source: &mut dyn LogSource) -> Result<(), SourceError> {
        let known = self.times.last().map_or(0, |last| last.end);
        self.times.extend(line_times(source, known)?);
        Ok(())
    }

    /// The time of the line that ends at the offset `end`: the newest one that was noted up to
    /// there.
    pub(super) fn at(&mut self, end: u64) -> &str {
        let later = self.times.partition_point(|line| line.end <= end);
        let Some(line) = later.checked_sub(1).map(|index| self.times[index]) else {
            return &self.unknown;
        };
        let text = match self.last.take() {
            Some((at, text)) if at == line.at => text,
            _ => when::local_text(line.at, &self.zone),
        };
        &self.last.insert((line.at, text)).1
    }
}
