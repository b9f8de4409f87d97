//! One reader's place in a log.

use super::reader::{BootLog, Fetch};
use super::start::Start;

/// How a cursor behaves at a gap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GapPolicy {
    /// It reports the gap once as [`Read::Gap`], and goes on after it.
    #[default]
    Note,
    /// It goes on after the gap without a report. The bytes are counted in [`Cursor::lost`].
    Silent,
    /// It reports the gap once and then ends: every later read is [`Read::Ended`].
    Disconnect,
}

/// The result of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// This many bytes, at least one, were copied to the beginning of the buffer.
    Bytes(usize),
    /// The bytes between these offsets are gone; the cursor is at `to` now.
    Gap {
        /// The first lost byte.
        from: u64,
        /// The first byte after them.
        to: u64,
    },
    /// Everything written so far has been read.
    UpToDate,
    /// The cursor has ended.
    Ended(End),
}

/// Why a cursor ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// There was a gap, and the policy is [`GapPolicy::Disconnect`].
    Gap,
    /// The file is shorter than it was: it was cut by somebody else.
    FileCut,
}

/// One reader's place in a log. Cursors do not know each other, and the writer knows none of them.
///
/// At any time `delivered + lost = offset - started_at`, exactly.
///
/// ```
/// use vm_console::{BootLog, LogConfig, Read, Start};
///
/// let config = LogConfig { tail: 4, head: 0, ..LogConfig::default() };
/// let (mut writer, log) = BootLog::in_memory(config)?;
/// let mut cursor = log.cursor(Start::Oldest);
/// let mut buf = [0; 64];
/// writer.append(b"ab");
/// assert_eq!(cursor.read(&mut buf), Read::Bytes(2));
/// writer.append(b"cdefghij");
/// assert_eq!(cursor.read(&mut buf), Read::Gap { from: 2, to: 6 });
/// assert_eq!(cursor.read(&mut buf), Read::Bytes(4));
/// assert_eq!(&buf[..4], b"ghij");
/// assert_eq!(cursor.read(&mut buf), Read::UpToDate);
/// assert_eq!(cursor.delivered() + cursor.lost(), 10);
/// # Ok::<(), vm_console::LogError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cursor {
    log: BootLog,
    started_at: u64,
    offset: u64,
    lost: u64,
    policy: GapPolicy,
    ended: Option<End>,
}

impl Cursor {
    pub(super) fn new(log: BootLog, start: Start, policy: GapPolicy) -> Self {
        let offset = log.locate(start).offset;
        Self {
            log,
            started_at: offset,
            offset,
            lost: 0,
            policy,
            ended: None,
        }
    }

    /// The same cursor with another policy for gaps.
    #[must_use]
    pub fn with_gap_policy(mut self, policy: GapPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Copies the next bytes, as many as fit and are there. An empty buffer gets no bytes, but
    /// learns of a gap or an end.
    pub fn read(&mut self, buf: &mut [u8]) -> Read {
        if let Some(end) = self.ended {
            return Read::Ended(end);
        }
        loop {
            match self.log.fetch(self.offset, buf) {
                Fetch::Bytes(0) | Fetch::NotYet => return Read::UpToDate,
                Fetch::Bytes(count) => {
                    self.offset += count as u64;
                    return Read::Bytes(count);
                }
                Fetch::GoneUntil(to) => {
                    let from = self.offset;
                    self.lost += to - from;
                    self.offset = to;
                    if self.policy == GapPolicy::Disconnect {
                        self.ended = Some(End::Gap);
                    }
                    if self.policy != GapPolicy::Silent {
                        return Read::Gap { from, to };
                    }
                }
                Fetch::Cut => {
                    self.ended = Some(End::FileCut);
                    return Read::Ended(End::FileCut);
                }
            }
        }
    }

    /// Jumps over so many bytes, at most those that were written. They count as lost.
    pub(crate) fn skip(&mut self, bytes: u64) {
        let bytes = bytes.min(self.behind());
        self.offset += bytes;
        self.lost += bytes;
    }

    /// The offset of the next byte to read.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The offset at which the cursor began.
    #[must_use]
    pub fn started_at(&self) -> u64 {
        self.started_at
    }

    /// Bytes delivered by [`read`](Self::read).
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.offset - self.started_at - self.lost
    }

    /// Bytes that had been overwritten when the cursor came to them.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Bytes that were written and not read yet, including those that have been overwritten.
    #[must_use]
    pub fn behind(&self) -> u64 {
        self.log.head().saturating_sub(self.offset)
    }

    /// The log that the cursor reads.
    #[must_use]
    pub fn log(&self) -> &BootLog {
        &self.log
    }
}

impl BootLog {
    /// A new reader that begins at `start` and reports gaps.
    #[must_use]
    pub fn cursor(&self, start: Start) -> Cursor {
        Cursor::new(self.clone(), start, GapPolicy::default())
    }
}
