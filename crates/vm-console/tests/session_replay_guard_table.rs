//! Each row of the table of sequences is taken out, in all the ways that terminals read it.

use std::collections::BTreeSet;

use proptest::prelude::*;
use vm_console::replay_guard::{ReplayGuard, SEQUENCES};

fn guarded(bytes: &[u8]) -> Vec<u8> {
    let mut guard = ReplayGuard::default();
    let mut shown = Vec::new();
    guard.filter(bytes, &mut shown);
    guard.finish(&mut shown);
    assert_eq!(shown.len() as u64 + guard.removed(), bytes.len() as u64);
    shown
}

/// The example as it is, with 8-bit controls as single bytes, and with them in UTF-8.
fn codings(example: &[u8]) -> Vec<Vec<u8>> {
    let coded = |prefix: &[u8]| {
        let mut coded = Vec::new();
        let mut rest = example;
        while let Some((&byte, tail)) = rest.split_first() {
            if let (0x1b, Some((&letter @ b'@'..=b'_', tail))) = (byte, tail.split_first()) {
                coded.extend_from_slice(prefix);
                coded.push(letter + 0x40);
                rest = tail;
            } else {
                coded.push(byte);
                rest = tail;
            }
        }
        coded
    };
    vec![example.to_vec(), coded(b""), coded(b"\xc2")]
}

#[test]
fn every_row_is_taken_out() {
    for row in SEQUENCES {
        for sequence in codings(row.example) {
            let around = [b"before ", &sequence[..], b" after"].concat();
            assert_eq!(
                guarded(&around).escape_ascii().to_string(),
                "before  after",
                "{}: {}",
                row.name,
                sequence.escape_ascii()
            );
        }
    }
}

#[test]
fn every_row_is_taken_out_wherever_it_is_cut() {
    for row in SEQUENCES {
        for cut in 1..row.example.len() {
            let mut guard = ReplayGuard::default();
            let mut shown = Vec::new();
            guard.filter(&row.example[..cut], &mut shown);
            guard.filter(&row.example[cut..], &mut shown);
            guard.finish(&mut shown);
            assert_eq!(shown, b"", "{} cut at {cut}", row.name);
        }
    }
}

#[test]
fn every_row_names_itself_and_its_source() {
    let examples: BTreeSet<_> = SEQUENCES.iter().map(|row| row.example).collect();
    assert_eq!(examples.len(), SEQUENCES.len(), "an example stands twice");
    assert!(
        SEQUENCES
            .iter()
            .all(|row| !row.name.is_empty() && !row.source.is_empty())
    );
}

/// Rows are taken out, while sequences that undo them or only resemble them pass.
#[test]
fn what_makes_no_terminal_send_passes() {
    let harmless: &[&[u8]] = &[
        b"\x1b[?1000l\x1b[?1006;1004l\x1b[?2004l",
        b"\x1b[?25h\x1b[?1049h\x1b[?1h\x1b[?7h\x1b[?12h",
        b"\x1b[>4m\x1b[>4;0m\x1b[>4;0f",
        b"\x1b[<u\x1b[<1u\x1b[=0u\x1b[>u\x1b[>0u",
        b"\x1b[s\x1b[u\x1b[1;24r\x1b[3S\x1b[3T\x1b[3g",
        b"\x1b[2 q\x1b[!p\x1b[1'}\x1b[1'~\x1b[1#{\x1b[#}\x1b[#p\x1b[#q",
        b"\x1b[1;1;2;2$x\x1b[1;1;2;2$z\x1b[2*x",
        b"\x1b[22;0t\x1b[23;0t\x1b[8;24;80t\x1b[4h\x1b[4l",
        b"\x1b%G\x1b(B\x1b)0\x1b=\x1b>\x1bD\x1bE\x1bM\x1bH",
        b"\x1b]0;what? who?\x07\x1b]133;A\x1b\\\x1b]133;D;0\x1b\\",
        b"\x1b]52;c;aGk=\x07\x1b]9;4;1;50\x07\x1b]1337;SetMark\x07\x1b]104\x07",
        b"\x1bkbash\x1b\\",
    ];
    for text in harmless {
        assert_eq!(
            guarded(text).escape_ascii().to_string(),
            text.escape_ascii().to_string()
        );
    }
}

#[test]
fn numbers_are_read_as_terminals_may_read_them() {
    for sequence in [
        // Leading zeros, one of several, after a colon, and beyond 16 and 32 bits.
        &b"\x1b[?0001000h"[..],
        b"\x1b[?25;1000;7h",
        b"\x1b[?25:1000h",
        b"\x1b[?66536h",
        b"\x1b[?4294968296h",
        b"\x1b[0014t",
        b"\x1b[>04;01m",
        b"\x1b]0060\x07",
        b"\x1b]65596\x07",
    ] {
        assert_eq!(guarded(sequence), b"", "{}", sequence.escape_ascii());
    }
}

/// Terminals read these in different ways: some go on with parameters, some stop.
#[test]
fn further_intermediate_bytes_hide_no_escape_sequence() {
    assert_eq!(guarded(b"\x1b% @"), b"");
    assert_eq!(guarded(b"\x1b%  /@"), b"");
    // A character set is chosen, whatever it is.
    assert_eq!(guarded(b"\x1b( @"), b"\x1b( @");
}

#[test]
fn a_malformed_control_sequence_is_taken_out() {
    for sequence in [
        &b"\x1b[6?n"[..],
        b"\x1b[25?h",
        b"\x1b[1 2q",
        b"\x1b[?>1m",
        b"\x1b[$6m",
        b"\x1b[1' {",
    ] {
        assert_eq!(guarded(sequence), b"", "{}", sequence.escape_ascii());
    }
}

proptest! {
    /// Checked without the guard's code: the output contains no example.
    #[test]
    fn no_example_is_left_of_any_mixture(
        pieces in prop::collection::vec(
            prop_oneof![
                prop::sample::select(SEQUENCES).prop_map(|row| row.example.to_vec()),
                (prop::sample::select(SEQUENCES), any::<prop::sample::Index>())
                    .prop_map(|(row, cut)| row.example[..cut.index(row.example.len())].to_vec()),
                (prop::sample::select(SEQUENCES), any::<prop::sample::Index>())
                    .prop_map(|(row, cut)| row.example[cut.index(row.example.len())..].to_vec()),
                prop::collection::vec(any::<u8>(), 0..4),
                Just(b"\x1b\\".to_vec()),
                Just(b"\r\n".to_vec()),
                Just(vec![b'x'; 5000]),
            ],
            0..30,
        ),
    ) {
        let shown = guarded(&pieces.concat());
        for (at, byte) in shown.iter().enumerate() {
            // 0x9A may be part of a letter.
            if matches!(byte, 0x05 | 0x1b) {
                let left = SEQUENCES.iter().find(|row| shown[at..].starts_with(row.example));
                prop_assert!(left.is_none(), "{left:?} in {}", shown.escape_ascii());
            }
        }
    }
}
