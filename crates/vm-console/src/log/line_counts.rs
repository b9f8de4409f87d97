//! The number of newlines in each segment of a log, as far as readers have counted.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// The smallest segment: as much as is copied at a time.
const LEAST_SEGMENT: u64 = 16 << 10;
/// A larger log has larger segments instead of more, so that a walk over all of them stays short.
const MOST_SEGMENTS: u64 = 1 << 16;

/// Remembers counts. A byte at an offset never changes once it is written, so a right count stays
/// right. Readers therefore share the counts without a lock, and the writer does not know of them.
///
/// It takes no memory before the first count, and then 8 bytes for each segment.
#[derive(Debug)]
pub(super) struct LineCounts {
    /// Binary logarithm of the bytes in a segment.
    segment_bits: u32,
    /// Binary logarithm of the number of slots; segment `n` has slot `n` mod this number.
    slot_bits: u32,
    /// (1 + number of the lap round the slots) << (`segment_bits` + 1) | newlines; 0: not counted.
    slots: OnceLock<Box<[AtomicU64]>>,
}

impl LineCounts {
    /// Counts for a log that keeps at most this many bytes.
    pub(super) fn new(kept: u64) -> Self {
        let segment = (kept / MOST_SEGMENTS)
            .max(LEAST_SEGMENT)
            .next_power_of_two();
        let slots = (kept / segment + 2).next_power_of_two();
        Self {
            segment_bits: segment.ilog2(),
            slot_bits: slots.ilog2(),
            slots: OnceLock::new(),
        }
    }

    /// Bytes in a segment; segment `n` begins at the offset `n` times this.
    pub(super) fn segment(&self) -> u64 {
        1 << self.segment_bits
    }

    fn slot(&self, index: u64) -> Option<&AtomicU64> {
        let slots = self.slots.get_or_init(|| {
            std::iter::repeat_with(AtomicU64::default)
                .take(1 << self.slot_bits)
                .collect()
        });
        slots.get((index & ((1 << self.slot_bits) - 1)) as usize)
    }

    fn lap(&self, index: u64) -> u64 {
        (index >> self.slot_bits) + 1
    }

    /// The newlines in segment `index`, if a reader has counted them.
    pub(super) fn get(&self, index: u64) -> Option<u64> {
        let found = self.slot(index)?.load(Relaxed);
        let bits = self.segment_bits + 1;
        (found >> bits == self.lap(index)).then_some(found & ((1 << bits) - 1))
    }

    /// Remembers the newlines in segment `index`. All its bytes must have been written and counted.
    pub(super) fn set(&self, index: u64, newlines: u64) {
        if let Some(slot) = self.slot(index) {
            slot.store(
                self.lap(index) << (self.segment_bits + 1) | newlines,
                Relaxed,
            );
        }
    }
}

/// The newlines among `bytes`.
pub(super) fn newlines(bytes: &[u8]) -> u64 {
    // A sum of 255 fits a byte, so the compiler can add many at once.
    let few = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0_u8, |sum, &byte| sum + u8::from(byte == b'\n'))
    };
    bytes.chunks(255).map(|chunk| u64::from(few(chunk))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::layout::MAX_OFFSET;

    #[test]
    fn a_count_is_found_for_its_own_segment_only() {
        for kept in [1, 20_000, 1 << 26, 80 << 30] {
            let counts = LineCounts::new(kept);
            let segment = counts.segment();
            let slots = 1_u64 << counts.slot_bits;
            assert!(slots * segment >= kept + segment && slots <= 2 * MOST_SEGMENTS);
            let last = MAX_OFFSET / segment;
            for index in [0, slots - 1, last] {
                assert_eq!(counts.get(index), None);
                counts.set(index, segment);
                assert_eq!(counts.get(index), Some(segment), "every byte is a newline");
                assert_eq!(counts.get(index + slots), None);
                counts.set(index, 0);
                assert_eq!(counts.get(index), Some(0));
            }
            counts.set(slots, 7);
            assert_eq!((counts.get(slots), counts.get(0)), (Some(7), None));
        }
    }

    #[test]
    fn newlines_are_counted() {
        let bytes: Vec<u8> = (0..1000_usize)
            .map(|at| if at % 7 == 0 { b'\n' } else { b'.' })
            .collect();
        for len in 0..1000 {
            assert_eq!(newlines(&bytes[..len]), len.div_ceil(7) as u64);
        }
        assert_eq!(newlines(&[b'\n'; 1000]), 1000);
    }
}
