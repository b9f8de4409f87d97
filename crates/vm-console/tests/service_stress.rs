//! Random clients attach, stop, die and take over while the guest prints. For each of them
//! `received + reported gap = written`, and there are never two holders.
//!
//! This runs for a few seconds. `VM_CONSOLE_STRESS_SECONDS` makes it longer, and
//! `VM_CONSOLE_STRESS_SEED` repeats a run.

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;
use support::{Rig, control_client, letter_at, wait_until};
use vm_console::Start;
use vm_console::audit::Audited;
use vm_console::client::ClientError;
use vm_console::protocol::{AttachRequest, ServerFrame};
use vm_console::{ConsoleConfig, LogConfig};
use vm_uart::registers::{LSR, Lsr, RBR, THR};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

/// Follows one session for a while, and accounts for every byte of it.
fn one_session(path: &Path, random: &mut Rng, stop: &AtomicBool) {
    let mut client = control_client(path);
    let read_only = random.u64(..3) > 0;
    let request = AttachRequest {
        force: random.bool(),
        read_only,
        unguarded: random.bool(),
        replay: match random.u64(..5) {
            0 => Start::Now,
            1 => Start::Oldest,
            2 => Start::Lines(random.u64(..100)),
            3 => Start::Newest(random.u64(..100_000)),
            _ => Start::Offset(random.u64(..1 << 22)),
        },
        name: "stress".into(),
        ..AttachRequest::default()
    };
    let attached = match client.attach(&request) {
        Ok(attached) => attached,
        Err(ClientError::Refused(_)) => return,
        Err(error) => panic!("{error}"),
    };
    let mut at = attached.start;
    let (mut received, mut lost) = (0u64, 0u64);
    let end = Instant::now() + Duration::from_millis(random.u64(..120));
    let mut leaving = false;
    let mut typist = client.typist().unwrap();
    loop {
        match client.next_frame().unwrap() {
            Some(ServerFrame::Output(output)) => {
                assert_eq!(output.offset, at, "no gap untold, no byte twice");
                assert_eq!(output.replayed, output.offset < attached.head);
                let mut offset = output.offset;
                for byte in &output.bytes {
                    assert_eq!(*byte, letter_at(offset), "at {offset}");
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
            // Typed input or a request may have crossed the end of the session.
            Some(ServerFrame::Error { .. }) => {}
            Some(other) => panic!("{other:?}"),
            None => panic!("closed without a word"),
        }
        match random.u64(..400) {
            // It stops reading for a while, like a stopped process.
            0 => std::thread::sleep(Duration::from_millis(random.u64(..60))),
            // It dies.
            1 => return,
            2 if !read_only => {
                // The write fails if the service has closed the connection meanwhile.
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

/// The guest prints in pieces of all sizes, and takes its input now and then. Returns the number of
/// bytes that it printed.
fn print_until(stopped: &AtomicBool, port: &support::Port, seed: u64) -> u64 {
    let (mut offset, mut random) = (0u64, Rng::with_seed(seed));
    while !stopped.load(Ordering::Relaxed) {
        let count = match random.u64(..10) {
            0 => random.u64(..20_000),
            _ => 1 + random.u64(..64),
        };
        let bytes: Vec<u8> = (offset..offset + count).map(letter_at).collect();
        port.lock().unwrap().write_string(THR, &bytes);
        offset += count;
        // Now and then the guest takes its input.
        if random.u64(..8) == 0 {
            let mut port = port.lock().unwrap();
            while port.read(LSR) & Lsr::DATA_READY.bits() != 0 {
                port.read(RBR);
            }
        }
        if random.u64(..50) == 0 {
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
    )
    .for_long();
    let stop = Arc::new(AtomicBool::new(false));

    // The guest prints until the last client has left, so that every client is woken.
    let silent = Arc::new(AtomicBool::new(false));
    let (port, stopped) = (rig.port.clone(), silent.clone());
    let guest = std::thread::spawn(move || print_until(&stopped, &port, seed));

    // The judge follows every transition, and checks that sessions never overlap.
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
                let mut random = Rng::with_seed(seed ^ (n + 1));
                let mut sessions = 0u64;
                while !stop.load(Ordering::Relaxed) {
                    one_session(&path, &mut random, &stop);
                    sessions += 1;
                    // The judge needs every event: all clients together stay below the number of
                    // events that one console may send.
                    std::thread::sleep(Duration::from_millis(250));
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
    let counters = rig.counters();
    assert_eq!(counters.audit_lost, 0);
    assert_eq!(rig.log.head(), written);
    let accounting = rig.log.accounting();
    assert_eq!(accounting.kept + accounting.overwritten, written);
    wait_until("everybody has left", || {
        let status = rig.status();
        status.holder.is_none() && status.observers == 0
    });
    let counters = rig.counters();
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
    let rig = Rig::new().for_long();
    let rounds = 200 * number("VM_CONSOLE_STRESS_SECONDS", 4);
    let racers: Vec<_> = (0..4)
        .map(|_| {
            let path = rig.path("control");
            std::thread::spawn(move || {
                let mut client = control_client(&path);
                for _ in 0..rounds / 4 {
                    let request = AttachRequest {
                        force: true,
                        replay: Start::Now,
                        ..AttachRequest::default()
                    };
                    client.attach(&request).unwrap();
                    // The session ends by this detach, or by another racer's takeover before it.
                    client.typist().unwrap().type_bytes(b"x").unwrap();
                    client.typist().unwrap().detach().unwrap();
                    loop {
                        match client.next_frame().unwrap() {
                            Some(ServerFrame::Ended(_)) => break,
                            Some(_) => {}
                            None => panic!("closed"),
                        }
                    }
                    // After a takeover, the input or the detach was too late and may cause an
                    // error.
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
    rig.wait_until_free();
    let counters = rig.counters();
    assert_eq!(counters.attaches, rounds / 4 * 4);
    assert_eq!(counters.ended.iter().sum::<u64>(), counters.attaches);
}
