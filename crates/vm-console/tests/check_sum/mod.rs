//! The check sum of images.
#![allow(unreachable_pub, reason = "a module of several tests")]

/// FNV-1a, as the formats have it.
pub fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
