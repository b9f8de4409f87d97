//! SysRq: BREAK and keys as one piece, beside a session or without one.

mod support;

use std::time::Duration;

use support::control::named;
use support::{Rig, wait_until};
use vm_console::audit::Audited;
use vm_console::client::{ClientError, ControlClient};
use vm_console::protocol::{AttachRequest, ErrorCode, Refusal, RefusalCode};
use vm_console::{ConsoleConfig, INPUT_LIMIT, MarkKind};
use vm_uart::registers::{FCR, LSR, Lsr, RBR};

/// What the guest reads; a BREAK is `None`.
fn read_input(rig: &Rig, count: usize) -> Vec<Option<u8>> {
    let mut seen = Vec::new();
    wait_until("the guest has read its input", || {
        let mut port = rig.port.lock().unwrap();
        loop {
            let lsr = Lsr::from_bits_retain(port.read(LSR));
            if seen.len() == count || !lsr.contains(Lsr::DATA_READY) {
                return seen.len() == count;
            }
            let byte = port.read(RBR);
            seen.push((!lsr.contains(Lsr::BREAK)).then_some(byte));
        }
    });
    seen
}

fn refusal<T>(result: Result<T, ClientError>) -> Refusal {
    match result {
        Err(ClientError::Refused(refusal)) => refusal,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("not refused"),
    }
}

fn error_code<T>(result: Result<T, ClientError>) -> ErrorCode {
    match result {
        Err(ClientError::Service { code, .. }) => code,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("not an error"),
    }
}

fn assert_balanced(rig: &Rig) {
    let counters = rig.counters();
    let waiting = rig.port.lock().unwrap().line_mut().input_waiting() as u64;
    assert_eq!(counters.input_waiting(), waiting);
}

#[test]
fn each_key_has_a_break_before_it() {
    let rig = Rig::new();
    let mut client = rig.control();
    client.sysrq("sub", false).unwrap();
    client.sysrq("", false).unwrap();
    let expected = [None, Some(b's'), None, Some(b'u'), None, Some(b'b'), None];
    assert_eq!(read_input(&rig, 7), expected);
    let breaks = rig.log.marks();
    let breaks = breaks.iter().filter(|mark| mark.kind == MarkKind::Break);
    assert_eq!(breaks.count(), 4);
    let counters = rig.counters();
    assert_eq!(
        (counters.input, counters.breaks, counters.sysrqs),
        (3, 4, 2)
    );
    assert_balanced(&rig);
    // Nobody has a session by it.
    assert!(rig.status().holder.is_none());
    assert_eq!(counters.attaches, 0);
}

#[test]
fn it_goes_in_beside_a_holder_only_by_force_and_the_holder_stays() {
    let rig = Rig::new();
    let (mut holder, mut other) = (rig.control(), rig.control());
    holder.attach(&named("ada")).unwrap();
    let busy = refusal(other.sysrq("b", false));
    assert_eq!(busy.reason, RefusalCode::Busy);
    assert!(busy.holder.unwrap().by.starts_with("ada (uid "));
    assert_eq!((rig.counters().breaks, rig.counters().input), (0, 0));

    other.sysrq("b", true).unwrap();
    assert_eq!(read_input(&rig, 2), [None, Some(b'b')]);
    assert!(holder.is_attached() && !other.is_attached());
    rig.audited("the SysRq", |what| {
        matches!(what, Audited::SysRq { keys, beside: Some(holder), .. }
            if keys == "b" && holder.name() == "ada")
    });
    // The holder needs no force, and goes on typing.
    holder.sysrq("h", false).unwrap();
    holder.typist().unwrap().type_bytes(b"x").unwrap();
    assert_eq!(read_input(&rig, 3), [None, Some(b'h'), Some(b'x')]);
    rig.audited(
        "the holder's",
        |what| matches!(what, Audited::SysRq { who, beside: None, .. } if who.name() == "ada"),
    );
    assert!(holder.status().unwrap().holder.unwrap().idle_for.is_some());
    assert_balanced(&rig);
}

#[test]
fn it_is_refused_while_the_machine_is_off() {
    let rig = Rig::new();
    let mut client = rig.control();
    rig.console.power_off();
    let off = refusal(client.sysrq("b", true));
    assert_eq!(off.reason, RefusalCode::PoweredOff);
    rig.console.power_on();
    client.sysrq("b", false).unwrap();
    assert_eq!(read_input(&rig, 2), [None, Some(b'b')]);
}

#[test]
fn keys_that_are_none_are_malformed() {
    let rig = Rig::new();
    let mut client = rig.control();
    for keys in ["\u{e4}", "\n", "\0", "01234567890123456"] {
        let code = error_code(client.sysrq(keys, false));
        assert_eq!(code, ErrorCode::Malformed, "{keys:?}");
    }
    assert_eq!(rig.counters().bad_frames, 4);
    client.sysrq("0123456789012345", false).unwrap();
    assert_eq!(read_input(&rig, 32).len(), 32);
}

/// Types until the guest, which reads nothing, has `room` left in its line.
fn fill(rig: &Rig, holder: &mut ControlClient, room: usize) {
    holder.attach(&named("ada")).unwrap();
    let free = || rig.port.lock().unwrap().line_mut().input_room();
    let mut typist = holder.typist().unwrap();
    while free() > room {
        let more = free() - room;
        typist.type_bytes(&vec![b'.'; more]).unwrap();
        // Some of it went on into the receive FIFO.
        holder.status().unwrap();
    }
    assert_eq!(free(), room);
}

/// All of it is typed or nothing, and the connection goes on.
#[test]
fn without_room_for_all_of_it_nothing_is_typed() {
    let rig = Rig::new();
    let (mut holder, mut other) = (rig.control(), rig.control());
    fill(&rig, &mut holder, 5);
    let before = rig.counters();
    for client in [&mut other, &mut holder] {
        let code = error_code(client.sysrq("sub", true));
        assert_eq!(code, ErrorCode::NoRoom);
        client.status().unwrap();
    }
    let after = rig.counters();
    assert_eq!((after.input, after.breaks), (before.input, before.breaks));
    other.sysrq("b", true).unwrap();
    assert_balanced(&rig);
    let all = read_input(&rig, after.input as usize + 2);
    let (typed, sysrq) = all.split_at(all.len() - 2);
    assert!(typed.iter().all(|input| *input == Some(b'.')));
    assert!(typed.len() > INPUT_LIMIT - 6);
    assert_eq!(sysrq, [None, Some(b'b')]);
}

/// While the line is full, the holder's input waits elsewhere, too. It moves in as the guest reads,
/// and never between a BREAK and its key.
#[test]
fn input_that_moves_on_meanwhile_does_not_come_in_between() {
    const TYPED: usize = 40_000;
    let rig = Rig::new();
    let (mut holder, mut other) = (rig.control(), rig.control());
    holder.attach(&named("ada")).unwrap();
    let mut typist = holder.typist().unwrap();
    let writer = std::thread::spawn(move || typist.type_bytes(&vec![b'.'; TYPED]));
    let (mut typed, mut sent) = (0, 0);
    let mut last = Some(b'.');
    while typed < TYPED {
        match other.sysrq("abc", true) {
            Ok(()) => sent += 1,
            Err(error) => assert_eq!(error_code::<()>(Err(error)), ErrorCode::NoRoom),
        }
        let mut port = rig.port.lock().unwrap();
        for _ in 0..16 {
            let lsr = Lsr::from_bits_retain(port.read(LSR));
            if !lsr.contains(Lsr::DATA_READY) {
                break;
            }
            let byte = port.read(RBR);
            let input = (!lsr.contains(Lsr::BREAK)).then_some(byte);
            match input {
                Some(b'.') => {
                    assert!(last.is_some(), "input came between a BREAK and its key");
                    typed += 1;
                }
                Some(_) => assert_eq!(last, None),
                None => {}
            }
            last = input;
        }
    }
    assert!(sent > 0);
    writer.join().unwrap().unwrap();
    assert_balanced(&rig);
}

#[test]
fn a_session_past_its_limit_types_nothing() {
    let mut config = ConsoleConfig::named("vm");
    config.session.idle_limit = Duration::from_millis(50);
    config.session.warn_before = Duration::ZERO;
    let rig = Rig::with(config);
    let mut client = rig.control();
    client.attach(&AttachRequest::default()).unwrap();
    rig.wait_until_free();
    // Its connection is that of a guest now, and nobody holds the console.
    client.sysrq("b", false).unwrap();
    assert_eq!(read_input(&rig, 2), [None, Some(b'b')]);
}

/// What one user typed and the guest has not read must not reach it in the next one's session.
#[test]
fn what_the_guest_has_not_read_is_dropped_when_a_session_begins() {
    let rig = Rig::new();
    // Without its FIFO the guest's port holds one character.
    rig.port.lock().unwrap().write(FCR, 0);
    let mut client = rig.control();
    client.sysrq("b", false).unwrap();
    client.attach(&named("ada")).unwrap();
    assert_eq!(read_input(&rig, 1), [None]);
    assert_balanced(&rig);
    assert_eq!(rig.counters().input_discarded, 1);
}
