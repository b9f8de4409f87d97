//! Reading a log: the handle, and what is kept.

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

/// Bytes copied at a time: a copy that the writer overtakes is lost as a whole.
pub(super) const COPY: usize = 16 << 10;

impl BootLog {
    /// How many marks are kept. The next one replaces the oldest that may go: of those about the machine
    /// (power, boots, where the log came from) and of those about its console (holders, gaps, BREAKs), the
    /// newest 64 each stay, however many of the other sort follow.
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

    /// The offset of the next byte: how many bytes were ever written.
    #[must_use]
    pub fn head(&self) -> u64 {
        // A damaged or hostile file must not make later sums overflow.
        self.memory.load(at::WRITTEN, Acquire).min(MAX_OFFSET)
    }

    /// The oldest byte that can still be read; equals [`head`](Self::head) if there is none.
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
            head_end: entry.head_end,
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

    /// How many marks there ever were, those that are not kept any more included.
    #[must_use]
    pub fn marks_written(&self) -> u64 {
        mark_table::written(&*self.memory)
    }

    /// True as long as the file behind the log has its full length; always for a log in memory. Somebody who may
    /// write the file can cut it, and touching the part cut off kills the process with SIGBUS; see the
    /// [module's page](super).
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.memory.is_whole()
    }

    /// The oldest offset that the ring holds when `head` is written.
    pub(super) fn ring_oldest(&self, written: u64) -> u64 {
        written
            .saturating_sub(self.memory.layout.tail)
            .max(self.memory.load(at::FLOOR, Relaxed).min(written))
    }

    /// The boot table as it is; nothing in it reaches beyond `head`.
    pub(super) fn boot_table(&self, written: u64) -> BootTable {
        BootTable::read(&self.memory, written)
    }

    /// Copies what is at `offset`; fewer bytes than `buf` holds where what is kept ends, or for a long `buf`.
    pub(super) fn fetch(&self, offset: u64, buf: &mut [u8]) -> Fetch {
        let memory = &*self.memory;
        if !memory.is_readable() {
            return Fetch::Cut;
        }
        // Each turn but the first means that the writer was faster; it cannot be so often in a log that is whole.
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

    /// The first offset from which nothing is missing up to `head`.
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
