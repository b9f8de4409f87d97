//! A pty is served to the client that has it open, however fast that changes.

mod support;

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use support::gate::Gate;
use support::{Rig, join, wait_until};
use vm_console::ConsoleConfig;
use vm_console::transport::{Listener, pty::Pty};

fn options() -> OpenOptions {
    let flags = rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits().cast_signed());
    options
}

fn open(link: &Path) -> File {
    options().write(true).open(link).unwrap()
}

fn rig() -> (Gate, Rig, PathBuf) {
    rig_with(|_| {})
}

fn rig_with(change: impl FnOnce(&mut ConsoleConfig)) -> (Gate, Rig, PathBuf) {
    let gate = Gate::default();
    let mut config = gate.config();
    change(&mut config);
    let rig = Rig::with(config);
    let link = rig.path("pty");
    rig.console.listen(Listener::pty(Pty::open(&link).unwrap()));
    rig.status();
    (gate, rig, link)
}

/// Checks that a client that opens it is served.
fn is_served(rig: &Rig, pty: &mut File) {
    rig.wait_until_held();
    let mut seen = Vec::new();
    rig.print(b"shown");
    wait_until("the output arrives", || {
        let mut buffer = [0; 4096];
        match pty.read(&mut buffer) {
            Ok(n) => seen.extend(&buffer[..n]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
        seen.ends_with(b"shown")
    });
    rig.take_input();
    pty.write_all(b"typed").unwrap();
    assert_eq!(rig.read_input(5), b"typed");
}

#[test]
fn a_session_goes_on_under_the_second_opener() {
    let (gate, rig, link) = rig();
    for _ in 0..5 {
        let (first, mut second) = gate.while_shut(&rig, || (open(&link), open(&link)));
        rig.wait_until_held();
        drop(first);
        rig.status();
        rig.status();
        is_served(&rig, &mut second);
        drop(second);
        rig.wait_until_free();
    }
}

#[test]
fn nobody_holds_the_console_when_all_have_closed_at_once() {
    let (gate, rig, link) = rig();
    for openers in 2..6 {
        let mut open_by = Vec::new();
        for _ in 0..openers {
            open_by.push(open(&link));
            rig.status();
            rig.status();
        }
        rig.wait_until_held();
        gate.while_shut(&rig, || drop(open_by));
        rig.wait_until_free();
    }
    is_served(&rig, &mut open(&link));
}

#[test]
fn readers_and_writers_count_alike() {
    let (gate, rig, link) = rig();
    let open_by = [false, false, true, true].map(|writes| {
        let one = options().write(writes).open(&link).unwrap();
        rig.status();
        rig.status();
        one
    });
    rig.wait_until_held();
    gate.while_shut(&rig, || drop(open_by));
    rig.wait_until_free();
    is_served(&rig, &mut open(&link));
}

/// More opens and closes than the kernel keeps events for.
#[test]
fn events_that_are_lost_leave_the_truth() {
    const ROUNDS: usize = 12_000;
    let (gate, rig, link) = rig();
    let mut last = gate.while_shut(&rig, || {
        for _ in 0..ROUNDS {
            drop(open(&link));
        }
        open(&link)
    });
    is_served(&rig, &mut last);
    gate.while_shut(&rig, || {
        for _ in 0..ROUNDS {
            drop(open(&link));
        }
        drop(last);
    });
    rig.wait_until_free();
}

#[test]
fn a_storm_of_openers_leaves_nobody_behind() {
    let (_gate, rig, link) = rig();
    let openers: Vec<_> = (1..=4)
        .map(|n| {
            let link = link.clone();
            std::thread::spawn(move || {
                for round in 0..2000 {
                    // If the pty was hung up meanwhile, it may not be replaced yet.
                    let pty = options().write(true).open(&link);
                    if round % n == 0 {
                        std::thread::yield_now();
                    }
                    drop(pty);
                }
            })
        })
        .collect();
    for opener in openers {
        join("the storm is over", opener).unwrap().unwrap();
    }
    rig.wait_until_free();
    is_served(&rig, &mut open(&link));
}

/// Opens it, types more than the guest's queue takes, closes it, and waits until the service has
/// seen that.
fn type_and_leave(rig: &Rig, link: &Path) {
    let mut pty = open(link);
    rig.wait_until_held();
    let mut typed = 0;
    wait_until("it is typed", || {
        if let Ok(n) = pty.write(&[b'x'; 1000]) {
            typed += n;
        }
        typed >= 6000
    });
    wait_until("the queue is full", || rig.counters().input > 4096);
    drop(pty);
    rig.status();
    rig.status();
}

#[test]
fn who_opens_while_the_last_ones_input_drains_is_served_in_turn() {
    let (_gate, rig, link) = rig();
    type_and_leave(&rig, &link);
    let mut second = open(&link);
    rig.status();
    wait_until("the second is let in", || {
        rig.take_input();
        rig.counters().attaches == 2
    });
    is_served(&rig, &mut second);
}

#[test]
fn who_opens_while_a_guest_takes_nothing_is_served_when_the_last_one_is_heard_out() {
    let (_gate, rig, link) = rig_with(|config| config.linger = Duration::from_millis(200));
    type_and_leave(&rig, &link);
    let _second = open(&link);
    wait_until("the second is let in", || rig.counters().attaches == 2);
}
