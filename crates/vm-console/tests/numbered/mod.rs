//! Output in which every byte follows from its offset, so that a gap, a repetition or a stale byte
//! shows.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

use std::ops::Range;

/// The byte at an offset. It differs from its neighbours.
pub fn byte_at(offset: u64) -> u8 {
    (offset.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

/// The bytes at these offsets.
pub fn bytes_at(offsets: Range<u64>) -> Vec<u8> {
    offsets.map(byte_at).collect()
}

/// Checks bytes that were read from an offset on.
#[track_caller]
pub fn assert_bytes_from(from: u64, read: &[u8]) {
    for (offset, &found) in (from..).zip(read) {
        assert_eq!(
            found,
            byte_at(offset),
            "at {offset} of {} bytes from {from}",
            read.len()
        );
    }
}
