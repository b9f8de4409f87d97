//! The device and the independent model answer every sequence of accesses alike: registers, the
//! interrupt line with its edges, transmitted bytes, modem outputs, and what waits outside; under
//! every config, through snapshots, with a line that refuses, and in strings.
//!
//! `cargo test` runs some hundred sequences. For a long run with an exact count:
//!
//! ```text
//! VM_UART_ACCESSES=1000000000 VM_UART_SEED=1 \
//!     cargo test --release -p vm-uart --test model_differential -- --ignored --nocapture
//! ```

mod model;
mod pair;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fastrand::Rng;
use model::Arrival;
use pair::{Access, Pair, Script, run};
use proptest::prelude::*;
use vm_uart::Config;

fn script() -> impl Strategy<Value = (Config, Vec<Access>)> {
    prop::collection::vec(any::<u8>(), 1..600).prop_map(|bytes| {
        let (config, script) = Script::new(&bytes);
        (config, script.collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_is_answered_alike((config, accesses) in script()) {
        let mut pair = Pair::new(config);
        for access in &accesses {
            pair.apply(access);
        }
    }

    #[test]
    fn a_snapshot_anywhere_changes_nothing_that_follows(
        (config, accesses) in script(),
        at in any::<prop::sample::Index>(),
    ) {
        let mut pair = Pair::new(config);
        let at = at.index(accesses.len().max(1));
        for (index, access) in accesses.iter().enumerate() {
            if index == at {
                pair.apply(&Access::Migrate);
            }
            pair.apply(access);
        }
    }
}

/// Random sequences hardly ever make so many passes in a row.
#[test]
fn a_handler_that_finds_no_end_is_answered_alike() {
    for config in Config::every() {
        let mut pair = Pair::new(config);
        for (offset, value) in [(3, 0x03), (2, 0x81), (4, 0x0b), (1, 0x07)] {
            pair.apply(&Access::Write(offset, value));
        }
        for pass in 0..2600_u16 {
            pair.apply(&Access::Read(2));
            // Handlers that never look at LSR make no passes.
            if pass >= 1300 {
                pair.apply(&Access::Read(5));
            }
            match pass % 7 {
                0 => pair.apply(&Access::Offer(vec![Arrival::clean(b'k'); 3])),
                1 => pair.apply(&Access::Read(0)),
                2 => pair.apply(&Access::Read(2)),
                _ => pair.apply(&Access::Write(0, b'x')),
            }
        }
    }
}

#[test]
fn random_sequences_are_answered_alike() {
    let accesses = long_run(1, 200_000);
    assert!(accesses >= 200_000);
}

#[test]
#[ignore = "takes as long as VM_UART_ACCESSES says"]
fn as_many_random_accesses_as_asked_for() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let seed = number("VM_UART_SEED", 1);
    let accesses = long_run(seed, number("VM_UART_ACCESSES", 100_000_000));
    let _ = writeln!(
        std::io::stderr(),
        "{accesses} accesses from seed {seed}, no difference"
    );
}

/// Sequences from a random source until so many accesses are done. Each draws its verbs from a
/// small random vocabulary: uniform bytes would hardly ever fill a FIFO.
fn long_run(seed: u64, accesses: u64) -> u64 {
    let mut random = Rng::with_seed(seed);
    let mut done = 0;
    while done < accesses {
        let vocabulary: Vec<u8> = (0..=random.u64(..40)).map(|_| random.u8(..)).collect();
        let common = random.u64(..100);
        let mut bytes = vec![random.u8(..), random.u8(..)];
        for _ in 0..50 + random.u64(..1500) {
            let known = random.u64(..100) < common;
            let byte = random.u8(..);
            bytes.push(if known {
                vocabulary[usize::from(byte) % vocabulary.len()]
            } else {
                byte
            });
        }
        let outcome = catch_unwind(|| run(&bytes));
        done += outcome.unwrap_or_else(|_| panic!("they differ after\n{:#?}", shortest(&bytes)));
    }
    done
}

/// Takes accesses out of a sequence as long as device and model still differ.
fn shortest(bytes: &[u8]) -> (Config, Vec<Access>) {
    let (config, script) = Script::new(bytes);
    let mut accesses: Vec<_> = script.collect();
    let differ = |accesses: &[Access]| {
        let run = || {
            let mut pair = Pair::new(config);
            for access in accesses {
                pair.apply(access);
            }
        };
        catch_unwind(AssertUnwindSafe(run)).is_err()
    };
    std::panic::set_hook(Box::new(|_| ()));
    let mut size = accesses.len();
    while size > 0 {
        let mut at = 0;
        while at < accesses.len() {
            let mut fewer = accesses.clone();
            fewer.drain(at..accesses.len().min(at + size));
            if differ(&fewer) {
                accesses = fewer;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    let _ = std::panic::take_hook();
    (config, accesses)
}
