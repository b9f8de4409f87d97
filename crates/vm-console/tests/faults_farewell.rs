//! A client that was not reading is told why its session ended, if it reads in time.

mod support;

use std::net::TcpStream;
use std::time::Duration;

use support::control::{Control, named};
use support::{Client, PATIENCE, Rig, pattern, wait_until};
use vm_console::ConsoleConfig;
use vm_console::protocol::{EndCode, ServerFrame};
use vm_console::session::EndReason;
use vm_console::transport::Listener;
use vm_console::transport::tcp::TcpSocket;

fn rig() -> Rig {
    let mut config = ConsoleConfig::named("vm");
    config.linger = Duration::from_secs(60);
    Rig::with(config)
}

/// A raw holder whose socket is full.
fn stopped(rig: &Rig) -> Client {
    let holder = rig.attach("raw");
    rig.fill_socket();
    holder
}

/// Reads to the end.
fn is_told(client: &mut Client, why: &str) {
    let seen = client.read_to_end();
    let end = &seen[seen.len().saturating_sub(200)..];
    assert!(end.contains(why), "{end}");
}

#[test]
fn a_holder_whose_socket_was_full_is_told_who_took_over() {
    let rig = rig();
    let mut first = stopped(&rig);
    let mut second = rig.attach("force");
    rig.print(b"END");
    second.read_until("END");
    is_told(&mut first, "session over: taken over by uid");
}

#[test]
fn it_reads_what_was_printed_before_its_end_and_nothing_after() {
    let rig = rig();
    let mut first = rig.attach("raw");
    // More than its socket holds, and all of it is in the log.
    let before = pattern(0, 768 << 10);
    rig.print(&before);
    let _second = rig.attach("force");
    rig.print(b"after");
    rig.prompt_status();
    let seen = first.read_to_end();
    assert!(seen.len() > before.len(), "only {} bytes", seen.len());
    let (output, farewell) = seen.split_at(before.len());
    assert!(output.as_bytes() == before, "output is missing");
    assert!(farewell.contains("session over: taken over"), "{farewell}");
    assert!(!farewell.contains("after"), "{farewell}");
}

#[test]
fn one_that_may_read_nothing_more_is_told_why() {
    let rig = rig();
    let mut holder = stopped(&rig);
    rig.console.disconnect(EndReason::Revoked);
    rig.wait_until_free();
    is_told(&mut holder, "session over: access was revoked");
}

#[test]
fn so_is_one_on_a_control_socket() {
    let rig = rig();
    let mut first = Control::connect(&rig);
    first.attach(&named("ada"));
    rig.fill_socket();
    let mut second = rig.attach("force");
    rig.print(b"END");
    second.read_until("END");
    let why = first.next_that("the end", |frame| match frame {
        ServerFrame::Ended(end) => Some(end.reason),
        _ => None,
    });
    assert_eq!(why, EndCode::TakenOver);
}

#[test]
fn so_is_one_that_was_too_slow() {
    let mut config = ConsoleConfig::named("vm");
    config.linger = Duration::from_secs(60);
    config.max_behind = Some(200_000);
    let rig = Rig::with(config);
    let mut holder = stopped(&rig);
    for _ in 0..100 {
        rig.print(&support::pattern(0, 4096));
    }
    rig.wait_until_free();
    is_told(&mut holder, "session over: the client was too slow");
}

#[test]
fn so_is_one_when_the_service_shuts_down() {
    let mut rig = rig();
    let mut holder = stopped(&rig);
    rig.service.shut_down();
    is_told(&mut holder, "shutting down");
    let ended = support::join("the service ends", rig.take_thread());
    ended.expect("in time").expect("in order");
}

/// So many that a turn is over before it has come to all.
#[test]
fn a_console_is_removed_at_once_however_many_clients_have_no_session() {
    let mut config = ConsoleConfig::named("vm");
    config.linger = Duration::from_secs(600);
    config.max_connections = 200;
    let rig = Rig::with(config);
    let clients: Vec<_> = (0..200).map(|_| rig.control()).collect();
    rig.console.remove();
    assert!(rig.console.wait_removed(PATIENCE), "nobody is waited for");
    drop(clients);
}

#[test]
fn nobody_comes_in_any_more_while_it_reads_the_rest() {
    let rig = rig();
    let socket = TcpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.address();
    rig.console.listen(Listener::tcp(socket));
    let mut holder = stopped(&rig);
    rig.console.remove();
    wait_until("the sockets are closed", || {
        !rig.path("raw").exists() && TcpStream::connect(address).is_err()
    });
    is_told(&mut holder, "shutting down");
}
