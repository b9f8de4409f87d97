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
    /// `Enter ~ R`: reset the machine.
    Reset,
    /// `Enter ~ ?`: show the escapes.
    Help,
}

/// Finds the escapes in what a person types.
///
/// An escape counts only at the start of a line: at the very beginning, and after Enter (CR or LF)
/// or another escape. There `~~` types one tilde. A tilde before any other character is typed as it
/// is, and so is that character. Another character can stand for the tilde
/// ([`with_character`](Escape::with_character)).
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
#[derive(Clone, Copy, Debug)]
pub struct Escape {
    character: Option<u8>,
    state: State,
}

impl Default for Escape {
    fn default() -> Self {
        Self::with_character(Some(b'~'))
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    LineStart,
    Escaped,
    Within,
}

impl Escape {
    /// Escapes that begin with `character` in place of the tilde; with `None` there are none, and
    /// everything typed is for the guest.
    #[must_use]
    pub fn with_character(character: Option<u8>) -> Self {
        Self {
            character,
            state: State::default(),
        }
    }

    /// Feeds typed bytes, and calls `take` for each byte or escape in them, in order. A tilde at
    /// the start of a line waits for the byte after it.
    pub fn feed(&mut self, bytes: &[u8], mut take: impl FnMut(Typed)) {
        for &byte in bytes {
            let is_escape = self.character == Some(byte);
            match (self.state, byte) {
                (State::LineStart, _) if is_escape => {
                    self.state = State::Escaped;
                    continue;
                }
                (State::Escaped, _) if is_escape => {
                    take(Typed::Byte(byte));
                    self.state = State::Within;
                    continue;
                }
                (State::Escaped, b'.') => take(Typed::Leave),
                (State::Escaped, b'B') => take(Typed::Break),
                (State::Escaped, b'R') => take(Typed::Reset),
                (State::Escaped, b'?') => take(Typed::Help),
                (State::Escaped, other) => {
                    self.character
                        .into_iter()
                        .map(Typed::Byte)
                        .for_each(&mut take);
                    take(Typed::Byte(other));
                    self.state = after(other);
                    continue;
                }
                (State::LineStart | State::Within, other) => {
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

    #[test]
    fn another_character_or_none_can_begin_them() {
        let typed = |character, bytes: &[u8]| {
            let mut typed = Vec::new();
            Escape::with_character(character).feed(bytes, |what| typed.push(what));
            typed
        };
        assert_eq!(typed(Some(b'^'), b"^."), [Typed::Leave]);
        assert_eq!(
            typed(Some(b'^'), b"^R^^"),
            [Typed::Reset, Typed::Byte(b'^')]
        );
        assert_eq!(typed(Some(b'^'), b"~."), [b'~', b'.'].map(Typed::Byte));
        assert_eq!(typed(Some(b'^'), b"^x"), [b'^', b'x'].map(Typed::Byte));
        assert_eq!(typed(None, b"~.\0"), [b'~', b'.', 0].map(Typed::Byte));
        // Even those that mean something after it.
        assert_eq!(typed(Some(b'.'), b"..x"), [b'.', b'x'].map(Typed::Byte));
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
