//! Whatever a guest has printed: no sequence of the table is shown, however the replay is cut, no
//! line of text is hidden, and every byte is accounted for.
//!
//! ```text
//! cargo +nightly fuzz run replay_guard CORPUS fuzz/seeds/replay_guard
//! ```
//!
//! The statements below are naive on purpose and share no code with the guard.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vm_console::replay_guard::{HELD_LIMIT, ReplayGuard, SEQUENCES};

// The first byte is the size of the pieces.
fuzz_target!(|input: &[u8]| {
    let Some((&size, replayed)) = input.split_first() else {
        return;
    };
    let shown = guarded(replayed, replayed.len());
    assert_eq!(shown, guarded(replayed, size.into()), "cuts differ");
    // Shown once more, nothing else would be taken out.
    assert_eq!(shown, guarded(&shown, shown.len()), "shown again");
    // Nothing is invented. (A control character within a sequence is carried out first, so the
    // order may change.)
    let mut left = [0i64; 256];
    replayed
        .iter()
        .for_each(|byte| left[usize::from(*byte)] += 1);
    shown.iter().for_each(|byte| left[usize::from(*byte)] -= 1);
    assert!(left.iter().all(|count| *count >= 0), "invented");
    no_sequence_of_the_table_remains(&shown);
    every_line_is_shown(replayed, &shown);
});

/// What is shown of pieces of `size` bytes.
fn guarded(replayed: &[u8], size: usize) -> Vec<u8> {
    let mut guard = ReplayGuard::default();
    let mut shown = Vec::new();
    let mut fed = 0;
    for piece in replayed.chunks(size.max(1)) {
        guard.filter(piece, &mut shown);
        fed += piece.len();
        let accounted = shown.len() + usize::try_from(guard.removed()).unwrap();
        assert!(accounted <= fed && fed - accounted <= HELD_LIMIT, "held");
    }
    guard.finish(&mut shown);
    assert_eq!(shown.len() as u64 + guard.removed(), replayed.len() as u64);
    shown
}

fn no_sequence_of_the_table_remains(shown: &[u8]) {
    for (at, byte) in shown.iter().enumerate() {
        let here = &shown[at..];
        assert_ne!(*byte, 0x05, "ENQ");
        if *byte != 0x1b {
            continue;
        }
        assert!(!matches!(
            here.get(1),
            Some(b'P' | b'X' | b'^' | b'_' | b'Z')
        ));
        if let Some(row) = SEQUENCES.iter().find(|row| here.starts_with(row.example)) {
            panic!("{} in {}", row.name, shown.escape_ascii());
        }
        // Status, position and attributes, with whatever parameters.
        if here.get(1) == Some(&b'[') {
            let last = here[2..].iter().find(|byte| !matches!(byte, 0x20..=0x3f));
            assert!(
                !matches!(last, Some(b'n' | b'c')),
                "{}",
                shown.escape_ascii()
            );
        }
    }
}

/// A line of printable ASCII is shown, but for what may end a sequence or a picture before it.
fn every_line_is_shown(replayed: &[u8], shown: &[u8]) {
    let mut lines: Vec<_> = replayed.split(|byte| *byte == b'\n').skip(1).collect();
    // The last is not ended.
    lines.pop();
    let mut from = 0;
    for line in lines {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = &line[may_be_lost(line)..];
        if text.is_empty() || !line.iter().all(|byte| matches!(byte, 0x20..=0x7e)) {
            continue;
        }
        let found = shown[from..]
            .windows(text.len())
            .position(|part| part == text);
        let at = found.unwrap_or_else(|| {
            panic!("{} is not in {}", line.escape_ascii(), shown.escape_ascii())
        });
        from += at + text.len();
    }
}

/// How many bytes of the line may belong to an escape sequence, a control sequence or a picture.
fn may_be_lost(line: &[u8]) -> usize {
    let after = |from: usize, rest: fn(&u8) -> bool| {
        let run = line.iter().skip(from).take_while(|byte| rest(byte)).count();
        from + run
    };
    let escape = after(0, |byte| matches!(byte, 0x20..=0x2f)) + 1;
    let control = |from| after(from, |byte| matches!(byte, 0x20..=0x3f)) + 1;
    let picture = after(0, |byte| *byte != b' ');
    [control(0), control(escape), picture]
        .into_iter()
        .max()
        .unwrap_or(0)
        .min(line.len())
}
