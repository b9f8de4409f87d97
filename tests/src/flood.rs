//! What the guests' `flood`, `poll` and `burst` send, computed here a second time.

const TEXT: &str = " ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.\r\n";

/// The first `count` bytes of the endless flood: lines of 64 bytes, numbered from 0 in eight
/// hexadecimal digits.
///
/// ```
/// let flood = vm_serial_tests::flood::bytes(130);
/// assert_eq!(&flood[..12], b"00000000 ABC");
/// assert_eq!(&flood[62..73], b"\r\n00000001 ");
/// ```
#[must_use]
pub fn bytes(count: usize) -> Vec<u8> {
    let mut all: Vec<u8> = (0..count.div_ceil(64))
        .flat_map(|line| format!("{line:08x}{TEXT}").into_bytes())
        .collect();
    all.truncate(count);
    all
}

/// The line with which a guest ends a flood of `count` bytes.
#[must_use]
pub fn last_line(count: usize) -> String {
    format!("\r\nsent {count} bytes\r\n")
}
