//! One console's events do not push another's out of the channel that they share.

mod support;

use std::time::Instant;

use support::control::{Control, log_read, named};
use support::flood::Flood;
use support::{PATIENCE, Rig, wait_until};
use vm_console::ConsoleConfig;
use vm_console::Start;
use vm_console::audit::Audited;
use vm_console::protocol::ClientFrame;

/// Checks that `frames` without end leave room in the channel for another console's events.
fn leaves_room(frames: &[ClientFrame], as_holder: bool) {
    let rig = Rig::new();
    let beside = rig.beside(ConsoleConfig::named("beside"));
    let mut control = Control::connect(&rig);
    let holder = if as_holder {
        control.attach(&named("ada"));
        None
    } else {
        Some(rig.attach("raw"))
    };
    // The answers are read. Otherwise the service would stop reading requests.
    let mut answers = control.stream.try_clone().unwrap();
    let reader = std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while std::io::Read::read(&mut answers, &mut buffer).is_ok_and(|n| n > 0) {}
    });
    let flood = Flood::on(&control, frames);
    let begin = Instant::now();
    wait_until("much has happened", || {
        rig.prompt_status();
        rig.take_input();
        flood.is_over() || begin.elapsed().as_secs() >= 2
    });
    drop(beside.attach("raw"));
    beside.wait_until_free();
    drop(flood);
    let _ = control.stream.shutdown(std::net::Shutdown::Both);
    support::join("the answers end", reader);
    drop(holder);
    let (mut came, mut left) = (false, false);
    let end = Instant::now() + PATIENCE;
    while !(came && left) {
        let event = rig.service.audit().recv_deadline(end);
        let event = event.unwrap_or_else(|_| panic!("not told: came {came}, left {left}"));
        if &*event.console == "beside" {
            came |= matches!(event.what, Audited::Attached { .. });
            left |= matches!(event.what, Audited::Ended { .. });
        }
    }
    assert_eq!(beside.counters().audit_lost, 0);
}

#[test]
fn a_flood_of_resizes_leaves_room_for_other_consoles_events() {
    let sizes = [80, 81].map(|columns| ClientFrame::Resize { columns, rows: 25 });
    leaves_room(&sizes, true);
}

#[test]
fn so_does_a_flood_of_breaks() {
    leaves_room(&[ClientFrame::Break], true);
}

#[test]
fn so_does_a_flood_of_log_reads() {
    leaves_room(&[log_read(1, Start::Now, 0)], false);
}

#[test]
fn so_does_a_flood_of_refused_attaches() {
    leaves_room(&[ClientFrame::Attach(named("bob"))], false);
}

#[test]
fn the_same_size_again_is_no_event() {
    let rig = Rig::new();
    let mut control = Control::connect(&rig);
    control.attach(&named("ada"));
    let size = |columns| ClientFrame::Resize { columns, rows: 25 };
    control.send(&[vec![size(80); 500], vec![ClientFrame::Detach]].concat());
    let (mut resized, end) = (0, Instant::now() + PATIENCE);
    loop {
        match rig.service.audit().recv_deadline(end).unwrap().what {
            Audited::Resized { .. } => resized += 1,
            Audited::Ended { .. } => break,
            _ => {}
        }
    }
    assert_eq!(resized, 1);
}
