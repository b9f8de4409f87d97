//! Connections that do nothing keep no other client out.

mod support;

use std::io::Read;
use std::net::Shutdown;

use rustix::event::{PollFd, PollFlags, Timespec};
use support::control::{Control, encode, log_read, named};
use support::{Rig, pattern, wait_until};
use vm_console::Start;
use vm_console::protocol::{AttachRequest, ClientFrame};

/// As many connections as a console takes by default.
const CONNECTIONS: usize = 64;

#[derive(Clone, Copy, Debug)]
enum Says {
    Nothing,
    Hello,
    HalfAFrame,
}

fn silent(rig: &Rig, says: Says) -> Control {
    match says {
        Says::Nothing => Control::silent(rig),
        Says::Hello => Control::connect(rig),
        Says::HalfAFrame => {
            let mut control = Control::connect(rig);
            let frame = encode(&[ClientFrame::Attach(named("never"))]);
            std::io::Write::write_all(&mut control.stream, &frame[..9]).unwrap();
            control
        }
    }
}

#[test]
fn silent_connections_lock_out_neither_status_nor_a_forced_attach() {
    for says in [Says::Nothing, Says::Hello, Says::HalfAFrame] {
        let rig = Rig::new();
        let mut holder = rig.attach("raw");
        let mut watcher = rig.connect("watch");
        rig.print(b"before");
        watcher.read_until("before");
        let mut quiet: Vec<_> = (0..3 * CONNECTIONS).map(|_| silent(&rig, says)).collect();
        rig.prompt_status();

        let mut client = rig.control();
        assert!(client.status().unwrap().holder.is_some(), "{says:?}");
        let force = AttachRequest {
            force: true,
            ..named("ada")
        };
        client.attach(&force).unwrap();
        assert!(holder.read_to_end().contains("taken over by ada"));
        let mut raw = rig.attach("force");
        // Sessions go on, and the newest connection was not closed.
        rig.carries(&mut raw, "after");
        watcher.read_until("after");
        client.status().unwrap();
        // The oldest of them were closed.
        let first = &mut quiet[0];
        while first.next().is_some() {}
    }
}

#[test]
fn connections_of_sessions_are_not_let_go_for_others() {
    let rig = Rig::new();
    let mut holder = Control::connect(&rig);
    holder.attach(&named("ada"));
    let mut watchers: Vec<_> = (0..16).map(|_| rig.connect("watch")).collect();
    wait_until("all watch", || rig.status().observers == 16);
    let _quiet: Vec<_> = (0..3 * CONNECTIONS)
        .map(|_| Control::silent(&rig))
        .collect();
    rig.prompt_status();
    rig.print(b"still here");
    for watcher in &mut watchers {
        watcher.read_until("still here");
    }
    holder.send(&[ClientFrame::Data(b"me too".to_vec())]);
    assert_eq!(rig.read_input(6), b"me too");
    assert_eq!(rig.counters().attaches, 1);
}

/// If all connections have sessions, none is closed, and a new client is turned away.
#[test]
fn who_finds_only_sessions_is_turned_away() {
    let mut config = vm_console::ConsoleConfig::named("vm");
    config.max_connections = 3;
    let rig = Rig::with(config);
    let mut sessions = vec![rig.attach("raw")];
    for observers in 1..=2 {
        sessions.push(rig.connect("watch"));
        wait_until("it watches", || rig.status().observers == observers);
    }
    let mut away = rig.control_stream();
    let mut end = Vec::new();
    let _ = away.read_to_end(&mut end);
    rig.print(b"all here");
    for session in &mut sessions {
        session.read_until("all here");
    }
    assert!(rig.counters().connections_turned_away > 0);
}

/// Waits until the service can send no more to a client that does not read.
fn wait_until_full(rig: &Rig, client: &Control) {
    let (mut waiting, mut same) = (0, 0);
    wait_until("the client's socket is full", || {
        rig.prompt_status();
        let before = waiting;
        waiting = rustix::io::ioctl_fionread(&client.stream).unwrap();
        same = if waiting == before { same + 1 } else { 0 };
        same > 20
    });
}

#[test]
fn one_that_has_asked_its_last_and_reads_no_answer_is_let_go() {
    let rig = Rig::new();
    rig.print(&pattern(0, 16 << 10));
    let mut client = Control::connect(&rig);
    // One answer after the other, so that no more than one of them waits for room.
    let answer = 16 << 10;
    let mut waiting = 0;
    for id in 0.. {
        assert!(id < 1000, "its socket takes any number of answers");
        client.send(&[log_read(id, Start::Oldest, answer)]);
        wait_until_full(&rig, &client);
        let before = std::mem::replace(
            &mut waiting,
            rustix::io::ioctl_fionread(&client.stream).unwrap(),
        );
        if waiting < before + u64::from(answer) {
            break;
        }
    }
    client.stream.shutdown(Shutdown::Write).unwrap();
    wait_until("it is let go", || {
        let mut polled = [PollFd::new(&client.stream, PollFlags::empty())];
        rustix::event::poll(&mut polled, Some(&Timespec::default())).unwrap();
        polled[0].revents().contains(PollFlags::HUP)
    });
}
