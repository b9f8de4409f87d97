//! Matches as a terminal shows them.

use grep_matcher::Matcher;

/// How a match is shown at a terminal: reversed, which leaves the guest's colours as they are.
const BEGIN: &[u8] = b"\x1b[7m";
const END: &[u8] = b"\x1b[27m";
/// `line` with its matches marked, but for those within a control sequence, which nobody sees.
pub(super) fn highlighted(line: &[u8], matcher: &impl Matcher) -> Vec<u8> {
    let mut shown = Vec::with_capacity(line.len() + BEGIN.len() + END.len());
    let mut from = 0;
    // A matcher of regular expressions has no errors.
    let _ = matcher.find_iter(line, |found| {
        if !found.is_empty() && !is_within_sequence(&line[..found.start()]) {
            shown.extend_from_slice(&line[from..found.start()]);
            shown.extend_from_slice(BEGIN);
            shown.extend_from_slice(&line[found]);
            shown.extend_from_slice(END);
            from = found.end();
        }
        true
    });
    shown.extend_from_slice(&line[from..]);
    shown
}

/// Whether a control sequence is not over at the end of `text`.
fn is_within_sequence(text: &[u8]) -> bool {
    let Some(at) = text.iter().rposition(|byte| *byte == 0x1b) else {
        return false;
    };
    match &text[at + 1..] {
        [] => true,
        [b'[', rest @ ..] => rest.iter().all(|byte| matches!(byte, 0x20..=0x3f)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use grep_regex::RegexMatcher;

    #[test]
    fn a_match_within_a_sequence_is_known() {
        for text in ["\x1b", "a\x1b[", "a\x1b[31", "\x1b[0m\x1b[1;"] {
            assert!(is_within_sequence(text.as_bytes()), "{text:?}");
        }
        for text in ["", "31", "\x1b[31m", "\x1b[31mx", "\x1b(B"] {
            assert!(!is_within_sequence(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn only_what_is_seen_is_marked() {
        let matcher = RegexMatcher::new("3.|b*").unwrap();
        let marked = highlighted(b"\x1b[31mabb 3x\n", &matcher);
        assert_eq!(marked, b"\x1b[31ma\x1b[7mbb\x1b[27m \x1b[7m3x\x1b[27m\n");
    }
}
