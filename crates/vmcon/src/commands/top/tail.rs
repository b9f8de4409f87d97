//! The last lines of an output, as plain text: nothing in it can give an order to a terminal.

use vm_console::printable;
use vm_console::replay_guard::ReplayGuard;
use vte::{Params, Parser, Perform};

/// Longest line, in characters: what follows is another line, as at a terminal so wide.
const LONGEST: usize = 512;
/// Longest line, in bytes.
const LONGEST_BYTES: usize = 4 * LONGEST;
/// Columns from one tab stop to the next.
const TAB: usize = 8;

/// The last lines of `output`, at most `most`, oldest first. Blank ones are left out.
///
/// The output may begin and end anywhere, even within a character. Each line reads as a terminal
/// would show it, without colours: carriage returns and backspaces overwrite. Output that moves the
/// cursor to another line begins a line here.
pub(super) fn last_lines(output: &[u8], most: usize) -> Vec<String> {
    // It gives back what noise has hidden in a command string that never ends.
    let mut guard = ReplayGuard::default();
    let mut shown = Vec::with_capacity(output.len());
    guard.filter(output, &mut shown);
    guard.finish(&mut shown);
    let mut lines = Vec::new();
    for run in shown.rsplit(|byte| *byte == b'\n') {
        if lines.len() >= most {
            break;
        }
        // A parser for each, so that a string which is left open ends with its line.
        let mut page = Page::default();
        Parser::new().advance(&mut page, run);
        page.break_line();
        lines.extend(page.lines.into_iter().rev());
    }
    lines.truncate(most);
    lines.reverse();
    lines
}

/// What a terminal would show of the bytes between two newlines.
#[derive(Debug, Default)]
struct Page {
    lines: Vec<String>,
    line: Vec<char>,
    /// The character of `line` at which the cursor is, or beyond its end.
    cursor: usize,
}

impl Page {
    fn break_line(&mut self) {
        let text: String = self.line.drain(..).collect();
        self.cursor = 0;
        let text = printable(text.trim_end(), LONGEST_BYTES);
        if !text.trim().is_empty() {
            self.lines.push(text);
        }
    }

    fn move_to(&mut self, column: usize) {
        self.cursor = column.min(LONGEST - 1);
    }
}

impl Perform for Page {
    fn print(&mut self, character: char) {
        if self.cursor >= LONGEST {
            self.break_line();
        }
        if self.line.len() <= self.cursor {
            self.line.resize(self.cursor + 1, ' ');
        }
        self.line[self.cursor] = character;
        self.cursor += 1;
    }

    fn execute(&mut self, control: u8) {
        match control {
            b'\r' => self.cursor = 0,
            b'\x08' => self.cursor = self.cursor.saturating_sub(1),
            b'\t' => self.move_to((self.cursor / TAB + 1) * TAB),
            b'\x0b' | b'\x0c' => self.break_line(),
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], _ignore: bool, action: char) {
        if !intermediates.is_empty() {
            return;
        }
        let first = params.iter().next().and_then(|group| group.first());
        let number = usize::from(first.copied().unwrap_or(0));
        let count = number.max(1);
        match (action, number) {
            ('C', _) => self.move_to(self.cursor + count),
            ('D', _) => self.cursor = self.cursor.saturating_sub(count),
            ('G' | '`', _) => self.move_to(count - 1),
            ('K' | 'J', 0) => self.line.truncate(self.cursor),
            ('K', 1) => {
                let erased = self.line.len().min(self.cursor + 1);
                self.line[..erased].fill(' ');
            }
            ('K', _) => self.line.clear(),
            ('A' | 'B' | 'E' | 'F' | 'H' | 'J' | 'd' | 'f', _) => self.break_line(),
            _ => {}
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], _ignore: bool, byte: u8) {
        if intermediates.is_empty() && matches!(byte, b'D' | b'E' | b'M' | b'c') {
            self.break_line();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(output: &[u8]) -> Vec<String> {
        last_lines(output, 100)
    }

    #[test]
    fn lines_read_as_a_terminal_shows_them() {
        for (output, wanted) in [
            (&b"one\r\n\r\ntwo\r\n"[..], &["one", "two"][..]),
            (b"login: \x1b[1mro\x1b[0mot", &["login: root"]),
            (b" 10%\r 20%\r100%", &["100%"]),
            (b"long before\rshort\x1b[K", &["short"]),
            (b"abc\x08\x08X", &["aXc"]),
            (b"a\tb", &["a       b"]),
            (b"\x1b[2J\x1b[Hmenu\x1b[3;4Hitem", &["menu", "item"]),
            (b"\x1b]0;title\x07text", &["text"]),
            (
                b"\x1b]0;no end\nKernel panic\n",
                &["0;no end", "Kernel panic"],
            ),
            (b"\x1b[5Cfar", &["     far"]),
            ("田中さん\n\u{202e}x".as_bytes(), &["田中さん", "?x"]),
            (b"\xff\xfe!", &["\u{fffd}\u{fffd}!"]),
        ] {
            assert_eq!(shown(output), wanted, "{}", output.escape_ascii());
        }
    }

    #[test]
    fn output_without_newlines_moves_on() {
        let lines = shown(&[b'x'; 3 * LONGEST]);
        assert_eq!(lines, vec!["x".repeat(LONGEST); 3]);
        assert_eq!(shown(b"\x1b[65535Cx").len(), 1);
    }

    /// Pieces of output that are more of a trial than single bytes.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            any::<Vec<u8>>(),
            any::<String>().prop_map(String::into_bytes),
            "\x1b[\\[\\]()PX^_#?0-9;]{0,8}[@-~]?".prop_map(String::into_bytes),
            "[\r\n\t\x08\x0b\x0c]{0,3}".prop_map(String::into_bytes),
        ]
    }

    proptest! {
        #[test]
        fn whatever_a_guest_writes_is_plain_text(
            pieces in prop::collection::vec(piece(), 0..20),
            most in 0_usize..10,
        ) {
            let lines = last_lines(&pieces.concat(), most);
            prop_assert!(lines.len() <= most);
            for line in lines {
                prop_assert!(!line.trim().is_empty());
                prop_assert!(line.len() <= LONGEST_BYTES);
                prop_assert_eq!(printable(&line, usize::MAX), line);
            }
        }

        #[test]
        fn plain_lines_are_shown_as_they_are_whatever_came_before(
            before in prop::collection::vec(piece(), 0..5),
            lines in prop::collection::vec("[!-~][ -~]{0,40}[!-~]", 1..10),
            most in 1_usize..12,
        ) {
            // A line cannot be told from the rest of a picture, which may span lines.
            let output = [before.concat(), b"\x18\n".to_vec(), lines.join("\r\n").into_bytes()].concat();
            let found = last_lines(&output, most);
            let wanted = &lines[lines.len().saturating_sub(most)..];
            prop_assert!(found.ends_with(wanted), "{:?} {:?}", found, wanted);
        }

        #[test]
        fn colours_change_nothing(text in "[!-~]{1,60}", colours in prop::collection::vec(0_u8..108, 60)) {
            let mut coloured = String::new();
            for (character, colour) in text.chars().zip(colours) {
                coloured.extend(["\x1b[", &colour.to_string(), "m", &character.to_string()]);
            }
            prop_assert_eq!(shown(coloured.as_bytes()), [text]);
        }
    }
}
