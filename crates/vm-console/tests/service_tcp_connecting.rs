//! Connecting out over TCP, and again.

mod support;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use support::{Client, Rig, wait_until};
use vm_console::transport::{Listener, tcp::TcpConnector};

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(50);

fn connect_out(rig: &Rig, to: SocketAddr) {
    let connector = TcpConnector::new(to).unwrap().retry_after(PAUSE);
    rig.console.listen(Listener::connecting(connector));
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// The next connection, in bounded time.
fn accept(listener: &TcpListener) -> Client<TcpStream> {
    listener.set_nonblocking(true).unwrap();
    let mut accepted = None;
    wait_until("it connects", || {
        accepted = listener.accept().ok();
        accepted.is_some()
    });
    let (stream, _) = accepted.unwrap();
    stream.set_nonblocking(false).unwrap();
    Client::tcp(stream)
}

/// Connects out while somebody else holds the console, which the peer is told in these words.
fn comes_in_after_the_holder(rig: &Rig, words: &str) {
    let holder = rig.attach("raw");
    let listener = listener();
    connect_out(rig, listener.local_addr().unwrap());
    let told = accept(&listener).read_to_end();
    assert!(told.contains(words), "{told}");
    drop(holder);
    rig.wait_until_free();
    rig.carries(&mut accept_holder(rig, &listener), "in turn");
}

/// Waits until a connection is a session: one that is refused is told so first.
fn accept_holder(rig: &Rig, listener: &TcpListener) -> Client<TcpStream> {
    rig.print(b"#");
    let mut holder = None;
    wait_until("the peer holds the console", || {
        let mut peer = accept(listener);
        let is_session = peer.read(1) == b"#";
        holder = is_session.then_some(peer);
        is_session
    });
    holder.unwrap()
}

/// Most tries that are due in so long. A slow machine makes fewer.
fn most_tries(began: Instant) -> u64 {
    let pauses = began.elapsed().as_nanos() / PAUSE.as_nanos();
    u64::try_from(pauses).unwrap() + 1
}

#[test]
fn a_peer_that_comes_back_is_connected_again() {
    let rig = Rig::new();
    let listener = listener();
    let address = listener.local_addr().unwrap();
    connect_out(&rig, address);
    for round in ["first", "second", "third"] {
        let mut peer = accept(&listener);
        rig.carries(&mut peer, round);
        let holder = rig.status().holder.unwrap().by;
        assert_eq!(holder, format!("{address} (TCP)"));
        drop(peer);
        rig.wait_until_free();
    }
}

#[test]
fn a_peer_that_is_started_later_is_waited_for_without_haste() {
    let rig = Rig::new();
    let (socket, address) = support::silent_port();
    let began = Instant::now();
    connect_out(&rig, address);
    wait_until("some tries have failed", || {
        rig.counters().unreachable_peers >= 4
    });
    let tries = rig.counters().unreachable_peers;
    let most = most_tries(began);
    assert!(tries <= most, "{tries} tries, {most} were due");
    rustix::net::listen(&socket, 8).unwrap();
    let listener = TcpListener::from(socket);
    rig.carries(&mut accept(&listener), "late");
}

#[test]
fn a_peer_that_closes_at_once_is_not_called_in_a_loop() {
    let rig = Rig::new();
    let listener = listener();
    let began = Instant::now();
    connect_out(&rig, listener.local_addr().unwrap());
    for _ in 0..5 {
        drop(accept(&listener));
    }
    wait_until("it is served", || rig.counters().connections >= 5);
    let calls = rig.counters().connections;
    let most = most_tries(began);
    assert!(calls <= most, "{calls} connections, {most} were due");
}

#[test]
fn while_another_holds_the_console_the_peer_is_told_and_comes_in_afterwards() {
    comes_in_after_the_holder(&Rig::new(), "in use by uid ");
}

#[test]
fn a_peer_that_is_turned_away_is_called_again() {
    let mut config = vm_console::ConsoleConfig::named("vm");
    config.max_connections = 1;
    comes_in_after_the_holder(&Rig::with(config), "too many connections");
}

#[test]
fn removing_the_console_ends_its_session() {
    let rig = Rig::new();
    let listener = listener();
    connect_out(&rig, listener.local_addr().unwrap());
    let mut peer = accept(&listener);
    rig.wait_until_held();
    rig.console.remove();
    assert!(peer.read_to_end().contains("shutting down"));
    drop(peer);
    assert!(rig.console.wait_removed(support::PATIENCE));
}
