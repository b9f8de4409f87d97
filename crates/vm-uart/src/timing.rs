//! How long a character takes on the line (sections 8.1 and 8.3).

use crate::registers::Lcr;

/// Nanoseconds of four characters: the character timeout of section 8.11, rounded down.
///
/// A character is one start bit, 5 to 8 data bits, a parity bit if enabled, and 1, 1.5 or 2 stop
/// bits; a bit is sixteen clocks times the divisor. A divisor of 0 is outside the data sheet's
/// range of 1 to 65,535; it counts as 65,536, as in a down-counter. A clock of 0 Hz counts as 1 Hz.
///
/// ```
/// use vm_uart::registers::Lcr;
/// use vm_uart::timing::four_characters_ns;
///
/// // 8N1 at 115,200 baud: 40 bits.
/// let eight_n_one = Lcr::from_bits_retain(0x03);
/// assert_eq!(four_characters_ns(eight_n_one, 1, 1_843_200), 347_222);
/// ```
#[must_use]
pub const fn four_characters_ns(lcr: Lcr, divisor: u16, clock_hz: u32) -> u64 {
    characters_ns(4, lcr, divisor, clock_hz)
}

/// Nanoseconds of one character, rounded down: a full word time. A receiver takes a line that is
/// held spacing for longer than this for a break (section 8.4, bit 4).
///
/// Divisor and clock count as in [`four_characters_ns`].
///
/// ```
/// use vm_uart::registers::Lcr;
/// use vm_uart::timing::character_ns;
///
/// assert_eq!(character_ns(Lcr::from_bits_retain(0x03), 1, 1_843_200), 86_805);
/// ```
#[must_use]
pub const fn character_ns(lcr: Lcr, divisor: u16, clock_hz: u32) -> u64 {
    characters_ns(1, lcr, divisor, clock_hz)
}

const fn characters_ns(count: u64, lcr: Lcr, divisor: u16, clock_hz: u32) -> u64 {
    let divisor = if divisor == 0 { 65_536 } else { divisor as u64 };
    let clock_hz = if clock_hz == 0 { 1 } else { clock_hz as u64 };
    // At most 24 half bits, 8 clocks a half bit and four characters: below 2^56.
    count * half_bits(lcr) * 8 * divisor * 1_000_000_000 / clock_hz
}

/// Length of one character in half bits: there are 1.5 stop bits.
const fn half_bits(lcr: Lcr) -> u64 {
    let start = 2;
    let data = 2 * lcr.word_length() as u64;
    let parity = if lcr.contains(Lcr::PARITY) { 2 } else { 0 };
    let stop = match (lcr.contains(Lcr::STOP_BITS), lcr.word_length()) {
        (false, _) => 2,
        (true, 5) => 3,
        (true, _) => 4,
    };
    start + data + parity + stop
}
