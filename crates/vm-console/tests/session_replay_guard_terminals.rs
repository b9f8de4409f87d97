//! The guard before real terminal emulators: tmux, and xterm with UTF-8 and with 8 bits.
//!
//! Each test first shows that the terminal types without the guard. Otherwise a terminal that never
//! types would prove nothing.

mod support;
#[path = "support/terminal.rs"]
mod terminal;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use terminal::Terminal;
use vm_console::replay_guard::{ReplayGuard, SEQUENCES};

fn guarded(bytes: &[u8]) -> Vec<u8> {
    let mut guard = ReplayGuard::default();
    let mut shown = Vec::new();
    guard.filter(bytes, &mut shown);
    guard.finish(&mut shown);
    shown
}

/// The installed terminals, one after the other. Prints that the others are skipped.
fn terminals() -> impl Iterator<Item = Terminal> {
    [
        Terminal::tmux as fn() -> _,
        || Terminal::xterm(true),
        || Terminal::xterm(false),
    ]
    .into_iter()
    .filter_map(|start| start())
}

/// The questions that a terminal answers without the guard.
fn answered(terminal: &str) -> Vec<&'static [u8]> {
    let all: &[&[u8]] = &[b"\x1b[c", b"\x1b[6n", b"\x1b[>0q"];
    let xterm: &[&[u8]] = &[
        b"\x05",
        b"\x1bZ",
        b"\x1b[?2026$p",
        b"\x1b[1$w",
        b"\x1b[1;1;1;1;1;1*y",
        b"\x1b[?4m",
        b"\x1b[?1;1;0S",
        b"\x1b[#R",
        b"\x1b[1;1;1;1#|",
        b"\x1b[14;2t",
        b"\x1b]11;?\x1b\\",
        b"\x1bP$qm\x1b\\",
        b"\x1bP+q544e\x1b\\",
    ];
    let single_bytes: &[&[u8]] = &[b"\x9a", b"\x9b6n", b"\x9d11;?\x9c", b"\x90$qm\x9c"];
    match terminal {
        "tmux" => all.to_vec(),
        "xterm" => [all, xterm].concat(),
        _ => [all, xterm, single_bytes].concat(),
    }
}

/// An emulator that gets stuck, as xterm does once in a while, says nothing about the guard: one more
/// try, with new ones. What is wrong with the guard is wrong again.
fn twice(test: impl Fn() + std::panic::RefUnwindSafe) {
    if std::panic::catch_unwind(&test).is_err() {
        test();
    }
}

#[test]
fn no_row_of_the_table_makes_a_terminal_type() {
    twice(|| {
        for mut terminal in terminals() {
            for question in answered(terminal.name) {
                terminal.reset();
                let typed = terminal.typed(question);
                assert!(
                    !typed.is_empty(),
                    "{} answers {}",
                    terminal.name,
                    question.escape_ascii()
                );
                assert_eq!(terminal.typed(&guarded(question)), b"", "{}", terminal.name);
            }
            for row in SEQUENCES {
                let typed = terminal.typed(&guarded(row.example));
                assert_eq!(typed, b"", "{} was shown {}", terminal.name, row.name);
            }
        }
    });
}

/// Pieces of questions, of strings and of text. The text is ASCII, because the bytes of other
/// letters may be controls for a terminal with 8 bits, and the guard does not promise to find
/// those.
fn mixture() -> impl Strategy<Value = Vec<u8>> {
    let row = prop::sample::select(SEQUENCES);
    let piece = prop_oneof![
        4 => row.clone().prop_map(|row| row.example.to_vec()),
        2 => (row.clone(), any::<prop::sample::Index>())
            .prop_map(|(row, cut)| row.example[..cut.index(row.example.len())].to_vec()),
        2 => (row, any::<prop::sample::Index>())
            .prop_map(|(row, cut)| row.example[cut.index(row.example.len())..].to_vec()),
        2 => prop::collection::vec(0x80u8..=0xa0, 1..4),
        2 => prop::sample::select(vec![
            &b"\x1b\\"[..], b"\x9c", b"\xc2\x9c", b"\x07", b"\x1b", b"\xc2", b"\x18", b"\r\n",
            b"text", b"$qm", b"6n", b";?",
        ]).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(0u8..=0x7f, 0..8),
    ];
    prop::collection::vec(piece, 1..40).prop_map(|pieces| pieces.concat())
}

#[test]
fn no_mixture_makes_a_terminal_type() {
    twice(|| {
        for terminal in terminals() {
            let name = terminal.name;
            let terminal = std::cell::RefCell::new(terminal);
            let mut runner = TestRunner::new(Config {
                cases: 200,
                failure_persistence: None,
                // With a stuck terminal each step would wait for the whole time limit.
                max_shrink_iters: 0,
                ..Config::default()
            });
            let ran = runner.run(&mixture(), |mixture| {
                let shown = guarded(&mixture);
                let mut terminal = terminal.borrow_mut();
                terminal.reset();
                let typed = terminal.typed(&shown);
                if typed.is_empty() {
                    return Ok(());
                }
                Err(TestCaseError::fail(format!(
                    "{name} typed {} at {}",
                    typed.escape_ascii(),
                    shown.escape_ascii()
                )))
            });
            ran.unwrap_or_else(|error| panic!("{error}"));
        }
    });
}

#[test]
fn a_panic_after_noise_stands_on_the_screen() {
    twice(|| {
        let panic = "Kernel panic - not syncing";
        let log = |noise: &[u8]| [b"ok\r\n", noise, panic.as_bytes(), b"\r\nend\r\n"].concat();
        for mut terminal in terminals() {
            for string in [&b"\x1bP"[..], b"\x1bX", b"\x1b^", b"\x1b_", b"\x1b]"] {
                assert!(
                    !terminal.screen(&log(string)).contains(panic),
                    "{} hides it after {}",
                    terminal.name,
                    string.escape_ascii()
                );
            }
            let noise: [&[u8]; 17] = [
                b"\x1bP",
                b"\x1bX",
                b"\x1b^",
                b"\x1b_",
                b"\x1b]",
                b"\x1bk",
                b"\x90",
                b"\x98",
                b"\x9b",
                b"\x9d",
                b"\x9e",
                b"\x9f",
                b"\xc2\x90",
                b"\xc2\x98",
                b"\xc2\x9d",
                b"\xc2\x9e",
                b"\xc2\x9f",
            ];
            for noise in noise {
                // The first letter of text may end a control sequence.
                let wanted = if noise == b"\x9b" { &panic[1..] } else { panic };
                let screen = terminal.screen(&guarded(&log(noise)));
                assert!(
                    screen.contains(wanted) && screen.contains("end"),
                    "{} after {}: {screen}",
                    terminal.name,
                    noise.escape_ascii()
                );
            }
        }
    });
}

/// In UTF-8 a single byte is no 8-bit control, so the text after it is shown without the guard.
#[test]
fn lone_controls_hide_nothing_in_utf8() {
    for start in [Terminal::tmux as fn() -> _, || Terminal::xterm(true)] {
        let Some(mut terminal) = start() else {
            continue;
        };
        for control in [0x90, 0x98, 0x9d, 0x9e, 0x9f] {
            for noise in [&[control][..], &[0xc2, control]] {
                let log = [noise, b"Kernel panic\r\n"].concat();
                assert!(
                    terminal.screen(&log).contains("Kernel panic"),
                    "{} {}",
                    terminal.name,
                    noise.escape_ascii()
                );
            }
        }
    }
}

/// A lone 9C ends a string in an xterm with 8 bits, and not in one with UTF-8. The guard must not
/// rely on either.
#[test]
fn xterm_differs_in_where_a_string_ends() {
    for (utf8, shows) in [(true, false), (false, true)] {
        let Some(mut terminal) = Terminal::xterm(utf8) else {
            continue;
        };
        let log = b"\x1b]0;title\x9cKernel panic\r\n";
        assert_eq!(terminal.screen(log).contains("Kernel panic"), shows);
        assert!(terminal.screen(&guarded(log)).contains("Kernel panic"));
    }
}

#[test]
fn text_without_questions_looks_the_same() {
    twice(|| {
        let texts: [&[u8]; 8] = [
            b"plain\r\ntext\r\n",
            b"\x1b[1;31mred\x1b[0m \x1b[4munder\x1b[m\r\n\x1b[3;10Hat\x1b[K",
            b"\x1b]0;a title\x07one\x1b]8;;http://example.invalid/\x1b\\link\x1b]8;;\x1b\\",
            b"\x1b[2J\x1b[5;5H\x1b[1;10r\x1b[10;1Hlast\r\nnext\x1bMup\x1b[r",
            b"\x1b(0lqqk\x1b(B box \x0elqk\x0f\x1b7\x1b[9;9Hx\x1b8y",
            b"a\x1b[3\nmb\x1b[\x0812Cc\x1b[31\x1b[32mgreen\x18\x1b[\x1b",
            b"\x1b[?1049halt\x1b[?1049lback\x1b[?25l\x1b[?7lwrap",
            "Grüße, 漢字, ┌─┐, Û6n\r\n".as_bytes(),
        ];
        for mut terminal in terminals() {
            for text in texts {
                if terminal.name == "xterm in 8 bits" && !text.is_ascii() {
                    continue;
                }
                let name = format!("{}: {}", terminal.name, text.escape_ascii());
                assert_eq!(
                    terminal.screen(&guarded(text)),
                    terminal.screen(text),
                    "{name}"
                );
            }
        }
    });
}
