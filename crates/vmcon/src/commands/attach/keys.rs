//! Keys as the command line writes them: the one that begins an escape, and text to be typed.

use std::fmt;

/// What begins an escape at the start of a line, if anything does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EscapeKey(pub(super) Option<u8>);

impl EscapeKey {
    /// The tilde, as in `ssh`.
    pub(super) const TILDE: Self = Self(Some(b'~'));

    /// Parses one ASCII character, `^X` for a control character, or `none`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text.as_bytes() {
            b"none" => Ok(Self(None)),
            [b'^', letter @ (b'@'..=b'_' | b'a'..=b'z')] => Self::of(letter & 0x1f),
            &[key] if key.is_ascii() => Self::of(key),
            _ => Err("one ASCII character, ^X for Control-X, or none".to_owned()),
        }
    }

    fn of(key: u8) -> Result<Self, String> {
        if matches!(key, b'\r' | b'\n') {
            return Err("Enter comes before an escape, so it cannot begin one".to_owned());
        }
        Ok(Self(Some(key)))
    }
}

/// As people type it.
impl fmt::Display for EscapeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("none"),
            Some(control @ 0..0x20) => write!(f, "^{}", char::from(control | 0x40)),
            Some(0x7f) => f.write_str("Backspace"),
            Some(key) => write!(f, "{}", char::from(key)),
        }
    }
}

/// Parses text to be typed, with the escapes of C: `\r` is Enter, `\x03` Control-C.
pub(super) fn text(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        bytes.extend(plain.bytes());
        let mut characters = escaped.chars();
        let byte = match characters.next() {
            Some('r') => b'\r',
            Some('n') => b'\n',
            Some('t') => b'\t',
            Some('e') => 0x1b,
            Some('0') => 0,
            Some('\\') => b'\\',
            Some('x') => {
                let digits = characters.as_str().get(..2).unwrap_or_default();
                characters = characters.as_str().get(2..).unwrap_or_default().chars();
                u8::from_str_radix(digits, 16)
                    .map_err(|_| format!(r"\x{digits}: two hexadecimal digits follow \x"))?
            }
            other => {
                let other = other.map(String::from).unwrap_or_default();
                return Err(format!(
                    r"\{other}: only \r, \n, \t, \e, \0, \\ and \xHH mean something"
                ));
            }
        };
        bytes.push(byte);
        rest = characters.as_str();
    }
    bytes.extend(rest.bytes());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_begins_with_one_key_or_with_none() {
        let parsed = |text| EscapeKey::parse(text).map(|key| key.0);
        assert_eq!(parsed("~"), Ok(Some(b'~')));
        assert_eq!(parsed("^"), Ok(Some(b'^')));
        assert_eq!(parsed("^]"), Ok(Some(0x1d)));
        assert_eq!(parsed("^a"), Ok(Some(1)));
        assert_eq!(parsed("none"), Ok(None));
        for wrong in ["", "ab", "é", "^M", "\n", "^1"] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
        for shown in ["~", "^]", "^@", "none"] {
            assert_eq!(EscapeKey::parse(shown).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn text_has_the_escapes_of_c() {
        assert_eq!(text(r"root\r").unwrap(), b"root\r");
        assert_eq!(
            text(r"é\\\x03\e[A\n\t\0").unwrap(),
            "é\\\x03\x1b[A\n\t\0".as_bytes()
        );
        assert_eq!(text("").unwrap(), b"");
        for wrong in [r"\", r"\q", r"\x", r"\x1", r"\xé", r"\xzz"] {
            assert!(text(wrong).is_err(), "{wrong}");
        }
    }
}
