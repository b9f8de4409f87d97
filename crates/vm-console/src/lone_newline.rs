//! Typed line ends, for guests that take only a carriage return for one.

/// Makes a carriage return of each newline that follows none. A pure filter: as many bytes come out
/// as went in.
///
/// Terminals in raw mode send a carriage return for Enter, and most guests take either. Windows SAC
/// takes only that, and scripts that write lines send newlines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LoneNewlines {
    /// The last byte was a carriage return, so a newline belongs to it.
    follows_return: bool,
}

impl LoneNewlines {
    pub(crate) fn replace(&mut self, typed: &mut [u8]) {
        for byte in typed {
            let is_return = *byte == b'\r';
            if *byte == b'\n' && !self.follows_return {
                *byte = b'\r';
            }
            self.follows_return = is_return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_newline_becomes_a_return_unless_it_follows_one() {
        let mut typed = *b"a\nb\r\nc\n\nd\r\n\n";
        LoneNewlines::default().replace(&mut typed);
        assert_eq!(&typed, b"a\rb\r\nc\r\rd\r\n\r");
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_bytes_arrive(
            typed in "[a\r\n]{0,40}", cut in 0usize..40,
        ) {
            let mut whole = typed.into_bytes();
            let mut parts = whole.clone();
            let cut = cut.min(parts.len());
            LoneNewlines::default().replace(&mut whole);
            let mut filter = LoneNewlines::default();
            filter.replace(&mut parts[..cut]);
            filter.replace(&mut parts[cut..]);
            prop_assert_eq!(whole, parts);
        }
    }
}
