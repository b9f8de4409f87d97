//! The 16-bit rotating sum of `sum -r`, with which guests and tests agree on what was sent.

/// The sum of `bytes`.
///
/// ```
/// // printf 'hello\n' | sum -r
/// assert_eq!(vm_serial_tests::sum::rotating(b"hello\n"), 36979);
/// ```
#[must_use]
pub fn rotating(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0_u16, |sum, &byte| {
        sum.rotate_right(1).wrapping_add(byte.into())
    })
}
