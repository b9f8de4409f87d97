//! Images that are damaged at one byte, cut short or too long.

use std::fmt::Display;

/// Checks that `parse` refuses each of them made from `whole`: those cut short by an error that
/// `is_cut` knows, and the one that is too long by one that `is_long` knows.
pub(crate) fn refuses_damage<T, E: Display>(
    whole: &[u8],
    parse: impl Fn(&[u8]) -> Result<T, E>,
    is_cut: impl Fn(&E) -> bool,
    is_long: impl Fn(&E) -> bool,
) {
    let refused = |bytes: &[u8], what: &dyn Display| match parse(bytes) {
        Ok(_) => panic!("{what} is no reason to refuse it"),
        Err(error) => error,
    };
    for at in 0..whole.len() {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 0x10;
        refused(&bytes, &format_args!("byte {at}"));
        let error = refused(&whole[..at], &format_args!("length {at}"));
        assert!(is_cut(&error), "length {at}: {error}");
    }
    let error = refused(&[whole, &[0]].concat(), &"a byte more");
    assert!(is_long(&error), "a byte more: {error}");
}
