use std::panic::{AssertUnwindSafe, catch_unwind};

use super::follow;
use super::script::Script;
use super::shrink::shrink;
use super::world::Tally;

/// What a script breaks, a panic included.
fn broken(script: &Script) -> Option<String> {
    match catch_unwind(AssertUnwindSafe(|| follow(script))) {
        Ok(Ok(_)) => None,
        Ok(Err(broken)) => Some(broken),
        Err(panic) => Some(format!("panic: {:?}", panic.downcast_ref::<String>())),
    }
}

/// Promises are told apart by their first words.
fn kind(broken: &str) -> String {
    let words = broken
        .split(' ')
        .take(4)
        .filter(|word| !word.contains(|c: char| c.is_ascii_digit()));
    words.collect::<Vec<_>>().join(" ")
}

fn random_bytes(random: &mut fastrand::Rng) -> Vec<u8> {
    let length = random.usize(20..20_000);
    (0..length).map(|_| random.u8(..)).collect()
}

/// A run over this many random scripts; `SIMULATED_SCRIPTS` and `SIMULATED_SEED` choose others.
#[test]
fn no_random_script_breaks_a_promise() {
    let from_environment = |name| {
        let value = std::env::var(name).ok()?;
        value.parse::<u64>().ok()
    };
    let scripts = from_environment("SIMULATED_SCRIPTS").unwrap_or(300);
    let seed = from_environment("SIMULATED_SEED").unwrap_or(1);
    let mut sum = Tally::default();
    let mut seen = std::collections::BTreeSet::new();
    let started = std::time::Instant::now();
    for number in 0..scripts {
        let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(1 << 32).wrapping_add(number));
        let script = Script::from_bytes(&random_bytes(&mut random));
        match catch_unwind(AssertUnwindSafe(|| follow(&script))) {
            Ok(Ok(tally)) => sum.add(&tally),
            _ => {
                let what = broken(&script).unwrap_or_default();
                let kind_of = kind(&what);
                if seen.insert(kind_of.clone()) {
                    let shorter = shrink(&script, |script| {
                        broken(script).is_some_and(|broken| kind(&broken) == kind_of)
                    });
                    eprintln!(
                        "{} ({what}) #{number}:\n{shorter}",
                        broken(&shorter).unwrap_or_default()
                    );
                }
            }
        }
    }
    eprintln!("{sum:?} in {:?}", started.elapsed());
    assert!(seen.is_empty(), "broken: {seen:?}");
}
