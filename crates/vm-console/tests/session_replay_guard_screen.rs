//! The guard before a terminal emulator in this process, over many mixtures: text looks the same,
//! and no question arrives.

use std::num::NonZeroU16;

use proptest::prelude::*;
use vm_console::replay_guard::{ReplayGuard, SEQUENCES};
use vt100::{MouseProtocolMode, Parser, Screen};

fn guarded(bytes: &[u8], size: usize) -> Vec<u8> {
    let mut guard = ReplayGuard::default();
    let mut shown = Vec::new();
    for piece in bytes.chunks(size) {
        guard.filter(piece, &mut shown);
    }
    guard.finish(&mut shown);
    shown
}

/// The questions that reach the emulator, as its parser reports them.
#[derive(Default)]
struct Heard {
    questions: Vec<String>,
}

impl Heard {
    fn note(&mut self, what: &str, detail: impl std::fmt::Debug) {
        self.questions.push(format!("{what} {detail:?}"));
    }
}

impl vt100::Callbacks for Heard {
    fn paste_from_clipboard(&mut self, _: &mut Screen, kind: &[u8]) {
        self.note("clipboard", kind);
    }

    fn unhandled_control(&mut self, _: &mut Screen, control: u8) {
        if control == 0x05 {
            self.note("control", control);
        }
    }

    fn unhandled_escape(&mut self, _: &mut Screen, first: Option<u8>, _: Option<u8>, last: u8) {
        if matches!((first, last), (None, b'Z') | (Some(b'%'), b'@')) {
            self.note("escape", last);
        }
    }

    fn unhandled_csi(
        &mut self,
        _: &mut Screen,
        first: Option<u8>,
        second: Option<u8>,
        parameters: &[&[u16]],
        last: char,
    ) {
        let number = |at: usize| parameters.get(at).map_or(0, |field| field[0]);
        // A private marker comes first, and makes it another sequence.
        let asks = match (first, last) {
            (_, 'c' | 'n') => true,
            (Some(b'?'), 'p' | 'u') if second == Some(b'$') => true,
            (Some(b'>'), 'q') => matches!(second, None | Some(b' ')),
            _ if second.is_some() => false,
            (None, 'x' | 'i')
            | (Some(b'>'), 't')
            | (Some(b'?'), 'u' | 'm' | 'S' | 'g' | 'r')
            | (Some(b'$'), 'p' | 'u' | 'w')
            | (Some(b'*'), 'y' | 'z')
            | (Some(b'#'), 'R' | 'S' | '|' | 't')
            | (Some(b'\''), 'z' | '{' | '|' | 'w') => true,
            (None, 't') => (11..=21).contains(&number(0)),
            (Some(b'>' | b'='), 'u') => number(0) != 0,
            (Some(b'>'), 'm' | 'f') => number(1) != 0,
            (Some(b'?'), 'h') => parameters.iter().any(|field| {
                let unsolicited = [9, 38, 1004, 1007, 1015, 1016, 2029, 2031, 2048, 5522, 9001];
                unsolicited.contains(&field[0])
            }),
            _ => false,
        };
        if asks {
            self.note("control sequence", (first, second, parameters, last));
        }
    }

    fn unhandled_osc(&mut self, _: &mut Screen, fields: &[&[u8]]) {
        let number = fields.first().copied().unwrap_or_default();
        let always: [&[u8]; 7] = [b"60", b"61", b"62", b"72", b"99", b"5113", b"5522"];
        if always.contains(&number) || fields.iter().skip(1).any(|field| field.starts_with(b"?")) {
            self.note("operating system command", fields);
        }
    }
}

fn emulate(bytes: &[u8]) -> Parser<Heard> {
    let [rows, columns] = [24, 80].map(|size| NonZeroU16::new(size).unwrap());
    let mut parser = Parser::new_with_callbacks(rows, columns, 0, Heard::default());
    parser.process(bytes);
    parser
}

/// The oracle notices most rows of the table, so it means something if it notices none.
#[test]
fn the_emulator_hears_questions() {
    let heard = SEQUENCES
        .iter()
        .filter(|row| {
            let parser = emulate(row.example);
            let screen = parser.screen();
            !parser.callbacks().questions.is_empty()
                || screen.mouse_protocol_mode() != MouseProtocolMode::None
                || screen.bracketed_paste()
        })
        .count();
    assert!(heard >= 40, "{heard} of {}", SEQUENCES.len());
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let complete = prop::sample::select(vec![
        "\x1b[0m",
        "\x1b[1;31m",
        "\x1b[38;2;1;2;3m",
        "\x1b[H",
        "\x1b[2J",
        "\x1b[5;9H",
        "\x1b[K",
        "\x1b[3A",
        "\x1b[2L",
        "\x1b[4P",
        "\x1b[2;9r",
        "\x1b[?25l",
        "\x1b[?1049h",
        "\x1b[?1049l",
        "\x1b[?1000l",
        "\x1b7",
        "\x1b8",
        "\x1bM",
        "\x1b(B",
        "\x1b]0;a title\x07",
        "\x1b]8;;http://example.invalid/\x1b\\",
        "\r\n",
        "\t",
        "\x08",
        "\x07",
        "\x1b[3\nC",
        "\x1b[2\x1b[1m",
        "\x1b[9\x18",
    ]);
    let piece = prop_oneof![
        complete.prop_map(|piece| piece.as_bytes().to_vec()),
        "[ -~äß漢┌Û🦀]{0,20}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn anything() -> impl Strategy<Value = Vec<u8>> {
    let row = prop::sample::select(SEQUENCES);
    let piece = prop_oneof![
        3 => row.clone().prop_map(|row| row.example.to_vec()),
        2 => (row.clone(), any::<prop::sample::Index>())
            .prop_map(|(row, cut)| row.example[..cut.index(row.example.len())].to_vec()),
        2 => (row, any::<prop::sample::Index>())
            .prop_map(|(row, cut)| row.example[cut.index(row.example.len())..].to_vec()),
        2 => prop::collection::vec(any::<u8>(), 0..6),
        1 => prop::collection::vec(0x20u8..0x7f, 0..20),
        1 => Just(b"\x1b\\".to_vec()),
        1 => text(),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn text_without_questions_looks_the_same(text in text(), size in 1usize..50) {
        let (with, without) = (emulate(&guarded(&text, size)), emulate(&text));
        prop_assert_eq!(with.screen().state_formatted(), without.screen().state_formatted());
    }

    #[test]
    fn no_question_reaches_the_terminal(anything in anything(), size in 1usize..50) {
        let shown = guarded(&anything, size);
        let parser = emulate(&shown);
        let questions = &parser.callbacks().questions;
        prop_assert!(questions.is_empty(), "{questions:?} in {}", shown.escape_ascii());
        prop_assert_eq!(parser.screen().mouse_protocol_mode(), MouseProtocolMode::None);
        prop_assert!(!parser.screen().bracketed_paste());
    }
}
