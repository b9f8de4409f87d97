//! The `Enter ~ .` escapes of an interactive client, as in `ssh` and `cu`.

/// A byte for the guest, or an escape, found in typed input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typed {
    /// A byte for the guest.
    Byte(u8),
    /// `Enter ~ .`: leave.
    Leave,
    /// `Enter ~ B`: send BREAK.
    Break,
    /// `Enter ~ ?`: show the escapes.
    Help,
}

/// Finds the escapes in what a person types.
///
/// An escape counts only at the start of a line: at the very beginning, and after Enter (CR or LF)
/// or another escape. There `~~` types one tilde. A tilde before any other character is typed as it
/// is, and so is that character.
///
/// ```
/// use vm_console::escape::{Escape, Typed};
///
/// let mut escape = Escape::default();
/// let mut typed = Vec::new();
/// escape.feed(b"ls\r~.", |what| typed.push(what));
/// let [l, s, enter] = [b'l', b's', b'\r'].map(Typed::Byte);
/// assert_eq!(typed, [l, s, enter, Typed::Leave]);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Escape {
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    LineStart,
    Tilde,
    Within,
}

impl Escape {
    /// Feeds typed bytes, and calls `take` for each byte or escape in them, in order. A tilde at
    /// the start of a line waits for the byte after it.
    pub fn feed(&mut self, bytes: &[u8], mut take: impl FnMut(Typed)) {
        for &byte in bytes {
            match (self.state, byte) {
                (State::LineStart, b'~') => {
                    self.state = State::Tilde;
                    continue;
                }
                (State::Tilde, b'.') => take(Typed::Leave),
                (State::Tilde, b'B') => take(Typed::Break),
                (State::Tilde, b'?') => take(Typed::Help),
                (State::Tilde, b'~') => {
                    take(Typed::Byte(b'~'));
                    self.state = State::Within;
                    continue;
                }
                (State::Tilde, other) => {
                    take(Typed::Byte(b'~'));
                    take(Typed::Byte(other));
                    self.state = after(other);
                    continue;
                }
                (_, other) => {
                    take(Typed::Byte(other));
                    self.state = after(other);
                    continue;
                }
            }
            self.state = State::LineStart;
        }
    }
}

fn after(byte: u8) -> State {
    if matches!(byte, b'\r' | b'\n') {
        State::LineStart
    } else {
        State::Within
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn feed(chunks: &[&[u8]]) -> Vec<Typed> {
        let mut escape = Escape::default();
        let mut typed = Vec::new();
        for chunk in chunks {
            escape.feed(chunk, |what| typed.push(what));
        }
        typed
    }

    #[test]
    fn only_at_the_start_of_a_line() {
        assert_eq!(feed(&[b"~."]), [Typed::Leave]);
        assert_eq!(
            feed(&[b"a~."]),
            [Typed::Byte(b'a'), Typed::Byte(b'~'), Typed::Byte(b'.')]
        );
        assert_eq!(
            feed(&[b"\r~B~?"]),
            [Typed::Byte(b'\r'), Typed::Break, Typed::Help]
        );
        assert_eq!(feed(&[b"~~."]), [Typed::Byte(b'~'), Typed::Byte(b'.')]);
        assert_eq!(
            feed(&[b"~\r~."]),
            [Typed::Byte(b'~'), Typed::Byte(b'\r'), Typed::Leave]
        );
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_makes_no_difference(
            bytes in "[~.B?a\r\n]{0,40}",
            cut in 0usize..40,
        ) {
            let bytes = bytes.as_bytes();
            let cut = cut.min(bytes.len());
            prop_assert_eq!(feed(&[bytes]), feed(&[&bytes[..cut], &bytes[cut..]]));
        }
    }
}
