//! Makes a script that breaks a promise as short as it can.

use super::script::{Rules, Script};

/// Runs of a script that are tried at most.
const TRIES: usize = 100_000;

/// The shortest script found that still `fails`.
pub(super) fn shrink(script: &Script, fails: impl Fn(&Script) -> bool) -> Script {
    let mut best = script.clone();
    let mut tries = 0;
    let mut worse = |script: &Script| {
        tries += 1;
        tries <= TRIES && fails(script)
    };
    loop {
        let before = best.clone();
        let mut length = best.steps.len().div_ceil(2);
        while length > 0 {
            let mut at = 0;
            while at < best.steps.len() {
                let mut candidate = best.clone();
                let end = (at + length).min(candidate.steps.len());
                candidate.steps.drain(at..end);
                if worse(&candidate) {
                    best = candidate;
                } else {
                    at += length;
                }
            }
            length /= 2;
        }
        // A client less, and those after it by a smaller number.
        for at in (0..best.steps.len()).rev() {
            for gone in 0..16 {
                let mut candidate = best.clone();
                if !candidate
                    .steps
                    .get(at)
                    .is_some_and(|step| step.brings_client())
                {
                    break;
                }
                candidate.steps.remove(at);
                for step in &mut candidate.steps[at..] {
                    step.renumber(gone);
                }
                if worse(&candidate) {
                    best = candidate;
                    break;
                }
            }
        }
        for index in (0..best.consoles.len()).rev() {
            let mut candidate = best.clone();
            candidate.consoles.remove(index);
            if !candidate.consoles.is_empty() && worse(&candidate) {
                best = candidate;
                continue;
            }
            for simpler in simpler(best.consoles[index]) {
                let mut candidate = best.clone();
                candidate.consoles[index] = simpler(best.consoles[index]);
                if candidate != best && worse(&candidate) {
                    best = candidate;
                }
            }
        }
        for index in 0..best.steps.len() {
            for step in best.steps[index].simpler() {
                if step == best.steps[index] {
                    continue;
                }
                let mut candidate = best.clone();
                candidate.steps[index] = step;
                if worse(&candidate) {
                    best = candidate;
                    break;
                }
            }
        }
        if best == before {
            return best;
        }
    }
}

type Simplify = fn(Rules) -> Rules;

/// Each rule on its own as in the plain rules.
fn simpler(_: Rules) -> [Simplify; 16] {
    const PLAIN: Rules = Rules::PLAIN;
    [
        |rules| Rules {
            tail: PLAIN.tail,
            ..rules
        },
        |rules| Rules {
            head: PLAIN.head,
            ..rules
        },
        |rules| Rules {
            gaps: PLAIN.gaps,
            ..rules
        },
        |rules| Rules {
            replay: PLAIN.replay,
            ..rules
        },
        |rules| Rules {
            notices: PLAIN.notices,
            ..rules
        },
        |rules| Rules {
            guard: PLAIN.guard,
            ..rules
        },
        |rules| Rules {
            rate: PLAIN.rate,
            ..rules
        },
        |rules| Rules {
            max_behind: PLAIN.max_behind,
            ..rules
        },
        |rules| Rules {
            lossless: PLAIN.lossless,
            ..rules
        },
        |rules| Rules {
            carrier: PLAIN.carrier,
            ..rules
        },
        |rules| Rules {
            linger: PLAIN.linger,
            ..rules
        },
        |rules| Rules {
            idle_limit: PLAIN.idle_limit,
            ..rules
        },
        |rules| Rules {
            absolute_limit: PLAIN.absolute_limit,
            ..rules
        },
        |rules| Rules {
            requires_boot_log: PLAIN.requires_boot_log,
            ..rules
        },
        |rules| Rules {
            max_connections: PLAIN.max_connections,
            ..rules
        },
        |rules| Rules {
            max_observers: PLAIN.max_observers,
            ..rules
        },
    ]
}
