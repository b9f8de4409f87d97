//! Checks of a log's counters and tables, before a byte of the log is relied on.

use std::sync::atomic::Ordering::{Acquire, Relaxed};

use super::error::LogError;
use super::id;
use super::layout::{BLOCK, MAX_EPOCH, MAX_OFFSET, at, boot_entry};
use super::memory::Memory;
use super::protocol::Cells;

fn demand(rules: &[(bool, &'static str, u64)]) -> Result<(), LogError> {
    match rules.iter().find(|(holds, ..)| !holds) {
        Some(&(_, rule, value)) => Err(LogError::Inconsistent { rule, value }),
        None => Ok(()),
    }
}

/// Checks the counters of a log that may be being written.
pub(super) fn check_counters(memory: &Memory) -> Result<(), LogError> {
    let written = memory.load(at::WRITTEN, Acquire);
    // Loaded after `head`, so a live writer can only have made it larger.
    let reserved = memory.load(at::RESERVED, Relaxed);
    let floor = memory.load(at::FLOOR, Relaxed);
    let epoch = memory.load(at::EPOCH, Relaxed);
    if let id::Stored::Damaged(check) = id::load(memory) {
        return Err(LogError::Inconsistent {
            rule: "the identity must match its check sum",
            value: check,
        });
    }
    demand(&[
        (
            written <= MAX_OFFSET,
            "the write offset must not exceed 2^62",
            written,
        ),
        (
            reserved >= written,
            "the reserved offset must not be below the write offset",
            reserved,
        ),
        (
            reserved.is_multiple_of(BLOCK),
            "the reserved offset must be a multiple of 4096",
            reserved,
        ),
        (
            floor <= written,
            "the floor must not be above the write offset",
            floor,
        ),
        (
            epoch < MAX_EPOCH,
            "the boot count must be below 2^56",
            epoch,
        ),
    ])
}

/// Checks in addition what holds only while nobody writes.
pub(super) fn check_at_rest(memory: &Memory) -> Result<(), LogError> {
    let written = memory.load(at::WRITTEN, Acquire);
    let reserved = memory.load(at::RESERVED, Relaxed);
    let epoch = memory.load(at::EPOCH, Relaxed);
    demand(&[(
        reserved - written <= BLOCK,
        "the reserved offset must be at most 4096 ahead",
        reserved,
    )])?;
    let boot = |slot| {
        let at = boot_entry(slot);
        (memory.load(at, Relaxed), memory.load(at + 8, Relaxed))
    };
    let mut boots: Vec<_> = (0..memory.layout.boots)
        .map(boot)
        .filter(|&(number, _)| number != 0)
        .collect();
    boots.sort_unstable();
    for (&(number, start), next) in boots
        .iter()
        .zip(boots.iter().skip(1).map(Some).chain([None]))
    {
        let (next_number, next_start) = next.copied().unwrap_or((u64::MAX, written));
        demand(&[
            (
                number <= epoch + 1,
                "no boot in the table may be above the epoch",
                number,
            ),
            (
                number < next_number,
                "a boot must be in the table once",
                number,
            ),
            (
                start <= next_start,
                "boots must begin in their order, and not after the write offset",
                start,
            ),
        ])?;
    }
    Ok(())
}
