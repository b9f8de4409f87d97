//! Where everything is in the mapping, in memory and in a file alike. The tables on the
//! [module's page](super) are the specification.

use super::config::LogConfig;
use super::error::LogError;
use super::protocol::{Records, Ring, Seal};

pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"VMBOOTLG");
pub(super) const VERSION: u64 = 1;

/// Byte offsets of the header's words.
pub(super) mod at {
    pub(in crate::log) const MAGIC: usize = 0;
    pub(in crate::log) const VERSION: usize = 8;
    pub(in crate::log) const LENGTH: usize = 16;
    pub(in crate::log) const TAIL: usize = 24;
    pub(in crate::log) const HEAD_BYTES: usize = 32;
    pub(in crate::log) const BOOTS: usize = 40;
    pub(in crate::log) const CHECK: usize = 48;
    pub(in crate::log) const WRITTEN: usize = 64;
    pub(in crate::log) const RESERVED: usize = 72;
    pub(in crate::log) const FLOOR: usize = 80;
    pub(in crate::log) const EPOCH: usize = 88;
    pub(in crate::log) const MARK_COUNT: usize = 96;
    pub(in crate::log) const LINE_TIME_COUNT: usize = 104;
    pub(in crate::log) const ID: usize = 112;
    pub(in crate::log) const ID_CHECK: usize = 128;
    pub(in crate::log) const MARKS_SKIPPED: usize = 136;
    pub(in crate::log) const BOOT_TABLE: usize = 256;
    pub(in crate::log) const MARK_TABLE: usize = 768;
    pub(in crate::log) const LINE_TIME_TABLE: usize = 8192;
    pub(in crate::log) const HEADS: usize = 8192 + 128 * 1024;
}

/// Bytes of the fixed part of the header, which the check sum at its end covers.
pub(super) const FIXED: usize = 56;
/// The table of marks: offset, time, epoch << 8 | kind.
pub(super) const MARK_RECORDS: Records = Records {
    count: at::MARK_COUNT,
    at: at::MARK_TABLE,
    capacity: 232,
};
/// The table of line times: offset after the line, time, 0.
pub(super) const LINE_TIME_RECORDS: Records = Records {
    count: at::LINE_TIME_COUNT,
    at: at::LINE_TIME_TABLE,
    capacity: 4096,
};
/// The reserved offset moves in steps of this many bytes.
pub(super) const BLOCK: u64 = 4096;

/// Where the words of boot-table entry `slot` are: epoch + 1, offset of the boot's first byte, size
/// of its head at most, 0.
pub(super) fn boot_entry(slot: u64) -> usize {
    at::BOOT_TABLE + slot as usize * 32
}

/// The seal of boot-table entry `slot` and of the head that belongs to it.
pub(super) fn boot_seal(slot: u64) -> Seal {
    Seal {
        at: boot_entry(slot),
    }
}

/// Positions that follow from the sizes; never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) tail: u64,
    pub(super) head_bytes: u64,
    pub(super) boots: u64,
}

impl Layout {
    /// The sizes of `config`, which has been checked.
    pub(super) fn new(config: &LogConfig) -> Self {
        Self {
            tail: config.tail,
            head_bytes: config.head,
            boots: config.boots,
        }
    }

    pub(super) fn config(&self) -> LogConfig {
        LogConfig {
            tail: self.tail,
            head: self.head_bytes,
            boots: self.boots,
        }
    }

    /// Bytes of one boot's head in the mapping. These are whole pages, so an unused head costs no
    /// memory.
    fn head_room(&self) -> u64 {
        self.head_bytes.next_multiple_of(BLOCK)
    }

    /// The most bytes that can be kept at a time.
    pub(super) fn most_kept(&self) -> u64 {
        self.tail + self.boots * self.head_bytes
    }

    /// The ring is two blocks larger than the tail. The writer reserves one of them ahead; the
    /// other gives a reader of the oldest bytes some time before they are gone.
    fn ring_bytes(&self) -> u64 {
        self.tail.next_multiple_of(BLOCK) + 2 * BLOCK
    }

    fn ring_at(&self) -> u64 {
        at::HEADS as u64 + self.boots * self.head_room()
    }

    pub(super) fn length(&self) -> u64 {
        self.ring_at() + self.ring_bytes()
    }

    pub(super) fn ring(&self) -> Ring {
        Ring {
            written: at::WRITTEN,
            reserved: at::RESERVED,
            at: self.ring_at() as usize,
            bytes: self.ring_bytes(),
            block: BLOCK,
        }
    }

    /// Where the head bytes of boot-table entry `slot` are.
    pub(super) fn head_at(&self, slot: u64) -> usize {
        at::HEADS + (slot * self.head_room()) as usize
    }

    /// The fixed part of the header, check sum included.
    pub(super) fn fixed_header(&self) -> [u8; FIXED] {
        let mut header = [0; FIXED];
        for (at, word) in [
            (at::MAGIC, MAGIC),
            (at::VERSION, VERSION),
            (at::LENGTH, self.length()),
            (at::TAIL, self.tail),
            (at::HEAD_BYTES, self.head_bytes),
            (at::BOOTS, self.boots),
        ] {
            header[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        let check = check_sum(&header[..at::CHECK]);
        header[at::CHECK..].copy_from_slice(&check.to_le_bytes());
        header
    }

    /// Reads the fixed part of a header, trusting none of it.
    pub(super) fn parse(header: &[u8; FIXED]) -> Result<Self, LogError> {
        let word = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&header[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        if word(at::MAGIC) != MAGIC {
            return Err(LogError::NotALog);
        }
        if word(at::VERSION) != VERSION {
            return Err(LogError::Version {
                found: word(at::VERSION),
                known: VERSION,
            });
        }
        if word(at::CHECK) != check_sum(&header[..at::CHECK]) {
            return Err(LogError::Damaged);
        }
        let config = LogConfig {
            tail: word(at::TAIL),
            head: word(at::HEAD_BYTES),
            boots: word(at::BOOTS),
        };
        config.check()?;
        let layout = Self::new(&config);
        if word(at::LENGTH) != layout.length() {
            return Err(LogError::Inconsistent {
                rule: "length must follow from the sizes",
                value: word(at::LENGTH),
            });
        }
        Ok(layout)
    }
}

/// As much of `left` as fits into `room`. Casting `left` would be wrong where lengths have 32 bits:
/// the low half of a larger number may be 0.
pub(super) fn fitting<L: Copy + Ord + TryFrom<u64>>(room: L, left: u64) -> L {
    L::try_from(left).map_or(room, |left| left.min(room))
}

/// No guest writes 2^62 bytes, and offsets below that can be added to sizes without overflow.
pub(super) const MAX_OFFSET: u64 = 1 << 62;
/// The epoch shares a word with the kind of a mark.
pub(super) const MAX_EPOCH: u64 = 1 << 56;

/// FNV-1a, 64 bits: enough to tell a damaged header from a whole one.
pub(crate) fn check_sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::fitting;

    proptest! {
        #[test]
        fn a_length_fits_at_any_width(room: u32, left: u64, turns in 0_u32..32) {
            // Multiples of 2^32 among them.
            for left in [left, left >> turns, left & !u64::from(u32::MAX)] {
                let expected = u64::from(room).min(left);
                prop_assert_eq!(u64::from(fitting(room, left)), expected);
                prop_assert_eq!(fitting(room as usize, left) as u64, expected);
            }
        }
    }
}
