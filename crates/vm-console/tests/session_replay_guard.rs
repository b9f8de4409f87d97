//! No terminal question survives the replay guard, however it is written or cut, and nothing else
//! is lost.

use proptest::prelude::*;
use vm_console::replay_guard::{HELD_LIMIT, ReplayGuard};

fn guarded(chunks: &[&[u8]]) -> Vec<u8> {
    let mut guard = ReplayGuard::default();
    let mut shown = Vec::new();
    for chunk in chunks {
        guard.filter(chunk, &mut shown);
    }
    guard.finish(&mut shown);
    shown
}

/// Sequences that each make some terminal type.
const QUERIES: &[&[u8]] = &[
    b"\x05",
    b"\x1bZ",
    b"\x9a",
    b"\x1b[c",
    b"\x1b[0c",
    b"\x1b[>c",
    b"\x1b[>0c",
    b"\x1b[=c",
    b"\x1b[5n",
    b"\x1b[6n",
    b"\x1b[?6n",
    b"\x1b[?15n",
    b"\x1b[?996n",
    b"\x1b[x",
    b"\x1b[1x",
    b"\x1b[11t",
    b"\x1b[14;2t",
    b"\x1b[18t",
    b"\x1b[21t",
    b"\x1b[?2026$p",
    b"\x1b[4$p",
    b"\x1b[1$w",
    b"\x1b[1;1;1;1;1;1*y",
    b"\x1b[?u",
    b"\x1b[?4m",
    b"\x1b[?1;1;0S",
    b"\x1b[>q",
    b"\x1b[>0q",
    b"\x1b[1$u",
    b"\x1b[\"v",
    b"\x1b[&u",
    b"\x1b['|",
    b"\x1b[#R",
    b"\x1b[?1004h",
    b"\x1b[?25;2048h",
    b"\x9b6n",
    b"\xc2\x9b6n",
    b"\x1b]10;?\x07",
    b"\x1b]11;?\x1b\\",
    b"\x1b]4;1;?;2;?\x07",
    b"\x1b]52;c;?\x07",
    b"\x1b]50;?+1\x07",
    b"\x9d11;?\x07",
    b"\xc2\x9d11;?\xc2\x9c",
    b"\x1b]1337;ReportCellSize\x07",
    b"\x1b]21;foreground=?\x1b\\",
    b"\x1bP$qm\x1b\\",
    b"\x1bP+q544e\x1b\\",
    b"\x90$qm\x9c",
    b"\x1b_Gi=31,a=q;AAAA\x1b\\",
    b"\x1b^x\x1b\\",
    b"\x1bXx\x1b\\",
    // A bell in the middle of a sequence rings at once, and the sequence goes on.
    b"\x1b[6\x05n",
];

/// Sequences that ask nothing.
const PLAIN: &[&[u8]] = &[
    b"hello, world\r\n",
    b"\x1b[0m",
    b"\x1b[1;31mred\x1b[0m",
    b"\x1b[38;2;1;2;3m",
    b"\x1b[H\x1b[2J",
    b"\x1b[?25l\x1b[?25h",
    b"\x1b[?1049h",
    b"\x1b[22;0;0t\x1b[23;0;0t",
    b"\x1b[2 q",
    b"\x1b[!p",
    b"\x1b(B\x1b)0",
    b"\x1b7\x1b8\x1bc",
    b"\x1b]0;a title, is it?\x07",
    b"\x1b]8;;http://example.invalid/\x1b\\link\x1b]8;;\x1b\\",
    b"\x1b]11;#000000\x07",
    "Grüße, Û6n, 漢字, 🦀".as_bytes(),
    b"\x07\x08\t\x0b\x0c\x0e\x0f",
    b"\xff\xfe",
];

#[test]
fn every_question_is_taken_out() {
    for query in QUERIES {
        assert_eq!(
            guarded(&[b"a", query, b"z"]),
            b"az",
            "{}",
            query.escape_ascii()
        );
    }
}

#[test]
fn everything_else_is_kept() {
    for plain in PLAIN {
        assert_eq!(guarded(&[plain]), *plain, "{}", plain.escape_ascii());
    }
}

#[test]
fn a_question_nested_in_a_string_is_taken_out() {
    // Multiplexers hand the inside of a DCS on to the terminal.
    assert!(
        !guarded(&[b"\x1bPtmux;\x1b\x1b[6n\x1b\\"])
            .windows(2)
            .any(|w| w == b"6n")
    );
    assert!(
        !guarded(&[b"\x1bP\x1b[6n\x1b\\"])
            .windows(2)
            .any(|w| w == b"6n")
    );
    assert!(
        !guarded(&[b"\x1b]0;x\x1b[6n\x07"])
            .windows(2)
            .any(|w| w == b"6n")
    );
}

#[test]
fn what_is_not_complete_at_the_end_is_given_out() {
    assert_eq!(guarded(&[b"a\x1b[6"]), b"a\x1b[6");
    assert_eq!(guarded(&[b"a\x1b"]), b"a\x1b");
    assert_eq!(guarded(&[b"a\xc2"]), b"a\xc2");
    assert_eq!(guarded(&[b"a\x1b]0;t\x1b"]), b"a\x1b]0;t\x1b");
}

#[test]
fn state_is_bounded_by_a_sequence_that_never_ends() {
    for start in [&b"\x1b["[..], b"\x1b]", b"\x1bP", b"\x1b "] {
        let mut guard = ReplayGuard::default();
        let mut shown = Vec::new();
        guard.filter(start, &mut shown);
        for _ in 0..10_000 {
            guard.filter(b"        0000000000", &mut shown);
        }
        guard.finish(&mut shown);
        assert!(shown.len() < 200_000);
        assert!(guard.removed() + shown.len() as u64 >= 180_000);
    }
    let mut guard = ReplayGuard::default();
    let mut shown = Vec::new();
    guard.filter(b"\x1b]", &mut shown);
    for sent in 1..=100_000u64 {
        guard.filter(b"xxxxxxxxxx", &mut shown);
        let held = 2 + 10 * sent - shown.len() as u64 - guard.removed();
        assert!(held <= HELD_LIMIT as u64);
    }
    assert_eq!((shown.len(), guard.removed()), (1_000_000, 2));
    assert!(
        std::mem::size_of_val(&guard) < 64,
        "what is held lives in one bounded buffer"
    );
}

#[test]
fn a_gap_voids_the_sequence_that_it_cut() {
    let mut guard = ReplayGuard::default();
    let mut shown = Vec::new();
    guard.filter(b"\x1b]0;", &mut shown);
    guard.interrupt();
    guard.filter(b"text", &mut shown);
    assert_eq!(shown, b"text");
}

fn pieces() -> impl Strategy<Value = Vec<&'static [u8]>> {
    let piece = prop_oneof![
        prop::sample::select(QUERIES.to_vec()),
        prop::sample::select(PLAIN.to_vec()),
        prop::sample::select(vec![
            &b"\x1b"[..],
            b"[",
            b"6",
            b"n",
            b"]",
            b"P",
            b"\\",
            b"\x07",
            b"\x18",
            b";?",
            b"\xc2",
            b"$",
            b"\x9b",
            b"\x9c",
            b"c"
        ]),
    ];
    prop::collection::vec(piece, 0..30)
}

/// Finds complete questions of the two most important kinds as a terminal would, without the
/// guard's code.
fn asks(shown: &[u8]) -> bool {
    let mut i = 0;
    while i < shown.len() {
        if shown[i] == 0x05 {
            return true;
        }
        if shown[i] == 0x1b && shown.get(i + 1) == Some(&b'[') {
            let body = &shown[i + 2..];
            let end = body.iter().position(|b| !(0x20..0x40).contains(b));
            if end.is_some_and(|end| matches!(body[end], b'n' | b'c')) {
                return true;
            }
        }
        i += 1;
    }
    false
}

proptest! {
    #[test]
    fn cuts_make_no_difference(
        pieces in pieces(),
        cuts in prop::collection::vec(1usize..7, 0..200),
    ) {
        let all = pieces.concat();
        let mut guard = ReplayGuard::default();
        let mut shown = Vec::new();
        let mut rest = &all[..];
        for cut in cuts {
            let (chunk, tail) = rest.split_at(cut.min(rest.len()));
            guard.filter(chunk, &mut shown);
            rest = tail;
        }
        guard.filter(rest, &mut shown);
        guard.finish(&mut shown);
        prop_assert_eq!(shown, guarded(&[&all]));
    }

    #[test]
    fn no_mixture_asks_anything(pieces in pieces()) {
        let all = pieces.concat();
        let mut guard = ReplayGuard::default();
        let mut shown = Vec::new();
        guard.filter(&all, &mut shown);
        prop_assert!(!asks(&shown), "{}", shown.escape_ascii());
    }

    #[test]
    fn what_is_shown_and_what_is_removed_is_what_came(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut guard = ReplayGuard::default();
        let mut shown = Vec::new();
        guard.filter(&bytes, &mut shown);
        guard.finish(&mut shown);
        prop_assert_eq!(shown.len() as u64 + guard.removed(), bytes.len() as u64);
    }

    #[test]
    fn text_without_controls_passes_unchanged(text in "[^\\p{Cc}]{0,200}") {
        prop_assert_eq!(guarded(&[text.as_bytes()]), text.as_bytes());
    }
}

/// The bytes before and after a removed sequence must not join to a sequence that was not checked.
#[test]
fn nothing_grows_together_across_what_was_taken_out() {
    // The terminal sees EF 9D 93, one character, and then a DCS, which is not the text of an OSC.
    assert_eq!(
        guarded(&[b"\xef\x1b[\x9d\x93\x90$qm\x1b\\"]),
        b"\xef\x9d\x93"
    );
    // C2, a query, 9B: together C2 9B is CSI.
    assert_eq!(guarded(&[b"\xc2\x1b[6n\x9b6n"]), b"");
    assert_eq!(guarded(&[b"\xc2\x05\x9b6n"]), b"");
    // At the end too: live output could make the C2 of a string that is none a control.
    assert_eq!(guarded(&[b"\x9d\xc2\x1b"]), b"\x1b");
}

proptest! {
    #[test]
    fn what_is_shown_passes_the_guard_again(
        pieces in pieces(),
        bytes in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        for all in [pieces.concat(), bytes] {
            let shown = guarded(&[&all]);
            prop_assert_eq!(guarded(&[&shown]), shown);
        }
    }
}
