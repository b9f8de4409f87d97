//! Honest consoles beside hostile clients of the same service.
//!
//! A pass first types at the honest consoles with nobody else there, and then while every kind of
//! [hostile client](crate::hostile) is at work.

use std::time::{Duration, Instant};

use super::processors::{CLIENT, EVENT_LOOP, move_back, move_to};
use crate::honest::HonestConsole;
use crate::host::Host;
use crate::hostile::Victims;
use crate::measure::{Bar, Pass, Passes, Row, Skipped, percentile};

const HONEST: usize = 100;
/// Keys typed in each half of a pass, one a [`PACE`] over all consoles.
const KEYS: usize = 1_000;
const PACE: Duration = Duration::from_millis(1);
const LINE: &[u8; 64] = b"[   12.345678] usb 1-1: new high-speed USB device number 2, ok\r\n";

/// The rows of this module.
pub(super) fn rows() -> Vec<Row> {
    const ALONE: &str = "no hostile client";
    vec![
        Row {
            name: "hostile-turn",
            what: "the service's turns while every kind of hostile client is at work, 99.99th percentile",
            peer: ALONE,
            unit: "ms",
            bar: Bar::AtMost(5.0),
            prepare: || passes(|pass| (pass.beside.turn, Some(pass.alone.turn))),
        },
        Row {
            name: "hostile-key",
            what: "key to echo at 100 honest consoles beside hostile clients, median",
            peer: ALONE,
            unit: "µs",
            bar: Bar::CostRatio(2.0),
            prepare: || passes(|pass| (pass.beside.median, Some(pass.alone.median))),
        },
        Row {
            name: "hostile-key-tail",
            what: "key to echo at 100 honest consoles beside hostile clients, 99th percentile",
            peer: ALONE,
            unit: "µs",
            bar: Bar::CostRatio(2.0),
            prepare: || passes(|pass| (pass.beside.tail, Some(pass.alone.tail))),
        },
        Row {
            name: "hostile-output",
            what: "bytes that 100 honest clients did not receive as their guests printed them",
            peer: "",
            unit: "bytes",
            bar: Bar::AtMost(0.0),
            prepare: || passes(|pass| (pass.wrong, None)),
        },
    ]
}

/// One half of a pass.
struct Half {
    /// Median and 99th percentile from key to echo, in microseconds.
    median: f64,
    tail: f64,
    /// The 99.99th percentile of turns and the longest, in milliseconds, and how many there were.
    turn: f64,
    longest: f64,
    turns: u64,
}

struct Both {
    alone: Half,
    beside: Half,
    wrong: f64,
}

fn passes(figures: fn(&Both) -> (f64, Option<f64>)) -> Result<Passes, Skipped> {
    let before = move_to(EVENT_LOOP);
    let host = Host::start();
    move_back(before);
    let host = host?;
    let victims = Victims::new(&host)?;
    let mut honest = (0..HONEST)
        .map(|n| HonestConsole::new(&host, &format!("honest-{n}")))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Box::new(move || {
        let before = move_to(CLIENT);
        let pass = both(&host, &victims, &mut honest);
        move_back(before);
        let (pass, deeds) = pass?;
        let (ours, peer) = figures(&pass);
        let Both { alone, beside, .. } = &pass;
        let detail = format!(
            "key to echo p50 {:.0} µs, p99 {:.0} µs, alone {:.0} and {:.0}; {} turns, longest {:.2} ms, p99.99 {:.2} ms; {deeds}",
            beside.median,
            beside.tail,
            alone.median,
            alone.tail,
            beside.turns,
            beside.longest,
            beside.turn,
        );
        Ok(Pass {
            ours,
            peer,
            detail: Some(detail),
        })
    }))
}

fn both(
    host: &Host,
    victims: &Victims,
    honest: &mut [HonestConsole],
) -> Result<(Both, String), Skipped> {
    let alone = half(host, honest)?;
    let hostile = victims.attacked(host)?;
    // Until all of them are in the midst of it.
    std::thread::sleep(Duration::from_millis(300));
    let beside = half(host, honest)?;
    let deeds = hostile.stop()?;
    let mut wrong = 0;
    for console in honest {
        wrong += console.wrong_bytes()?;
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of bytes")]
    let wrong = wrong as f64;
    let deeds = format!("{} hostile clients, {} deeds", deeds.clients, deeds.done);
    Ok((
        Both {
            alone,
            beside,
            wrong,
        },
        deeds,
    ))
}

/// Types at one console after the other, and lets the guest of another print meanwhile.
fn half(host: &Host, honest: &mut [HonestConsole]) -> Result<Half, Skipped> {
    let before = host.service().turn_times();
    let mut due = Instant::now();
    let mut times = Vec::with_capacity(KEYS);
    for n in 0..KEYS {
        // Long enough before a key is typed there that its echo does not wait for this to be sent.
        honest[(n + HONEST / 2) % HONEST].print(LINE);
        let took = honest[n % HONEST].type_key(b'k')?;
        times.push(took.as_nanos() as u64);
        due = (due + PACE).max(Instant::now());
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    let turns = host.service().turn_times().since(&before);
    let milliseconds = |fraction| turns.percentile(fraction).as_secs_f64() * 1e3;
    Ok(Half {
        median: percentile(&mut times, 0.5) / 1e3,
        tail: percentile(&mut times, 0.99) / 1e3,
        turn: milliseconds(0.9999),
        longest: milliseconds(1.0),
        turns: turns.count(),
    })
}
