//! Reading a part of a log at once, without a cursor.

use super::layout::fitting;
use super::reader::{BootLog, COPY, Fetch};

/// Part of the log, as [`BootLog::read_at`] answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The bytes from `start` to `next`.
    pub bytes: Vec<u8>,
    /// Where the bytes begin. This is not the offset asked for if bytes there are gone, or if it
    /// was beyond the end.
    pub start: u64,
    /// The offset to go on at.
    pub next: u64,
    /// The oldest byte that can still be read.
    pub oldest: u64,
    /// How many bytes between the offset asked for and `start` are gone.
    pub lost: u64,
    /// The epoch at the time of the answer.
    pub epoch: u64,
}

impl BootLog {
    /// Reads up to `max` bytes from the offset `start`; a negative `start` counts back from the
    /// end. The answer says which bytes these really are. It never reaches across a gap.
    ///
    /// ```
    /// use vm_console::{BootLog, LogConfig};
    ///
    /// let config = LogConfig { tail: 8, head: 4, ..LogConfig::default() };
    /// let (mut writer, log) = BootLog::in_memory(config)?;
    /// writer.append(b"0123456789abcdef");
    /// assert_eq!(log.read_at(-3, 100).bytes, b"def");
    /// let answer = log.read_at(2, 100);
    /// assert_eq!((answer.start, answer.bytes, answer.next), (2, b"23".to_vec(), 4));
    /// let answer = log.read_at(4, 100);
    /// assert_eq!((answer.start, answer.lost, answer.bytes), (8, 4, b"89abcdef".to_vec()));
    /// # Ok::<(), vm_console::LogError>(())
    /// ```
    #[must_use]
    pub fn read_at(&self, start: i64, max: usize) -> Excerpt {
        let written = self.head();
        let wanted = match u64::try_from(start) {
            Ok(offset) => offset.min(written),
            Err(_) => written.saturating_sub(start.unsigned_abs()),
        };
        let mut excerpt = Excerpt {
            bytes: Vec::new(),
            start: wanted,
            next: wanted,
            oldest: 0,
            lost: 0,
            epoch: self.epoch(),
        };
        while excerpt.bytes.len() < max && excerpt.next < written {
            let filled = excerpt.bytes.len();
            let more = fitting((max - filled).min(COPY), written - excerpt.next);
            excerpt.bytes.resize(filled + more, 0);
            match self.fetch(excerpt.next, &mut excerpt.bytes[filled..]) {
                Fetch::Bytes(count) => {
                    excerpt.bytes.truncate(filled + count);
                    excerpt.next += count as u64;
                }
                Fetch::GoneUntil(kept) if filled == 0 => {
                    excerpt.bytes.clear();
                    excerpt.start = kept;
                    excerpt.next = kept;
                }
                Fetch::GoneUntil(_) | Fetch::NotYet | Fetch::Cut => {
                    excerpt.bytes.truncate(filled);
                    break;
                }
            }
        }
        excerpt.lost = excerpt.start - wanted;
        excerpt.oldest = self.oldest();
        excerpt
    }
}
