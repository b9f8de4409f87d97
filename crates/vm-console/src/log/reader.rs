//! Reading a log: the handle, and what is kept.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

use super::config::LogConfig;
use super::id::{self, LogId};
use super::layout::{MARKS, MAX_OFFSET, at, boot_entry, boot_seal, fitting};
use super::line_counts::LineCounts;
use super::mark_table;
use super::marks::Mark;
use super::memory::Memory;
use super::protocol::{Cells, get};

/// A handle for reading a log: cheap to clone, usable from any thread, and never in the writer's way.
///
/// The writer may be in the same process, in another one, or gone.
#[derive(Clone, Debug)]
pub struct BootLog {
    memory: Arc<Memory>,
}

/// How many bytes there were, and what became of them; `written = kept + overwritten`, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accounting {
    /// Bytes ever written.
    pub written: u64,
    /// Bytes that can still be read.
    pub kept: u64,
    /// Bytes that cannot be read any more.
    pub overwritten: u64,
}

/// A boot of which the beginning is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot {
    /// The boot count when it ran.
    pub epoch: u64,
    /// The offset of its first byte.
    pub start: u64,
    /// The offset after the last of its bytes kept as its head.
    pub head_end: u64,
}

/// Part of the log, as [`BootLog::read_at`] answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The bytes from `start` to `next`.
    pub bytes: Vec<u8>,
    /// Where the bytes begin; later than asked for if bytes were lost, or if more was asked than there is.
    pub start: u64,
    /// Where to go on.
    pub next: u64,
    /// The oldest byte that can still be read.
    pub oldest: u64,
    /// How many bytes between the offset asked for and `start` are gone.
    pub lost: u64,
    /// The boot count at the time of the answer.
    pub epoch: u64,
}

/// What is at an offset.
pub(super) enum Fetch {
    /// So many bytes were copied; at least one.
    Bytes(usize),
    /// Nothing before this offset is left.
    GoneUntil(u64),
    /// Nothing was written there yet.
    NotYet,
    /// The file behind the mapping was cut short.
    Cut,
}

/// The boot table at one instant, oldest boot first.
#[derive(Debug)]
pub(super) struct BootTable {
    entries: [Entry; 16],
    len: usize,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entry {
    pub(super) epoch: u64,
    pub(super) start: u64,
    /// The offset after the last byte of this boot's head.
    pub(super) end: u64,
    pub(super) slot: u64,
}

impl BootTable {
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries[..self.len]
    }

    /// An entry that no boot uses.
    pub(super) fn free_slot(&self, boots: u64) -> Option<u64> {
        (0..boots).find(|slot| self.entries().iter().all(|entry| entry.slot != *slot))
    }
}

/// Bytes copied at a time: a copy that the writer overtakes is lost as a whole.
const COPY: usize = 16 << 10;

impl BootLog {
    /// How many marks are kept. The next one replaces the oldest that may go: of those about the machine
    /// (power, boots, where the log came from) and of those about its console (holders, gaps, BREAKs), the
    /// newest 64 each stay, however many of the other sort follow.
    pub const MARKS: u64 = MARKS.capacity;

    pub(super) fn cells(&self) -> &Memory {
        &self.memory
    }

    pub(super) fn line_counts(&self) -> &LineCounts {
        &self.memory.line_counts
    }

    pub(super) fn of(memory: Arc<Memory>) -> Self {
        Self { memory }
    }

    /// The offset of the next byte: how many bytes were ever written.
    #[must_use]
    pub fn head(&self) -> u64 {
        // A damaged or hostile file must not make later sums overflow.
        self.memory.load(at::HEAD, Acquire).min(MAX_OFFSET)
    }

    /// The oldest byte that can still be read; equals [`head`](Self::head) if there is none.
    #[must_use]
    pub fn oldest(&self) -> u64 {
        let head = self.head();
        let ring = self.ring_oldest(head);
        let table = self.boot_table(head);
        table
            .entries()
            .iter()
            .find(|entry| entry.start < entry.end)
            .map_or(ring, |entry| entry.start.min(ring))
    }

    /// How many times the machine was started.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.memory.load(at::EPOCH, Acquire)
    }

    /// Which log this is: offsets of another one mean nothing here. `None` only for a file of an older
    /// version that no writer has opened since; the next one gives it an identity.
    #[must_use]
    pub fn id(&self) -> Option<LogId> {
        match id::load(&*self.memory) {
            id::Stored::Id(id) => Some(id),
            id::Stored::None | id::Stored::Damaged(_) => None,
        }
    }

    /// Its sizes: those it was made with. A file keeps them, whatever
    /// [`open_or_create_file`](Self::open_or_create_file) asks for later.
    #[must_use]
    pub fn config(&self) -> LogConfig {
        self.memory.layout.config()
    }

    /// The boots of which the beginning is kept, oldest first.
    #[must_use]
    pub fn boots(&self) -> Vec<Boot> {
        let table = self.boot_table(self.head());
        let boot = |entry: &Entry| Boot {
            epoch: entry.epoch,
            start: entry.start,
            head_end: entry.end,
        };
        table.entries().iter().map(boot).collect()
    }

    /// What was written, what of it is left and what is gone.
    ///
    /// ```
    /// use vm_console::{BootLog, LogConfig};
    ///
    /// let (mut writer, log) = BootLog::in_memory(LogConfig { tail: 10, head: 3, ..LogConfig::default() })?;
    /// writer.append(&[b'.'; 100]);
    /// let now = log.accounting();
    /// assert_eq!((now.written, now.kept, now.overwritten), (100, 13, 87));
    /// # Ok::<(), vm_console::LogError>(())
    /// ```
    #[must_use]
    pub fn accounting(&self) -> Accounting {
        let written = self.head();
        let ring = self.ring_oldest(written);
        let table = self.boot_table(written);
        let heads: u64 = table
            .entries()
            .iter()
            .map(|entry| entry.end.min(ring).saturating_sub(entry.start))
            .sum();
        let kept = heads + (written - ring);
        Accounting {
            written,
            kept,
            overwritten: written - kept,
        }
    }

    /// The kept marks, oldest first.
    #[must_use]
    pub fn marks(&self) -> Vec<Mark> {
        let words = mark_table::kept(&*self.memory);
        let mut marks: Vec<_> = words.into_iter().filter_map(Mark::from_words).collect();
        // While an image is restored, its marks are there before the bytes they belong to.
        let written = self.head();
        marks.retain(|mark| mark.offset <= written);
        marks
    }

    /// How many marks there ever were, those that are not kept any more included.
    #[must_use]
    pub fn marks_written(&self) -> u64 {
        mark_table::written(&*self.memory)
    }

    /// Reads up to `max` bytes from the offset `start`, or from `-start` bytes before the end if it is negative.
    /// The answer tells what it really is; it never reaches across a gap.
    ///
    /// ```
    /// use vm_console::{BootLog, LogConfig};
    ///
    /// let (mut writer, log) = BootLog::in_memory(LogConfig { tail: 8, head: 4, ..LogConfig::default() })?;
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
        let head = self.head();
        let wanted = match u64::try_from(start) {
            Ok(offset) => offset.min(head),
            Err(_) => head.saturating_sub(start.unsigned_abs()),
        };
        let mut excerpt = Excerpt {
            bytes: Vec::new(),
            start: wanted,
            next: wanted,
            oldest: 0,
            lost: 0,
            epoch: self.epoch(),
        };
        while excerpt.bytes.len() < max && excerpt.next < head {
            let filled = excerpt.bytes.len();
            let more = fitting((max - filled).min(COPY), head - excerpt.next);
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

    /// True as long as the file behind the log has its full length; always for a log in memory. Somebody who may
    /// write the file can cut it, and touching the part cut off kills the process with SIGBUS; see the
    /// [module's page](super).
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.memory.is_whole()
    }

    /// The oldest offset that the ring holds when `head` is written.
    pub(super) fn ring_oldest(&self, head: u64) -> u64 {
        head.saturating_sub(self.memory.layout.tail)
            .max(self.memory.load(at::FLOOR, Relaxed).min(head))
    }

    /// The boot table as it is; nothing in it reaches beyond `head`.
    pub(super) fn boot_table(&self, head: u64) -> BootTable {
        let memory = &*self.memory;
        let layout = memory.layout;
        let mut table = BootTable {
            entries: [Entry::default(); 16],
            len: 0,
        };
        for slot in 0..layout.boots {
            let at = boot_entry(slot);
            let seal = boot_seal(slot);
            let number = seal.number(memory);
            let start = memory.load(at + 8, Relaxed);
            let limit = memory.load(at + 16, Relaxed);
            // 0 marks an entry that no boot uses, or that is being rewritten.
            if number != 0 && seal.holds(memory, number) && start <= head {
                table.entries[table.len] = Entry {
                    epoch: number - 1,
                    start,
                    end: start.saturating_add(limit.min(layout.head_bytes)),
                    slot,
                };
                table.len += 1;
            }
        }
        let entries = &mut table.entries[..table.len];
        entries.sort_unstable_by_key(|entry| entry.epoch);
        let mut next_start = head;
        for entry in entries.iter_mut().rev() {
            // In a file that is not damaged, boots begin in the order of their numbers.
            entry.start = entry.start.min(next_start);
            entry.end = entry.end.min(next_start);
            next_start = entry.start;
        }
        table
    }

    /// Copies what is at `offset`; fewer bytes than `buf` holds where what is kept ends, or for a long `buf`.
    pub(super) fn fetch(&self, offset: u64, buf: &mut [u8]) -> Fetch {
        let memory = &*self.memory;
        if !memory.is_readable() {
            return Fetch::Cut;
        }
        // Each turn but the first means that the writer was faster; it cannot be so often in a log that is whole.
        for _ in 0..16 {
            let head = self.head();
            if offset >= head {
                return Fetch::NotYet;
            }
            let ring_oldest = self.ring_oldest(head);
            if offset >= ring_oldest {
                let count = fitting(buf.len().min(COPY), head - offset);
                if memory.layout.ring().copy(memory, offset, &mut buf[..count]) {
                    return Fetch::Bytes(count);
                }
                continue;
            }
            let table = self.boot_table(head);
            let after = table
                .entries()
                .iter()
                .find(|entry| offset < entry.end && entry.start < entry.end);
            match after {
                Some(entry) if entry.start <= offset => {
                    let count = fitting(buf.len().min(COPY), entry.end - offset);
                    let at = memory.layout.head_at(entry.slot) + (offset - entry.start) as usize;
                    get(memory, at, &mut buf[..count]);
                    if boot_seal(entry.slot).holds(memory, entry.epoch + 1) {
                        return Fetch::Bytes(count);
                    }
                }
                Some(entry) => return Fetch::GoneUntil(entry.start.min(ring_oldest)),
                None => return Fetch::GoneUntil(ring_oldest),
            }
        }
        Fetch::NotYet
    }

    /// The first offset from which nothing is missing up to `head`.
    pub(super) fn newest_run(&self, head: u64) -> u64 {
        let ring = self.ring_oldest(head);
        let table = self.boot_table(head);
        let reaching = |run: u64, entry: &Entry| {
            if entry.end >= run {
                entry.start.min(run)
            } else {
                run
            }
        };
        table
            .entries()
            .iter()
            .rev()
            .filter(|entry| entry.start < entry.end)
            .fold(ring, reaching)
    }

    /// Copies exactly what is at `offset`; false if any of it is gone.
    pub(super) fn fill(&self, mut offset: u64, mut buf: &mut [u8]) -> bool {
        while !buf.is_empty() {
            let Fetch::Bytes(count) = self.fetch(offset, buf) else {
                return false;
            };
            offset += count as u64;
            buf = &mut buf[count..];
        }
        true
    }
}
