//! The order of loads and stores by which one writer and any number of readers share memory without
//! a lock.
//!
//! The code uses [`Cells`], an array of atomic 64-bit words, so it runs on a mapping and in a model
//! checker (see `model.rs`) alike. Every access is atomic, so nothing here is a data race.
//!
//! **Ring.** The writer reserves before it overwrites, and publishes after it has written:
//!
//! | writer | reader |
//! |---|---|
//! | W1 `reserved` := end of the block it is about to write | R1 loads `written`, Acquire |
//! | W2 fence(Release) | R2 copies bytes before that offset |
//! | W3 stores bytes | R3 fence(Acquire) |
//! | W4 `written` := offset after them, Release | R4 loads `reserved`: drops the copy, or not |
//!
//! - *Readers see only written bytes.* If R1 reads the value of a W4, it happens after the W3
//!   before it.
//! - *Readers never take a byte of a later lap for one of an earlier lap.* Suppose R2 read a byte
//!   of a W3 that came after R1's value. The fences W2 and R3 then order the W1 before this W3
//!   ahead of R4. So R4 sees a `reserved` that is more than a whole ring after the byte, and the
//!   copy is dropped.
//! - *It holds after SIGKILL at any instant.* The stores of a killed process are visible in program
//!   order. So all bytes before `written` are there, whatever its value, and no byte after it is
//!   ever read.
//!
//! **Records, boots and their heads** are seqlocks ([`Seal`]). The writer opens the seal, rewrites,
//! and closes the seal with a number that is never used twice. A reader drops its copy unless the
//! number is the same before and after. The fences pair like W2 and R3.

use std::sync::atomic::Ordering::{self, Acquire, Relaxed, Release};

/// An array of atomic 64-bit words, addressed by byte offset (a multiple of 8). They are
/// little-endian in memory.
pub(super) trait Cells {
    fn load(&self, at: usize, order: Ordering) -> u64;
    fn store(&self, at: usize, value: u64, order: Ordering);
    fn fence(&self, order: Ordering);
}

/// Where a ring and its two counters are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ring {
    /// Where the write offset is.
    pub(super) written: usize,
    /// Where the reserved offset is.
    pub(super) reserved: usize,
    /// First byte of the ring; a multiple of 8.
    pub(super) at: usize,
    /// A multiple of `block`.
    pub(super) bytes: u64,
    /// The step of the reserved offset; a multiple of 8.
    pub(super) block: u64,
}

impl Ring {
    /// Copies the bytes from the offset `from` on. They must end at or before a write offset that
    /// was loaded with Acquire, and must not be more than the ring holds. False if they may have
    /// been overwritten meanwhile: `buf` holds garbage then.
    #[must_use]
    pub(super) fn copy<C: Cells>(&self, cells: &C, from: u64, buf: &mut [u8]) -> bool {
        let position = from % self.bytes;
        let first = buf.len().min((self.bytes - position) as usize);
        let (near, wrapped) = buf.split_at_mut(first);
        get(cells, self.at + position as usize, near);
        get(cells, self.at, wrapped);
        cells.fence(Acquire);
        cells.load(self.reserved, Relaxed) <= from + self.bytes
    }
}

/// The writer's end of a [`Ring`]; there is one.
#[derive(Debug)]
pub(super) struct RingWriter {
    ring: Ring,
    written: u64,
    reserved: u64,
    /// `written + base`, in wrapping arithmetic, is where the next byte goes. It changes where the
    /// ring wraps.
    base: u64,
}

impl RingWriter {
    /// Goes on at the offset `written`; the counters in memory become the same.
    pub(super) fn resume<C: Cells>(ring: Ring, cells: &C, written: u64) -> Self {
        Self::resume_after(ring, cells, written, &[])
    }

    /// As [`resume`](Self::resume), with `last` as the bytes before `written`; these must not be
    /// more than the ring holds. Readers see all of them at once, and everything that was stored
    /// before.
    pub(super) fn resume_after<C: Cells>(ring: Ring, cells: &C, written: u64, last: &[u8]) -> Self {
        let reserved = written.next_multiple_of(ring.block);
        let mut writer = Self {
            ring,
            written,
            reserved,
            base: 0,
        };
        writer.locate();
        // A killed writer may have reserved more than it wrote, and begun to overwrite that. So the
        // reserved offset never falls.
        if cells.load(ring.reserved, Relaxed) < reserved {
            cells.store(ring.reserved, reserved, Relaxed);
            cells.fence(Release);
        }
        let position = (written - last.len() as u64) % ring.bytes;
        let (near, wrapped) = last.split_at(last.len().min((ring.bytes - position) as usize));
        put(cells, ring.at + position as usize, near);
        put(cells, ring.at, wrapped);
        cells.store(ring.written, written, Release);
        writer
    }

    pub(super) fn written(&self) -> u64 {
        self.written
    }

    fn locate(&mut self) {
        let lap_start = self.written - self.written % self.ring.bytes;
        self.base = (self.ring.at as u64).wrapping_sub(lap_start);
    }

    #[cold]
    #[inline(never)]
    fn reserve<C: Cells>(&mut self, cells: &C) {
        // A block never wraps, so the ring wraps only here.
        self.locate();
        self.reserved = self.written + self.ring.block;
        cells.store(self.ring.reserved, self.reserved, Relaxed);
        cells.fence(Release);
    }

    /// Writes and publishes one byte.
    #[inline]
    pub(super) fn append_byte<C: Cells>(&mut self, cells: &C, byte: u8) {
        if self.written == self.reserved {
            self.reserve(cells);
        }
        let at = self.written.wrapping_add(self.base) as usize;
        merge(cells, at, u64::from(byte), 1);
        self.written += 1;
        cells.store(self.ring.written, self.written, Release);
    }

    /// Writes and publishes bytes, a block at a time.
    #[inline]
    pub(super) fn append<C: Cells>(&mut self, cells: &C, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.written == self.reserved {
                self.reserve(cells);
            }
            let room = (self.reserved - self.written) as usize;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            put(cells, self.written.wrapping_add(self.base) as usize, now);
            self.written += now.len() as u64;
            cells.store(self.ring.written, self.written, Release);
            bytes = later;
        }
    }
}

/// Replaces `count` (1 to 8) bytes at byte offset `at` by the low bytes of `value`. All are in one
/// word.
#[inline]
fn merge<C: Cells>(cells: &C, at: usize, value: u64, count: usize) {
    let word = at & !7;
    let shift = (at & 7) * 8;
    let mask = (u64::MAX >> (64 - count * 8)) << shift;
    let old = cells.load(word, Relaxed);
    cells.store(word, (old & !mask) | ((value << shift) & mask), Relaxed);
}

/// Up to eight bytes as the low bytes of a word.
#[inline]
fn gather(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |word, &byte| (word << 8) | u64::from(byte))
}

#[inline]
fn whole(bytes: [u8; 8]) -> u64 {
    u64::from_le_bytes(bytes)
}

/// Stores bytes at byte offset `at`. Only the writer calls it, after it has reserved the place.
#[inline]
pub(super) fn put<C: Cells>(cells: &C, mut at: usize, mut bytes: &[u8]) {
    // The run may begin or end inside a word. Eight bytes are loaded at once if there are that
    // many.
    let begin = bytes.len().min((8 - (at & 7)) & 7);
    if begin != 0 {
        let value = bytes
            .first_chunk()
            .map_or_else(|| gather(&bytes[..begin]), |first| whole(*first));
        merge(cells, at, value, begin);
    }
    let end = (bytes.len() - begin) % 8;
    if end != 0 {
        let value = match bytes.last_chunk() {
            Some(last) => whole(*last) >> ((8 - end) * 8),
            None => gather(&bytes[bytes.len() - end..]),
        };
        merge(cells, at + bytes.len() - end, value, end);
    }
    at += begin;
    bytes = &bytes[begin..];
    while let Some((word, rest)) = bytes.split_first_chunk() {
        cells.store(at, whole(*word), Relaxed);
        at += 8;
        bytes = rest;
    }
}

/// Loads bytes from byte offset `at`.
pub(super) fn get<C: Cells>(cells: &C, mut at: usize, buf: &mut [u8]) {
    if buf.is_empty() {
        return;
    }
    let begin = buf.len().min((8 - (at & 7)) & 7);
    let (first, rest) = buf.split_at_mut(begin);
    if begin != 0 {
        let skip = at & 7;
        first.copy_from_slice(&cells.load(at & !7, Relaxed).to_le_bytes()[skip..skip + begin]);
        at += begin;
    }
    let (words, last) = rest.as_chunks_mut::<8>();
    for word in words {
        *word = cells.load(at, Relaxed).to_le_bytes();
        at += 8;
    }
    if !last.is_empty() {
        let len = last.len();
        last.copy_from_slice(&cells.load(at, Relaxed).to_le_bytes()[..len]);
    }
}

/// A word that guards others. It is 0 while they are rewritten, and else a number that is never
/// used twice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seal {
    pub(super) at: usize,
}

impl Seal {
    /// The writer calls it before it rewrites the guarded words.
    pub(super) fn open<C: Cells>(self, cells: &C) {
        cells.store(self.at, 0, Relaxed);
        cells.fence(Release);
    }

    /// The writer calls it after it has rewritten them. Later stores are guarded too, but something
    /// else must publish them.
    pub(super) fn close<C: Cells>(self, cells: &C, number: u64) {
        cells.store(self.at, number, Release);
    }

    /// A reader calls it before it reads the guarded words.
    pub(super) fn number<C: Cells>(self, cells: &C) -> u64 {
        cells.load(self.at, Acquire)
    }

    /// A reader calls it afterwards: true if all that it read belongs to this number.
    #[must_use]
    pub(super) fn holds<C: Cells>(self, cells: &C, number: u64) -> bool {
        cells.fence(Acquire);
        cells.load(self.at, Relaxed) == number
    }
}

/// A bounded table of records of three words; the newest `capacity` are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Records {
    /// Where the number of records ever written is.
    pub(super) count: usize,
    /// First byte of the table: `capacity` entries of four words.
    pub(super) at: usize,
    pub(super) capacity: u64,
}

impl Records {
    fn entry(&self, index: u64) -> usize {
        self.at + (index % self.capacity) as usize * 32
    }

    /// Adds a record. Only the writer calls it.
    pub(super) fn push<C: Cells>(&self, cells: &C, fields: [u64; 3]) {
        let index = cells.load(self.count, Relaxed);
        let seal = Seal {
            at: self.entry(index),
        };
        seal.open(cells);
        for (at, field) in (seal.at + 8..).step_by(8).zip(fields) {
            cells.store(at, field, Relaxed);
        }
        seal.close(cells, index.wrapping_add(1));
        cells.store(self.count, index.wrapping_add(1), Release);
    }

    /// The record in this entry and its index. `None` if there is none, or if it is being
    /// rewritten.
    pub(super) fn held<C: Cells>(&self, cells: &C, entry: u64) -> Option<(u64, [u64; 3])> {
        let at = self.entry(entry);
        let index = Seal { at }.number(cells).checked_sub(1)?;
        if self.entry(index) != at {
            return None;
        }
        Some((index, self.get(cells, index)?))
    }

    /// Indices that may still be read.
    pub(super) fn indices<C: Cells>(&self, cells: &C) -> std::ops::Range<u64> {
        let count = cells.load(self.count, Acquire);
        count.saturating_sub(self.capacity)..count
    }

    /// The record at `index`; `None` if it has been overwritten.
    pub(super) fn get<C: Cells>(&self, cells: &C, index: u64) -> Option<[u64; 3]> {
        let seal = Seal {
            at: self.entry(index),
        };
        let number = index.wrapping_add(1);
        if seal.number(cells) != number {
            return None;
        }
        let fields = [1, 2, 3].map(|word| cells.load(seal.at + word * 8, Relaxed));
        seal.holds(cells, number).then_some(fields)
    }
}
