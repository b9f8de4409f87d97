//! Whatever a guest has printed: the guard shows the same however replay is cut, invents nothing, and counts what it takes.
//!
//! ```text
//! cargo +nightly fuzz run replay_guard CORPUS fuzz/seeds/replay_guard
//! ```
#![no_main]

use libfuzzer_sys::fuzz_target;
use vm_console::replay_guard::ReplayGuard;

// The first byte is the size of the pieces.
fuzz_target!(|input: &[u8]| {
    let Some((&size, replayed)) = input.split_first() else {
        return;
    };
    let whole = guarded(replayed, replayed.len().max(1));
    assert_eq!(whole, guarded(replayed, usize::from(size).max(1)));
    let (shown, removed) = whole;
    assert_eq!(shown.len() as u64 + removed, replayed.len() as u64);
    // Nothing is invented. (A control character within a sequence is carried out first, so the order may change.)
    let count = |bytes: &[u8], byte| bytes.iter().filter(|&&other| other == byte).count();
    assert!((0..=255).all(|byte| count(&shown, byte) <= count(replayed, byte)));
    // Shown once more, nothing else would be taken out: what may reach a terminal contains no query.
    let (again, _) = guarded(&shown, shown.len().max(1));
    assert_eq!(again, shown);
});

fn guarded(replayed: &[u8], size: usize) -> (Vec<u8>, u64) {
    let mut guard = ReplayGuard::default();
    let mut shown = Vec::new();
    for piece in replayed.chunks(size) {
        guard.filter(piece, &mut shown);
    }
    guard.finish(&mut shown);
    (shown, guard.removed())
}
