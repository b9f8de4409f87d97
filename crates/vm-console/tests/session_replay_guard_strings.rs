//! Noise that looks like the beginning of a string does not hide the text after it.

use proptest::prelude::*;
use vm_console::replay_guard::{HELD_LIMIT, ReplayGuard};

/// All beginnings of a string or of another sequence.
const INTRODUCERS: &[&[u8]] = &[
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
    b"\xc2\x9b",
    b"\xc2\x9d",
    b"\xc2\x9e",
    b"\xc2\x9f",
];

/// The beginnings of strings, which go on over text.
fn strings() -> impl Iterator<Item = &'static [u8]> {
    let is_csi = |introducer: &&[u8]| matches!(introducer.last(), Some(0x9b));
    INTRODUCERS
        .iter()
        .copied()
        .filter(move |introducer| !is_csi(introducer))
}

const PANIC: &[u8] = b"Kernel panic - not syncing: VFS: Unable to mount root fs\r\n\
    CPU: 0 PID: 1 Comm: swapper/0\r\n---[ end Kernel panic ]---\r\n";

struct Guarded {
    shown: Vec<u8>,
    removed: u64,
}

/// Feeds in pieces of `size` bytes, and checks the guard's bound after each.
fn guarded(bytes: &[u8], size: usize) -> Guarded {
    let mut guard = ReplayGuard::default();
    let mut shown = Vec::new();
    let mut fed = 0;
    for piece in bytes.chunks(size.max(1)) {
        guard.filter(piece, &mut shown);
        fed += piece.len();
        assert!(fed - shown.len() - guard.removed() as usize <= HELD_LIMIT);
    }
    guard.finish(&mut shown);
    Guarded {
        removed: guard.removed(),
        shown,
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|part| part == wanted)
}

#[test]
fn a_panic_after_a_stray_introducer_is_shown() {
    for introducer in strings() {
        let log = [b"[    1.0] ok\r\n", introducer, PANIC].concat();
        let Guarded { shown, removed } = guarded(&log, log.len());
        assert_eq!(
            shown.escape_ascii().to_string(),
            [b"[    1.0] ok\r\n", PANIC]
                .concat()
                .escape_ascii()
                .to_string(),
            "{}",
            introducer.escape_ascii()
        );
        assert_eq!(removed, introducer.len() as u64);
    }
}

#[test]
fn a_panic_is_shown_though_it_is_one_line_without_end() {
    let line = b"Kernel panic - not syncing ".repeat(1000);
    for introducer in strings() {
        let Guarded { shown, removed } = guarded(&[introducer, &line[..]].concat(), 100);
        if introducer[0] == 0x1b && matches!(introducer[1], b']' | b'k') {
            assert!(shown.len() >= line.len(), "it was given back at the bound");
        }
        assert!(contains(&shown, &line), "{}", introducer.escape_ascii());
        assert_eq!(removed, introducer.len() as u64);
    }
}

/// An unfinished string at the end of the replay does not hide live output.
#[test]
fn the_last_line_is_shown_though_nothing_ends_it() {
    for introducer in strings() {
        let Guarded { shown, .. } = guarded(&[introducer, b"Kernel panic"].concat(), 1);
        assert!(shown.ends_with(b"Kernel panic"));
    }
}

#[test]
fn what_cuts_a_string_off_gives_back_what_stood_before() {
    for introducer in strings() {
        for cut in [&b"\x1b[1m"[..], b"\x18", b"\x1a", b"\x1bD", b"\x9b1m"] {
            let log = [introducer, b"Kernel panic", cut, b" now\r\n"].concat();
            let Guarded { shown, .. } = guarded(&log, 1);
            assert!(
                shown.starts_with(b"Kernel panic") && shown.ends_with(b" now\r\n"),
                "{}: {}",
                log.escape_ascii(),
                shown.escape_ascii()
            );
        }
    }
}

/// xterm in UTF-8 does not end a string at a lone 9C. It would read on over text and questions.
#[test]
fn a_string_whose_ends_differ_is_not_shown_as_one() {
    for (log, wanted) in [
        (&b"\x1b]10;x\x9c;?\x07"[..], &b"10;x;?\x07"[..]),
        (b"\x1b]0;title\xc2\x9ctext", b"0;titletext"),
        (b"\x9d0;title\xc2\x9ctext", b"0;titletext"),
        (b"\xc2\x9d0;title\x9ctext", b"0;titletext"),
    ] {
        let Guarded { shown, .. } = guarded(log, 3);
        assert_eq!(
            shown.escape_ascii().to_string(),
            wanted.escape_ascii().to_string()
        );
    }
    for same in [&b"\x9d0;t\x9c"[..], b"\xc2\x9d0;t\xc2\x9c", b"\x9d0;t\x07"] {
        assert_eq!(guarded(same, 2).shown, same);
    }
}

/// Alacritty answers at the ESC of a string's end, before the character after it.
#[test]
fn a_question_of_which_only_the_last_byte_is_missing_is_taken_out() {
    assert_eq!(guarded(b"a\x1b]11;?\x1b", 1).shown, b"a\x1b");
    assert_eq!(guarded(b"a\x1b]0;t\x1b", 1).shown, b"a\x1b]0;t\x1b");
}

#[test]
fn a_picture_is_taken_out_whatever_its_size() {
    let sixels = b"#0!80~-\r\n".repeat(3000);
    let base64 = b"iVBORw0KGgo".repeat(3000);
    for (begin, data, end) in [
        (&b"\x1bP0;1;0q\"1;1;80;80"[..], &sixels, &b"\x1b\\"[..]),
        (b"\x1b_Ga=T,f=100;", &base64, b"\x1b\\"),
        (b"\x1b]1337;File=inline=1:", &base64, b"\x07"),
        (b"\x1b]52;c;", &base64, b"\x07"),
    ] {
        let log = [b"before", begin, &data[..], end, b"after"].concat();
        let Guarded { shown, .. } = guarded(&log, 1000);
        assert_eq!(shown, b"beforeafter", "{}", begin.escape_ascii());
        // The string also ends where text begins.
        let log = [begin, &data[..], b"\r\n", PANIC].concat();
        let Guarded { shown, .. } = guarded(&log, 1000);
        assert!(contains(&shown, b" panic - not syncing"));
    }
}

/// A continuation byte after a removed sequence must not continue the character before it.
#[test]
fn nothing_joins_across_an_introducer_that_was_taken_out() {
    assert_eq!(guarded(b"\xe1\x1bP\xa0\xa0text\n", 1).shown, b"\xe1text\n");
    // E0 9B is no beginning of a character: rxvt-unicode takes the 9B for CSI.
    assert_eq!(guarded(b"\xe0\x9b6n", 1).shown, b"\xe0");
    assert_eq!(guarded(b"\xf4\x9b6n", 1).shown, b"\xf4");
}

fn noise() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(INTRODUCERS).prop_map(<[u8]>::to_vec),
        prop::sample::select(vec![
            "\x1b[", "\x1b", "\x1b(", "\x1bPq", "\x1b_G", "\x1b]52;", "\n"
        ])
        .prop_map(|begin| begin.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..20),
        (any::<u8>(), 1usize..6000).prop_map(|(byte, count)| vec![byte; count]),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// Only the line's first word may be lost, as it may be the end of a sequence or of a picture.
    #[test]
    fn a_line_comes_through_whatever_was_before(noise in noise(), size in 1usize..500) {
        let log = [&noise[..], b"\r\n", PANIC].concat();
        let Guarded { shown, removed } = guarded(&log, size);
        prop_assert!(contains(&shown, &PANIC[6..]), "{}", shown.escape_ascii());
        prop_assert_eq!(shown.len() as u64 + removed, log.len() as u64);
    }

    #[test]
    fn what_is_shown_passes_again(noise in noise(), size in 1usize..500) {
        let once = guarded(&noise, size).shown;
        prop_assert_eq!(&guarded(&once, size).shown, &once);
        prop_assert_eq!(&guarded(&noise, noise.len()).shown, &once);
    }
}
