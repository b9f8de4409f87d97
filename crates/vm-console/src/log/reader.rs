//! The handle for reading a log, and which bytes are kept.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

use super::boot_table::{BootTable, Entry};
use super::config::LogConfig;
use super::id::{self, LogId};
use super::layout::{MARK_RECORDS, MAX_OFFSET, at, boot_seal, fitting};
use super::line_counts::LineCounts;
use super::mark_table;
use super::marks::Mark;
use super::memory::Memory;
use super::protocol::{Cells, get};

/// A handle for reading a log. It is cheap to clone, can be used from any thread, and never
/// disturbs the writer.
///
/// The writer may be in the same process, in another one, or gone.
#[derive(Clone, Debug)]
pub struct BootLog {
    memory: Arc<Memory>,
}

/// How many bytes were written, and what became of them. Always `written = kept + overwritten`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accounting {
    /// Bytes ever written.
    pub written: u64,
    /// Bytes that can still be read.
    pub kept: u64,
    /// Bytes that cannot be read any more.
    pub overwritten: u64,
}

/// A boot whose head is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot {
    /// Its number.
    pub epoch: u64,
    /// The offset of its first byte.
    pub start: u64,
    /// The offset after the last byte of its head.
    pub head_end: u64,
}

/// The result of a look at an offset.
pub(super) enum Fetch {
    /// This many bytes were copied; at least one, unless there was no room for any.
    Bytes(usize),
    /// From the offset asked for to this one, nothing is left.
    GoneUntil(u64),
    /// Nothing was written there yet.
    NotYet,
    /// The file behind the mapping was cut short.
    Cut,
}

/// Bytes copied at a time. If the writer overtakes a copy, all of it is lost.
pub(super) const COPY: usize = 16 << 10;

impl BootLog {
    /// How many marks are kept. The next mark replaces an old one. Marks are of two sorts: about
    /// the machine (power, boots, the log's origin), and about its console (holders, gaps, BREAKs).
    /// The newest 64 of each sort are never replaced by marks of the other.
    pub const MARKS: u64 = MARK_RECORDS.capacity;

    pub(super) fn cells(&self) -> &Memory {
        &self.memory
    }

    pub(super) fn line_counts(&self) -> &LineCounts {
        &self.memory.line_counts
    }

    pub(super) fn of(memory: Arc<Memory>) -> Self {
        Self { memory }
    }

    /// The write offset: the offset of the next byte, which is also the number of bytes ever
    /// written.
    #[must_use]
    pub fn head(&self) -> u64 {
        // A damaged or hostile file must not make later sums overflow.
        self.memory.load(at::WRITTEN, Acquire).min(MAX_OFFSET)
    }

    /// The offset of the oldest byte that can still be read; [`head`](Self::head) if there is none.
    #[must_use]
    pub fn oldest(&self) -> u64 {
        let written = self.head();
        let ring = self.ring_oldest(written);
        let table = self.boot_table(written);
        table
            .entries()
            .iter()
            .find(|entry| entry.start < entry.head_end)
            .map_or(ring, |entry| entry.start.min(ring))
    }

    /// The epoch: how many times the machine was started.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.memory.load(at::EPOCH, Acquire)
    }

    /// The log's identity. Offsets of a log with another one mean nothing here. It is `None` only
    /// for a file of an older version, until a writer opens the file and gives it one.
    #[must_use]
    pub fn id(&self) -> Option<LogId> {
        match id::load(&*self.memory) {
            id::Stored::Id(id) => Some(id),
            id::Stored::None | id::Stored::Damaged(_) => None,
        }
    }

    /// The sizes that the log was made with. A file keeps them, even if
    /// [`open_or_create_file`](Self::open_or_create_file) asks for others later.
    #[must_use]
    pub fn config(&self) -> LogConfig {
        self.memory.layout.config()
    }

    /// The boots whose heads are kept, oldest first.
    #[must_use]
    pub fn boots(&self) -> Vec<Boot> {
        let table = self.boot_table(self.head());
        let boot = |entry: &Entry| Boot {
            epoch: entry.epoch,
            start: entry.start,
            head_end: entry.head_end,
        };
        table.entries().iter().map(boot).collect()
    }

    /// How many bytes were written, are kept and have been overwritten.
    ///
    /// ```
    /// use vm_console::{BootLog, LogConfig};
    ///
    /// let config = LogConfig { tail: 10, head: 3, ..LogConfig::default() };
    /// let (mut writer, log) = BootLog::in_memory(config)?;
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
            .map(|entry| entry.head_end.min(ring).saturating_sub(entry.start))
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

    /// How many marks there ever were, including those that were replaced.
    #[must_use]
    pub fn marks_written(&self) -> u64 {
        mark_table::written(&*self.memory)
    }

    /// The file behind the log; `None` if it is in memory. A VMM hands it to the one that replaces
    /// it, which goes on in it with [`in_file`](Self::in_file).
    #[must_use]
    pub fn file(&self) -> Option<&File> {
        self.memory.file()
    }

    /// True as long as the file behind the log has its full length. A log in memory always has it.
    /// A file can be cut by anybody who may write it, and touching the missing part kills the
    /// process with SIGBUS; see the [module's page](super).
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.memory.is_whole()
    }

    /// The oldest offset that the ring holds when the write offset is `written`.
    pub(super) fn ring_oldest(&self, written: u64) -> u64 {
        written
            .saturating_sub(self.memory.layout.tail)
            .max(self.memory.load(at::FLOOR, Relaxed).min(written))
    }

    /// The boot table as it is now; nothing in it reaches beyond `written`.
    pub(super) fn boot_table(&self, written: u64) -> BootTable {
        BootTable::read(&self.memory, written)
    }

    /// Copies bytes from `offset` on. They may be fewer than `buf` holds: where a kept run ends,
    /// and if `buf` is longer than [`COPY`].
    pub(super) fn fetch(&self, offset: u64, buf: &mut [u8]) -> Fetch {
        let memory = &*self.memory;
        if !memory.is_readable() {
            return Fetch::Cut;
        }
        // Another turn means that the writer was faster. In a sound log that cannot happen many
        // times.
        for _ in 0..16 {
            let written = self.head();
            if offset >= written {
                return Fetch::NotYet;
            }
            let ring_oldest = self.ring_oldest(written);
            if offset >= ring_oldest {
                let count = fitting(buf.len().min(COPY), written - offset);
                if memory.layout.ring().copy(memory, offset, &mut buf[..count]) {
                    return Fetch::Bytes(count);
                }
                continue;
            }
            let table = self.boot_table(written);
            let after = table
                .entries()
                .iter()
                .find(|entry| offset < entry.head_end && entry.start < entry.head_end);
            match after {
                Some(entry) if entry.start <= offset => {
                    let count = fitting(buf.len().min(COPY), entry.head_end - offset);
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

    /// The first offset from which nothing is missing up to `written`.
    pub(super) fn newest_run(&self, written: u64) -> u64 {
        let ring = self.ring_oldest(written);
        let table = self.boot_table(written);
        let reaching = |run: u64, entry: &Entry| {
            if entry.head_end >= run {
                entry.start.min(run)
            } else {
                run
            }
        };
        table
            .entries()
            .iter()
            .rev()
            .filter(|entry| entry.start < entry.head_end)
            .fold(ring, reaching)
    }

    /// Fills `buf` with the bytes from `offset` on; false if any of them is gone.
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
