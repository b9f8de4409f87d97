//! Randomised: many clients that attach, stop, die and take over while the guest prints. For every one of them
//! `received + reported gap = written`, and there are never two holders.
//!
//! Runs for a few seconds; `VM_CONSOLE_STRESS_SECONDS` makes it longer, `VM_CONSOLE_STRESS_SEED` repeats a run.

mod support;

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use support::{PATIENCE, Rig, wait_until};
use vm_console::Start;
use vm_console::audit::Audited;
use vm_console::client::{ClientError, ControlClient};
use vm_console::protocol::{AttachRequest, ServerFrame};
use vm_console::{ConsoleConfig, LogConfig};

/// SplitMix64: a number that any seed repeats.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// The byte that the guest prints at an offset: what is received can be checked wherever it was cut.
fn byte_at(offset: u64) -> u8 {
    (offset.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8 & 0x3f | 0x40
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

fn connect(path: &Path) -> ControlClient {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    ControlClient::from_stream(stream).unwrap()
}

/// Follows one session for a while, and accounts for every byte of it.
fn one_session(path: &Path, dice: &mut Dice, stop: &AtomicBool) {
    let mut client = connect(path);
    let read_only = dice.roll(3) > 0;
    let request = AttachRequest {
        force: dice.roll(2) == 0,
        read_only,
        unguarded: dice.roll(2) == 0,
        replay: match dice.roll(5) {
            0 => Start::Now,
            1 => Start::Oldest,
            2 => Start::Lines(dice.roll(100)),
            3 => Start::Newest(dice.roll(100_000)),
            _ => Start::Offset(dice.roll(1 << 22)),
        },
        name: "stress".into(),
    };
    let attached = match client.attach(&request) {
        Ok(attached) => attached,
        Err(ClientError::Refused(_)) => return,
        Err(error) => panic!("{error}"),
    };
    let mut at = attached.start;
    let (mut received, mut lost) = (0u64, 0u64);
    let end = Instant::now() + Duration::from_millis(dice.roll(120));
    let mut leaving = false;
    let mut typist = client.typist().unwrap();
    loop {
        match client.next_frame().unwrap() {
            Some(ServerFrame::Output(output)) => {
                assert_eq!(output.offset, at, "no gap untold, no byte twice");
                assert_eq!(output.replayed, output.offset < attached.head);
                let mut offset = output.offset;
                for byte in &output.bytes {
                    assert_eq!(*byte, byte_at(offset), "at {offset}");
                    offset += 1;
                }
                assert_eq!(offset, output.next, "there is nothing to take out");
                received += output.next - output.offset;
                at = output.next;
            }
            Some(ServerFrame::Gap { from, to }) => {
                assert_eq!(from, at);
                lost += to - from;
                at = to;
            }
            Some(ServerFrame::Ended(end)) => {
                assert_eq!(end.resume, at);
                assert_eq!(received + lost, at - attached.start);
                return;
            }
            // What was typed or asked may have crossed the end of the session.
            Some(ServerFrame::Error { .. }) => {}
            Some(other) => panic!("{other:?}"),
            None => panic!("closed without a word"),
        }
        match dice.roll(400) {
            // Stops reading for a while, as a stopped process does.
            0 => std::thread::sleep(Duration::from_millis(dice.roll(60))),
            // Dies.
            1 => return,
            2 if !read_only => {
                // It may have lost the console meanwhile; then nobody is typing.
                let _ = typist.type_bytes(b"x");
            }
            _ => {}
        }
        if !leaving && (Instant::now() > end || stop.load(Ordering::Relaxed)) {
            leaving = true;
            typist.detach().unwrap();
        }
    }
}

/// The guest: prints in pieces of all sizes, and takes its input now and then. Returns how much it printed.
fn print_until(stopped: &AtomicBool, port: &support::Port, seed: u64) -> u64 {
    let (mut offset, mut dice) = (0u64, Dice(seed));
    while !stopped.load(Ordering::Relaxed) {
        let count = match dice.roll(10) {
            0 => dice.roll(20_000),
            _ => 1 + dice.roll(64),
        };
        let bytes: Vec<u8> = (offset..offset + count).map(byte_at).collect();
        port.lock().unwrap().write_string(0, &bytes);
        offset += count;
        // Input is taken now and then.
        if dice.roll(8) == 0 {
            let mut port = port.lock().unwrap();
            while port.read(5) & 1 != 0 {
                port.read(0);
            }
        }
        if dice.roll(50) == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    offset
}

#[test]
fn received_and_lost_is_written_for_every_cursor_and_there_is_one_holder() {
    let seed = number("VM_CONSOLE_STRESS_SEED", std::process::id().into());
    println!("VM_CONSOLE_STRESS_SEED={seed}");
    let mut config = ConsoleConfig::named("vm");
    config.max_connections = 256;
    config.max_observers = 200;
    config.notices = false;
    let rig = Rig::with_log(
        config,
        LogConfig {
            tail: 256 << 10,
            head: 16 << 10,
            boots: 4,
        },
    );
    let stop = Arc::new(AtomicBool::new(false));

    // The guest prints until the last client has left, so that each has something to wake it.
    let silent = Arc::new(AtomicBool::new(false));
    let (port, stopped) = (rig.port.clone(), silent.clone());
    let guest = std::thread::spawn(move || print_until(&stopped, &port, seed));

    // Replays every transition and sees that sessions never overlap.
    let (audit, stopped) = (rig.service.audit(), silent.clone());
    let judge = std::thread::spawn(move || {
        let (mut held, mut sessions) = (false, 0u64);
        loop {
            match audit
                .recv_timeout(Duration::from_millis(50))
                .map(|event| event.what)
            {
                Ok(Audited::Attached { .. }) => {
                    assert!(!held, "two holders");
                    held = true;
                    sessions += 1;
                }
                Ok(Audited::Ended { .. }) => {
                    assert!(held, "ended twice");
                    held = false;
                }
                Err(_) if stopped.load(Ordering::Relaxed) => return sessions,
                Ok(_) | Err(_) => {}
            }
        }
    });

    let path: PathBuf = rig.path("control");
    let clients: Vec<_> = (0..12)
        .map(|n| {
            let (path, stop) = (path.clone(), stop.clone());
            std::thread::spawn(move || {
                let mut dice = Dice(seed ^ (n + 1));
                let mut sessions = 0u64;
                while !stop.load(Ordering::Relaxed) {
                    one_session(&path, &mut dice, &stop);
                    sessions += 1;
                }
                sessions
            })
        })
        .collect();

    std::thread::sleep(Duration::from_secs(number("VM_CONSOLE_STRESS_SECONDS", 4)));
    stop.store(true, Ordering::Relaxed);
    let sessions: u64 = clients
        .into_iter()
        .map(|client| client.join().unwrap())
        .sum();
    silent.store(true, Ordering::Relaxed);
    let written = guest.join().unwrap();
    let granted = judge.join().unwrap();
    let counters = rig.console.console().counters();
    assert_eq!(counters.audit_lost, 0);
    assert_eq!(rig.log.head(), written);
    let accounting = rig.log.accounting();
    assert_eq!(accounting.kept + accounting.overwritten, written);
    wait_until("everybody has left", || {
        let status = rig.status();
        status.holder.is_none() && status.observers == 0
    });
    let counters = rig.console.console().counters();
    assert_eq!(
        counters.ended.iter().sum::<u64>(),
        counters.attaches,
        "every session ended once"
    );
    assert!(
        sessions > 10 && granted > 0 && counters.takeovers > 0,
        "{sessions} {granted}"
    );
    println!(
        "{written} bytes, {sessions} sessions, {granted} of them holders, {} takeovers",
        counters.takeovers
    );
}

#[test]
fn racing_takeovers_leave_one_holder() {
    let rig = Rig::new();
    let rounds = 200 * number("VM_CONSOLE_STRESS_SECONDS", 4);
    let racers: Vec<_> = (0..4)
        .map(|_| {
            let path = rig.path("control");
            std::thread::spawn(move || {
                let mut client = connect(&path);
                for _ in 0..rounds / 4 {
                    let request = AttachRequest {
                        force: true,
                        replay: Start::Now,
                        ..AttachRequest::default()
                    };
                    client.attach(&request).unwrap();
                    // Until somebody else takes it, or, for the last, until it has waited long enough.
                    client.typist().unwrap().type_bytes(b"x").unwrap();
                    client.typist().unwrap().detach().unwrap();
                    loop {
                        match client.next_frame().unwrap() {
                            Some(ServerFrame::Ended(_)) => break,
                            Some(_) => {}
                            None => panic!("closed"),
                        }
                    }
                    // If it was taken first, the detach or what was typed came too late, which is told.
                    let mut synced = client.status();
                    while matches!(synced, Err(ClientError::Service { .. })) {
                        synced = client.status();
                    }
                    synced.unwrap();
                }
            })
        })
        .collect();
    for racer in racers {
        racer.join().unwrap();
    }
    wait_until("the last has left", || rig.status().holder.is_none());
    let counters = rig.console.console().counters();
    assert_eq!(counters.attaches, rounds / 4 * 4);
    assert_eq!(counters.ended.iter().sum::<u64>(), counters.attaches);
}
