//! The table of boots whose heads are kept.

use std::sync::atomic::Ordering::Relaxed;

use super::layout::{boot_entry, boot_seal};
use super::memory::Memory;
use super::protocol::Cells;

/// The boot table at one instant, oldest boot first.
#[derive(Debug)]
pub(super) struct BootTable {
    entries: [Entry; 16],
    len: usize,
}

/// A boot whose head is kept.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entry {
    pub(super) epoch: u64,
    /// The offset of its first byte.
    pub(super) start: u64,
    /// The offset after the last byte of its head.
    pub(super) head_end: u64,
    /// Where it is in the table.
    pub(super) slot: u64,
}

impl BootTable {
    /// The table as it is now; nothing in it reaches beyond `written`.
    pub(super) fn read(memory: &Memory, written: u64) -> Self {
        let layout = memory.layout;
        let mut table = Self {
            entries: [Entry::default(); 16],
            len: 0,
        };
        for slot in 0..layout.boots {
            let at = boot_entry(slot);
            let seal = boot_seal(slot);
            let number = seal.number(memory);
            let start = memory.load(at + 8, Relaxed);
            let limit = memory.load(at + 16, Relaxed);
            // 0: no boot uses the entry, or it is being rewritten.
            if number != 0 && seal.holds(memory, number) && start <= written {
                table.entries[table.len] = Entry {
                    epoch: number - 1,
                    start,
                    head_end: start.saturating_add(limit.min(layout.head_bytes)),
                    slot,
                };
                table.len += 1;
            }
        }
        let entries = &mut table.entries[..table.len];
        entries.sort_unstable_by_key(|entry| entry.epoch);
        let mut next_start = written;
        for entry in entries.iter_mut().rev() {
            // In a sound file, boots begin in the order of their epochs.
            entry.start = entry.start.min(next_start);
            entry.head_end = entry.head_end.min(next_start);
            next_start = entry.start;
        }
        table
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries[..self.len]
    }

    /// A place in the table that no boot uses.
    pub(super) fn free_slot(&self, boots: u64) -> Option<u64> {
        (0..boots).find(|slot| self.entries().iter().all(|entry| entry.slot != *slot))
    }
}
