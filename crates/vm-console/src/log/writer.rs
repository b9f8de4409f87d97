//! The one writer of a log.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

use vmm_sys_util::eventfd::EventFd;

use super::layout::{LINE_TIME_RECORDS, MAX_EPOCH, at, boot_entry, boot_seal, fitting};
use super::mark_table::MarkWriter;
use super::marks::{Mark, MarkKind};
use super::memory::Memory;
use super::protocol::{Cells, RingWriter, put};
use super::reader::BootLog;
use super::time::UnixTime;

/// Appends to a log. Each log has one writer, which belongs to the holder of the port's lock.
///
/// Appending never fails, blocks or allocates. It makes no system call unless a reader sleeps.
///
/// ```
/// use vm_console::{BootLog, LogConfig};
///
/// let (mut writer, log) = BootLog::in_memory(LogConfig::default())?;
/// writer.append(b"Linux version 6.1.0\r\n");
/// writer.append_byte(b'[');
/// assert_eq!(log.head(), 22);
/// # Ok::<(), vm_console::LogError>(())
/// ```
#[derive(Debug)]
pub struct LogWriter {
    memory: Arc<Memory>,
    ring: RingWriter,
    /// Whether the next byte goes the longer way: a reader sleeps, or the head still grows.
    watched: bool,
    armed: bool,
    boot: CurrentBoot,
    marks: MarkWriter,
    doorbell: Option<Arc<EventFd>>,
    last_line_time: Option<UnixTime>,
    resolution: Duration,
    _lock: Option<WriterLock>,
}

#[derive(Clone, Copy, Debug)]
struct CurrentBoot {
    epoch: u64,
    start: u64,
    /// The size of its head at most.
    limit: u64,
    /// Its entry in the boot table.
    slot: u64,
}

/// A boot of another log, as the boot table is to hold it.
#[derive(Clone, Copy, Debug)]
pub(super) struct AdoptedBoot<'a> {
    pub(super) epoch: u64,
    pub(super) start: u64,
    /// The size of its head at most.
    pub(super) limit: u64,
    /// Its head.
    pub(super) kept: &'a [u8],
}

/// The lock on a file that has a writer. It ends with the writer, even if a reader keeps the file
/// open, or a child process that was just forked.
#[derive(Debug)]
pub(super) struct WriterLock(pub(super) File);

impl Drop for WriterLock {
    fn drop(&mut self) {
        // If this fails, the lock ends when the file is closed.
        let _ = self.0.unlock();
    }
}

impl LogWriter {
    /// [`stamp`](Self::stamp) stores at most one time in this span by default: 100 ms.
    pub const LINE_TIME_RESOLUTION: Duration = Duration::from_millis(100);

    /// Goes on with a log that has been checked: a new one, or one that another writer left.
    pub(super) fn resume(memory: Arc<Memory>, lock: Option<WriterLock>) -> Self {
        let written = memory.load(at::WRITTEN, Acquire);
        let epoch = memory.load(at::EPOCH, Relaxed);
        let ring = RingWriter::resume(memory.layout.ring(), &*memory, written);
        let mut writer = Self {
            ring,
            watched: true,
            armed: false,
            boot: CurrentBoot {
                epoch,
                start: written,
                limit: 0,
                slot: 0,
            },
            marks: MarkWriter::default(),
            doorbell: None,
            last_line_time: None,
            resolution: Self::LINE_TIME_RESOLUTION,
            _lock: lock,
            memory,
        };
        let table = BootLog::of(Arc::clone(&writer.memory)).boot_table(written);
        match table.entries().iter().find(|entry| entry.epoch == epoch) {
            Some(entry) => {
                let limit = writer.memory.load(boot_entry(entry.slot) + 16, Relaxed);
                writer.boot = CurrentBoot {
                    epoch,
                    start: entry.start,
                    limit: limit.min(writer.memory.layout.head_bytes),
                    slot: entry.slot,
                }
            }
            // The log is new, or its last writer was killed while it began this boot.
            None => writer.enter_boot(epoch, written, writer.memory.layout.head_bytes),
        }
        writer
    }

    /// A handle for reading this log.
    #[must_use]
    pub fn log(&self) -> BootLog {
        BootLog::of(Arc::clone(&self.memory))
    }

    /// The write offset: the offset of the next byte, which is also the number of bytes ever
    /// written.
    #[must_use]
    #[inline]
    pub fn head(&self) -> u64 {
        self.ring.written()
    }

    /// The epoch: how many times the machine was started; 0 before the first
    /// [`begin_boot`](Self::begin_boot).
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.boot.epoch
    }

    /// Writes one byte.
    #[inline]
    pub fn append_byte(&mut self, byte: u8) {
        if self.watched {
            self.append_watched(&[byte]);
        } else {
            self.ring.append_byte(&*self.memory, byte);
        }
    }

    /// Writes bytes. Readers may see them before all are written.
    #[inline]
    pub fn append(&mut self, bytes: &[u8]) {
        if self.watched {
            self.append_watched(bytes);
        } else if let [byte] = bytes {
            self.ring.append_byte(&*self.memory, *byte);
        } else {
            self.ring.append(&*self.memory, bytes);
        }
    }

    #[inline(never)]
    fn append_watched(&mut self, bytes: &[u8]) {
        let layout = self.memory.layout;
        let done = self.ring.written() - self.boot.start;
        let room = self.boot.limit.saturating_sub(done);
        let kept = &bytes[..fitting(bytes.len(), room)];
        if !kept.is_empty() {
            // Published by the write offset, like the bytes in the ring.
            put(
                &*self.memory,
                layout.head_at(self.boot.slot) + done as usize,
                kept,
            );
        }
        self.ring.append(&*self.memory, bytes);
        if self.armed && !bytes.is_empty() {
            self.armed = false;
            if let Some(doorbell) = &self.doorbell {
                // The only possible error is a full counter, which wakes the reader just as well.
                let _ = doorbell.write(1);
            }
        }
        self.watched = self.armed || room > bytes.len() as u64;
    }

    /// Sets the doorbell: an eventfd that is written when bytes arrive while it is
    /// [armed](Self::arm). It should be non-blocking.
    pub fn set_doorbell(&mut self, doorbell: impl Into<Arc<EventFd>>) {
        self.doorbell = Some(doorbell.into());
    }

    /// Asks for one ring of the doorbell when a byte is written at or after `seen`, the offset up
    /// to which the caller has read. True if the doorbell is armed: the caller may sleep. False if
    /// such bytes are there already: the caller must read them, because nothing will ring.
    ///
    /// No wakeup is lost. This and `append` exclude each other (`&mut self`), so a byte is either
    /// there now, or is appended later and finds the doorbell armed.
    ///
    /// ```
    /// use vm_console::{BootLog, LogConfig};
    /// use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};
    ///
    /// let (mut writer, log) = BootLog::in_memory(LogConfig::default())?;
    /// let bell = EventFd::new(EFD_NONBLOCK).unwrap();
    /// writer.set_doorbell(bell.try_clone().unwrap());
    ///
    /// assert!(writer.arm(log.head()));
    /// writer.append(b"ab");
    /// writer.append(b"c");
    /// assert_eq!(bell.read().unwrap(), 1);
    /// assert!(!writer.arm(0));
    /// # Ok::<(), vm_console::LogError>(())
    /// ```
    #[must_use = "if not armed, the caller must read and not sleep"]
    pub fn arm(&mut self, seen: u64) -> bool {
        self.armed = self.ring.written() <= seen;
        self.watched |= self.armed;
        self.armed
    }

    /// Records an event at the present offset.
    pub fn mark(&mut self, kind: MarkKind, at: UnixTime) {
        let mark = Mark {
            kind,
            offset: self.ring.written(),
            epoch: self.boot.epoch,
            at,
        };
        self.marks.push(&*self.memory, mark);
    }

    /// Begins another boot at the present offset, and marks it with `kind`, usually
    /// [`PowerOn`](MarkKind::PowerOn) or [`Reset`](MarkKind::Reset). Returns its epoch.
    ///
    /// If there are [`boots`](super::LogConfig::boots) heads already, the oldest is given up. But
    /// if the boot that ends here wrote nothing, the new boot takes its place instead. So a machine
    /// that resets in a loop before it prints does not push out the heads of boots that printed.
    pub fn begin_boot(&mut self, kind: MarkKind, at: UnixTime) -> u64 {
        let epoch = (self.boot.epoch + 1).min(MAX_EPOCH - 1);
        self.memory.store(at::EPOCH, epoch, Release);
        self.enter_boot(epoch, self.ring.written(), self.memory.layout.head_bytes);
        self.mark(kind, at);
        epoch
    }

    /// Gives `epoch` an entry in the boot table.
    fn enter_boot(&mut self, epoch: u64, start: u64, limit: u64) {
        let memory = &*self.memory;
        let table = self.log().boot_table(self.ring.written());
        let silent = table
            .entries()
            .last()
            .filter(|last| last.start == start)
            .map(|last| last.slot);
        let slot = silent
            .or_else(|| table.free_slot(memory.layout.boots))
            .or_else(|| table.entries().first().map(|oldest| oldest.slot));
        self.write_boot(slot.unwrap_or(0), epoch, start, limit, &[]);
    }

    /// Writes entry `slot` of the boot table for a boot whose head begins with `kept`; it becomes
    /// the current boot.
    fn write_boot(&mut self, slot: u64, epoch: u64, start: u64, limit: u64, kept: &[u8]) {
        let memory = &*self.memory;
        let entry = boot_entry(slot);
        let seal = boot_seal(slot);
        seal.open(memory);
        put(memory, memory.layout.head_at(slot), kept);
        memory.store(entry + 8, start, Relaxed);
        memory.store(entry + 16, limit, Relaxed);
        seal.close(memory, epoch + 1);
        self.boot = CurrentBoot {
            epoch,
            start,
            limit,
            slot,
        };
        self.watched = true;
    }

    /// Replaces the boot table by boots of another log, oldest first and no more than it has
    /// entries. The last becomes the current boot. Call it only while the log is empty to readers,
    /// because the entries lie beyond the write offset until [`publish`](Self::publish).
    pub(super) fn replace_boots(&mut self, boots: &[AdoptedBoot<'_>]) {
        for slot in 0..self.memory.layout.boots {
            self.memory.store(boot_entry(slot), 0, Release);
        }
        for (slot, boot) in (0..).zip(boots) {
            self.write_boot(slot, boot.epoch, boot.start, boot.limit, boot.kept);
        }
    }

    /// Goes on at `offset`, with `last` as the bytes before it. Readers see these bytes, and all
    /// that was stored before, at once.
    pub(super) fn publish(&mut self, offset: u64, last: &[u8]) {
        self.ring =
            RingWriter::resume_after(self.memory.layout.ring(), &*self.memory, offset, last);
    }

    /// Sets the resolution of [`stamp`](Self::stamp), which is
    /// [`LINE_TIME_RESOLUTION`](Self::LINE_TIME_RESOLUTION) at first; zero stores every time.
    pub fn set_line_time_resolution(&mut self, resolution: Duration) {
        self.resolution = resolution;
    }

    /// Records the time of the line that has just ended. Call it after each newline. The time is
    /// stored only if it differs from the last stored time by the resolution or more.
    pub fn stamp(&mut self, now: UnixTime) {
        if self
            .last_line_time
            .is_none_or(|last| now.abs_diff(last) >= self.resolution)
        {
            self.last_line_time = Some(now);
            LINE_TIME_RECORDS.push(&*self.memory, [self.ring.written(), now.as_nanos(), 0]);
        }
    }
}
