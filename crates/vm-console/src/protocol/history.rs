//! What a log knows beside its bytes: boots, marks, and when lines ended.

use super::codec::FrameError;
use super::codes::MarkCode;
use super::value::{Reader, Value, Writer};
use crate::log::{BootLog, KnownBoot, LineTime, Mark, UnixTime};

/// The boots and the marks of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Boots {
    /// Lowest offset that the log still holds.
    pub oldest: u64,
    /// Offset of the next byte of output.
    pub head: u64,
    /// Boot count.
    pub epoch: u64,
    /// Every boot that the log knows, oldest first.
    pub boots: Vec<BootInfo>,
    /// Every mark that the log keeps, oldest first.
    pub marks: Vec<MarkInfo>,
}

/// What a log, in this process or in a file, knows now.
impl From<&BootLog> for Boots {
    fn from(log: &BootLog) -> Self {
        Self {
            oldest: log.oldest(),
            head: log.head(),
            epoch: log.epoch(),
            boots: log.known_boots().iter().map(Into::into).collect(),
            marks: log.marks().iter().map(Into::into).collect(),
        }
    }
}

impl Value for Boots {
    fn put(&self, to: &mut Writer<'_>) {
        let Self {
            oldest,
            head,
            epoch,
            boots,
            marks,
        } = self;
        to.put(oldest).put(head).put(epoch);
        to.list(boots).list(marks);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        Ok(Self {
            oldest: from.get()?,
            head: from.get()?,
            epoch: from.get()?,
            boots: from.list()?,
            marks: from.list()?,
        })
    }
}

/// A boot, and how much of its output is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootInfo {
    /// Its number.
    pub epoch: u64,
    /// How it began: by power-on or by reset. Unknown if its mark is not kept.
    pub kind: MarkCode,
    /// When it began. `None` if its mark is not kept.
    pub at: Option<UnixTime>,
    /// Offset of its first byte.
    pub start: u64,
    /// Offset at which the next boot begins, or the head.
    pub end: u64,
    /// Offset of its first byte that can still be read; `end` if there is none.
    pub oldest: u64,
    /// How many of its bytes can still be read.
    pub kept: u64,
}

impl From<&KnownBoot> for BootInfo {
    fn from(boot: &KnownBoot) -> Self {
        let KnownBoot {
            epoch,
            began,
            start,
            end,
            oldest,
            kept,
        } = *boot;
        Self {
            epoch,
            kind: began.map_or(MarkCode::Unknown, |(kind, _)| kind.into()),
            at: began.map(|(_, at)| at),
            start,
            end,
            oldest,
            kept,
        }
    }
}

impl Value for BootInfo {
    fn put(&self, to: &mut Writer<'_>) {
        let Self {
            epoch,
            kind,
            at,
            start,
            end,
            oldest,
            kept,
        } = self;
        to.put(epoch).put(kind).put(at);
        to.put(start).put(end).put(oldest).put(kept);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        Ok(Self {
            epoch: from.get()?,
            kind: from.get()?,
            at: from.get()?,
            start: from.get()?,
            end: from.get()?,
            oldest: from.get()?,
            kept: from.get()?,
        })
    }
}

/// A mark in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkInfo {
    /// The event.
    pub kind: MarkCode,
    /// The boot that it belongs to.
    pub epoch: u64,
    /// The offset of the first byte written after the event.
    pub offset: u64,
    /// When it was.
    pub at: UnixTime,
}

impl From<&Mark> for MarkInfo {
    fn from(mark: &Mark) -> Self {
        let Mark {
            kind,
            offset,
            epoch,
            at,
        } = *mark;
        Self {
            kind: kind.into(),
            epoch,
            offset,
            at,
        }
    }
}

impl Value for MarkInfo {
    fn put(&self, to: &mut Writer<'_>) {
        let Self {
            kind,
            epoch,
            offset,
            at,
        } = self;
        to.put(kind).put(epoch).put(offset).put(at);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        Ok(Self {
            kind: from.get()?,
            epoch: from.get()?,
            offset: from.get()?,
            at: from.get()?,
        })
    }
}

/// When lines of the log ended, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineTimes {
    /// The newest time that was noted at or before the offset asked for. `None` if there is none, or
    /// it is not kept.
    pub before: Option<UnixTime>,
    /// Times of later lines. If there are none, no more are kept for now.
    pub times: Vec<LineTime>,
}

impl LineTimes {
    /// Most times in one answer: some 10 µs of work.
    pub const MOST: usize = 1024;

    /// The times of lines in `log` that ended after the offset `after`: at most `max`, and at most
    /// [`MOST`](Self::MOST). To go on, ask for those after the last one.
    #[must_use]
    pub fn of(log: &BootLog, after: u64, max: u32) -> Self {
        Self {
            before: log.time_at(after),
            times: log.line_times(after, Self::MOST.min(max as usize)),
        }
    }
}

impl Value for LineTimes {
    fn put(&self, to: &mut Writer<'_>) {
        to.put(&self.before).list(&self.times);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        Ok(Self {
            before: from.get()?,
            times: from.list()?,
        })
    }
}

impl Value for LineTime {
    fn put(&self, to: &mut Writer<'_>) {
        to.put(&self.end).put(&self.at);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        Ok(Self {
            end: from.get()?,
            at: from.get()?,
        })
    }
}

/// In nanoseconds since 1970.
impl Value for UnixTime {
    fn put(&self, to: &mut Writer<'_>) {
        to.put(&self.as_nanos());
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        from.get().map(Self::from_nanos)
    }
}

/// A time, or 0: there is none.
impl Value for Option<UnixTime> {
    fn put(&self, to: &mut Writer<'_>) {
        to.put(&self.unwrap_or_default());
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        let at = from.get::<UnixTime>()?;
        Ok((at != UnixTime::default()).then_some(at))
    }
}
