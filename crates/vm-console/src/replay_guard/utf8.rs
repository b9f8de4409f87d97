//! Where in a UTF-8 character a terminal is.

/// Follows the bytes of a stream as a strict UTF-8 decoder does.
///
/// Bytes 0x80 to 0x9F are controls to some terminals when they stand alone, but letters in all
/// UTF-8 terminals when they continue a character, so the guard has to know which they are. Strict
/// means the table of well-formed sequences of the Unicode Standard (table 3-7): a byte that only a
/// lenient decoder would join to a character counts as standing alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Utf8 {
    /// Continuation bytes that are still missing.
    left: u8,
    /// What the next of them may be.
    low: u8,
    high: u8,
}

impl Utf8 {
    /// Whether `byte` would continue the character that has been begun.
    pub(super) fn expects(self, byte: u8) -> bool {
        self.left > 0 && (self.low..=self.high).contains(&byte)
    }

    /// Whether a character has been begun and not completed.
    pub(super) fn is_within_character(self) -> bool {
        self.left > 0
    }

    pub(super) fn advance(&mut self, byte: u8) {
        let (left, low, high) = match byte {
            _ if self.expects(byte) => (self.left - 1, 0x80, 0xbf),
            // C2 with 80 to 9F is the UTF-8 form of an 8-bit control, no letter.
            0xc2 => (1, 0xa0, 0xbf),
            0xc3..=0xdf => (1, 0x80, 0xbf),
            0xe0 => (2, 0xa0, 0xbf),
            0xed => (2, 0x80, 0x9f),
            0xe1..=0xef => (2, 0x80, 0xbf),
            0xf0 => (3, 0x90, 0xbf),
            0xf1..=0xf3 => (3, 0x80, 0xbf),
            0xf4 => (3, 0x80, 0x8f),
            _ => (0, 0, 0),
        };
        *self = Self { left, low, high };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What std's decoder says of the same bytes: which of them continue a well-formed character.
    fn continuations(bytes: &[u8]) -> Vec<bool> {
        let mut continues = Vec::new();
        for chunk in bytes.utf8_chunks() {
            for character in chunk.valid().chars() {
                continues.push(false);
                continues.extend((1..character.len_utf8()).map(|_| true));
            }
            // The longest beginning of a well-formed character, or one byte that begins none.
            continues.extend((0..chunk.invalid().len()).map(|at| at > 0));
        }
        continues
    }

    proptest! {
        #[test]
        fn continues_what_std_continues(
            bytes in prop::collection::vec(
                prop_oneof![any::<u8>(), 0x80u8..=0xbf, 0xe0u8..=0xf4], 0..200
            ),
        ) {
            // The UTF-8 form of an 8-bit control is the one exception.
            let plain: Vec<u8> = bytes.into_iter().filter(|byte| *byte != 0xc2).collect();
            let mut utf8 = Utf8::default();
            let ours: Vec<bool> = plain
                .iter()
                .map(|byte| {
                    let expected = utf8.expects(*byte);
                    utf8.advance(*byte);
                    expected
                })
                .collect();
            prop_assert_eq!(ours, continuations(&plain));
        }
    }
}
