//! Every sequence of accesses up to a depth, over a reduced alphabet, on device and model at once.
//!
//! The alphabet ([`alphabet`]) has 31 accesses: every register read; of each register the writes
//! that take it through its states; characters, breaks, time, modem inputs, a line that refuses,
//! reset. Sequences that lead to the same state of device *and* model go on as one, so that all
//! 31^n sequences of n accesses are covered by visiting each state once for each access.
//!
//! | depth | sequences | distinct states | accesses made |
//! |---|---|---|---|
//! | 5, in `cargo test` | 29,583,455 | 39,772 | 259,594 |
//! | 8, by hand | 881,320,738,688 | 2,318,064 | 19,855,841 |
//!
//! ```text
//! VM_UART_DEPTH=8 cargo test --release -p vm-uart --test walk_exhaustive -- --nocapture
//! ```

mod model;
mod pair;

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io::Write;

use model::Arrival;
use pair::{Access, Pair};
use vm_uart::{CharacterTimeout, Config, ReceiveAhead};

/// A PC's port with the chip's character timeout, input up to the brim.
fn pc() -> Config {
    Config {
        character_timeout: CharacterTimeout::FourCharacters,
        receive_ahead: ReceiveAhead::Full,
        ..Config::default()
    }
}

fn alphabet() -> Vec<Access> {
    let reads = (0..8).map(Access::Read);
    let writes = [
        (0, b'a'),
        (1, 0x00),
        (1, 0x02),
        (1, 0x0f),
        (2, 0x00),
        (2, 0x01),
        (2, 0x06),
        (2, 0x47),
        (3, 0x03),
        (3, 0x43),
        (3, 0x83),
        (4, 0x00),
        (4, 0x0b),
        (4, 0x1f),
        (7, 0x5a),
    ]
    .map(|(offset, value)| Access::Write(offset, value));
    let outside = [
        Access::Arrive(Arrival::clean(b'b')),
        Access::Arrive(Arrival::BREAK),
        Access::Offer(vec![Arrival::clean(b'c'); 5]),
        Access::Advance(4_166_667),
        Access::Inputs(0x40),
        Access::LineTakes(Some(0)),
        Access::LineTakes(Some(1)),
        Access::Reset,
    ];
    reads.chain(writes).chain(outside).collect()
}

/// A state as 64 bits; that two of two million share them has a chance of one in ten million.
fn fingerprint(pair: &Pair) -> u64 {
    let mut model = pair.model.clone();
    // Clocks and counters that only ever grow are no state.
    (model.chip.now, model.chip.edges, model.chip.lost) = (0, 0, 0);
    // Nor are passes of a handler, of which no walk makes enough to matter.
    (model.passes, model.served, model.looked) = (0, false, false);
    if model.chip.rx.is_empty() || !model.chip.fifo_on || model.chip.timed_out {
        model.chip.unmoved = 0;
    }
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    hasher.hash_one((pair.snapshot(), model))
}

struct Walked {
    states: usize,
    accesses: usize,
}

fn walk(depth: u32) -> Walked {
    let alphabet = alphabet();
    let start = Pair::new(pc());
    let mut seen = HashSet::from([fingerprint(&start)]);
    let mut frontier = vec![start];
    let mut accesses = 0;
    for _ in 0..depth {
        let mut next = Vec::new();
        for pair in &frontier {
            for access in &alphabet {
                let mut pair = pair.clone();
                pair.apply(access);
                accesses += 1;
                if seen.insert(fingerprint(&pair)) {
                    next.push(pair);
                }
            }
        }
        frontier = next;
    }
    Walked {
        states: seen.len(),
        accesses,
    }
}

#[test]
fn every_short_sequence_is_answered_alike() {
    let depth = std::env::var("VM_UART_DEPTH").map_or(5, |text| text.parse().expect("a number"));
    let letters = alphabet().len() as u128;
    let sequences: u128 = (1..=depth).map(|length| letters.pow(length)).sum();
    let walked = walk(depth);
    let _ = writeln!(
        std::io::stderr(),
        "{sequences} sequences of up to {depth} accesses, {} states, {} accesses made",
        walked.states,
        walked.accesses
    );
    if depth == 5 {
        let in_the_table = (29_583_455, 39_772, 259_594);
        assert_eq!((sequences, walked.states, walked.accesses), in_the_table);
    }
}

#[test]
fn states_that_differ_have_different_fingerprints() {
    let start = Pair::new(pc());
    let prints: HashSet<_> = alphabet()
        .iter()
        .map(|access| {
            let mut pair = start.clone();
            pair.apply(access);
            fingerprint(&pair)
        })
        .collect();
    // The 8 reads, 00 into IER and MCR, time and reset find nothing to change in a fresh chip,
    // and 06 does to FCR what 00 does.
    let alike = 13;
    assert_eq!(prints.len(), alphabet().len() - alike + 1);
}
