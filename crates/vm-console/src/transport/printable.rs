//! Makes text from one client fit for the terminal of another.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Combining marks in a row that are kept. UTS #39, 5.4 takes more than four for a trick; the
/// languages that stack most (Vietnamese, Hebrew with cantillation) need three.
const MARKS_LIMIT: usize = 4;

/// `text` fit for somebody else's terminal: one visible character for each, at most `limit` bytes.
///
/// Replaced by `?`, so that nothing vanishes and no two names that differ look the same:
/// - what has no shape or gives orders to a terminal: the general categories Cc (controls), Cf
///   (format: the bidirectional overrides, zero width), Zl, Zp (line and paragraph separators),
///   Cs, Co (private use) and Cn (unassigned) of the Unicode Character Database;
/// - what is drawn as nothing: its property `Default_Ignorable_Code_Point`, and the Braille blank;
/// - a combining mark that follows four others, or begins the text and would sit on a neighbour's.
///
/// Spaces of other widths become plain spaces. Letters of all scripts stay. Zero-width joiners are
/// lost to the scripts that use them: a name is still read without.
///
/// ```
/// assert_eq!(vm_console::printable("ada\u{202e}\x1b[2J", 128), "ada??[2J");
/// ```
#[must_use]
pub fn printable(text: &str, limit: usize) -> String {
    let mut clean = String::new();
    // The start of the text is no place for a mark.
    let mut marks = MARKS_LIMIT;
    for character in text.chars() {
        let category = character.general_category();
        let is_mark = matches!(
            category,
            GeneralCategory::NonspacingMark
                | GeneralCategory::SpacingMark
                | GeneralCategory::EnclosingMark
        );
        marks = if is_mark { marks + 1 } else { 0 };
        let shown = match category {
            GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::Surrogate
            | GeneralCategory::PrivateUse
            | GeneralCategory::Unassigned => '?',
            _ if marks > MARKS_LIMIT || is_drawn_as_nothing(character) => '?',
            GeneralCategory::SpaceSeparator => ' ',
            _ => character,
        };
        if clean.len() + shown.len_utf8() > limit {
            break;
        }
        clean.push(shown);
    }
    clean
}

/// `Default_Ignorable_Code_Point` of DerivedCoreProperties.txt, but for what is of category Cf or
/// Cn; and U+2800, which is a symbol without dots.
fn is_drawn_as_nothing(character: char) -> bool {
    matches!(
        character,
        '\u{34f}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{ffa0}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_could_fool_a_reader_is_replaced() {
        for (name, wanted) in [
            ("ada\u{202e}toor", "ada?toor"),
            ("ro\u{200b}ot", "ro?ot"),
            ("\u{2066}a\u{2069}", "?a?"),
            (
                "a\u{200d}b\u{200c}c\u{2060}d\u{feff}e\u{ad}f",
                "a?b?c?d?e?f",
            ),
            ("a\u{2028}b\u{2029}c\u{85}d", "a?b?c?d"),
            ("a\u{e000}b\u{10ffff}c\u{378}d", "a?b?c?d"),
            (
                "a\u{3164}b\u{ffa0}c\u{fe0f}d\u{e0041}e\u{2800}f\u{34f}g",
                "a?b?c?d?e?f?g",
            ),
            ("a\u{a0}b\u{3000}c\u{2003}d", "a b c d"),
            ("\x1b[2J\r\n\t", "?[2J???"),
        ] {
            assert_eq!(printable(name, 128), wanted, "{}", name.escape_unicode());
        }
    }

    #[test]
    fn letters_of_all_scripts_stay() {
        for name in [
            "Zoë Müller-Lüdenscheidt",
            "Nguye\u{302}\u{303}n",
            "Борис",
            "דָּוִד",
            "محمد",
            "देवनागरी",
            "ภาษาไทย",
            "田中さん",
            "김철수",
            "vm-1 (prod) 🦀 €5 ½",
        ] {
            assert_eq!(printable(name, 128), name);
        }
    }

    #[test]
    fn marks_do_not_pile_up_nor_sit_on_what_is_before() {
        assert_eq!(
            printable(&format!("a{}b", "\u{301}".repeat(7)), 128),
            format!("a{}???b", "\u{301}".repeat(4))
        );
        assert_eq!(printable("\u{338}a\u{338}", 128), "?a\u{338}");
    }

    proptest! {
        #[test]
        fn it_is_short_visible_and_printable_again(text in any::<String>(), limit in 0usize..200) {
            let clean = printable(&text, limit);
            prop_assert!(clean.len() <= limit);
            prop_assert!(!clean.chars().any(char::is_control));
            prop_assert_eq!(printable(&clean, limit), clean);
        }

        /// One for one: what is longer was cut, nothing else is missing.
        #[test]
        fn nothing_vanishes(text in any::<String>()) {
            prop_assert_eq!(printable(&text, usize::MAX).chars().count(), text.chars().count());
        }
    }
}
