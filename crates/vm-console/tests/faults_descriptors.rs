//! Descriptors that clients pass. Closing one may never return, and a passed socket may lead back
//! to its own console.

mod support;

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::time::Duration;

use support::clinging::{clinging, pass_clinging};
use support::control::{Control, encode, error_code, hello, named, pass, pass_urgently};
use support::gate::Gate;
use support::{Client, PATIENCE, Rig, wait_until};
use vm_console::ConsoleConfig;
use vm_console::audit::Audited;
use vm_console::protocol::{AttachRequest, ClientFrame, ErrorCode, ServerFrame};
use vm_console::session::EndReason;

/// A gate to stop the service, a console, and its holder.
fn rig(change: impl FnOnce(&mut ConsoleConfig)) -> (Gate, Rig, Client) {
    let gate = Gate::default();
    let mut config = gate.config();
    change(&mut config);
    let rig = Rig::with(config);
    let holder = rig.attach("raw");
    (gate, rig, holder)
}

/// Checks that the service answers and serves, and has closed all passed sockets.
fn undisturbed(rig: &Rig, holder: &mut Client, peers: Vec<TcpStream>) {
    rig.prompt_status();
    rig.carries(holder, "undisturbed");
    for mut peer in peers {
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        // The end comes after all bytes that were sent.
        match peer.read_to_end(&mut Vec::new()) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("it is not closed: {error}"),
        }
    }
}

#[test]
fn a_socket_that_clings_when_closed_does_not_stop_the_service_when_it_is_attached() {
    let (gate, rig, mut holder) = rig(|_| {});
    let mut control = Control::connect(&rig);
    let attach = encode(&[ClientFrame::AttachDescriptor(named("ada"))]);
    let peers = gate.while_shut(&rig, || pass_clinging(&control.stream, &attach, 1));
    rig.prompt_status();
    // Such a socket is never served, whether or not somebody holds the console.
    assert_eq!(refused(&mut control, "TCP"), ErrorCode::NotSupported);
    undisturbed(&rig, &mut holder, peers);
}

#[test]
fn nor_when_it_rides_on_a_greeting() {
    let (gate, rig, mut holder) = rig(|_| {});
    let control = Control::silent(&rig);
    let greeting = encode(&[hello()]);
    let peers = gate.while_shut(&rig, || pass_clinging(&control.stream, &greeting, 1));
    rig.prompt_status();
    drop(control);
    undisturbed(&rig, &mut holder, peers);
}

#[test]
fn nor_when_one_takes_the_place_of_another() {
    let (gate, rig, mut holder) = rig(|_| {});
    let control = Control::silent(&rig);
    let mut peers = Vec::new();
    for _ in 0..3 {
        let greeting = encode(&[hello()]);
        peers.extend(gate.while_shut(&rig, || pass_clinging(&control.stream, &greeting, 1)));
        rig.prompt_status();
    }
    drop(control);
    undisturbed(&rig, &mut holder, peers);
}

#[test]
fn nor_when_more_come_than_anybody_wants() {
    for count in [2, 5, 40] {
        let (gate, rig, mut holder) = rig(|_| {});
        let mut control = Control::silent(&rig);
        let frames = encode(&[hello(), ClientFrame::Status]);
        let peers = gate.while_shut(&rig, || pass_clinging(&control.stream, &frames, count));
        rig.prompt_status();
        // The request with which they came is carried out.
        control.next_that("the status", |frame| {
            matches!(frame, ServerFrame::Status(_)).then_some(())
        });
        drop(control);
        undisturbed(&rig, &mut holder, peers);
    }
}

#[test]
fn nor_on_a_socket_of_raw_bytes() {
    let (gate, rig, mut holder) = rig(|_| {});
    let mut peers = gate.while_shut(&rig, || pass_clinging(&holder.stream, b"typed", 1));
    rig.prompt_status();
    assert_eq!(rig.read_input(5), b"typed");
    let watcher = rig.connect("watch");
    peers.extend(gate.while_shut(&rig, || pass_clinging(&watcher.stream, b"void", 1)));
    rig.prompt_status();
    drop(watcher);
    undisturbed(&rig, &mut holder, peers);
}

/// The kernel skips a byte out of band, and closes on the reader's thread what came with it.
#[test]
fn nor_when_it_rides_on_a_byte_out_of_band() {
    let (gate, rig, mut holder) = rig(|_| {});
    let mut control = Control::silent(&rig);
    let frames = encode(&[hello(), ClientFrame::Status]);
    let peer = gate.while_shut(&rig, || {
        let (socket, peer) = clinging();
        pass_urgently(&control.stream, frames[0], &[socket.as_fd()]);
        drop(socket);
        control.stream.write_all(&frames[1..]).unwrap();
        peer
    });
    rig.prompt_status();
    control.next_that("the status", |frame| {
        matches!(frame, ServerFrame::Status(_)).then_some(())
    });
    drop(control);
    undisturbed(&rig, &mut holder, vec![peer]);
}

#[test]
fn nor_on_a_connection_that_is_refused_before_anything_of_it_is_read() {
    let (gate, rig, mut holder) = rig(|config| config.linger = Duration::from_millis(100));
    let (mut refused, peers) = gate.while_shut(&rig, || {
        let refused = rig.connect("raw");
        let peers = pass_clinging(&refused.stream, b"never read", 1);
        (refused, peers)
    });
    rig.prompt_status();
    assert!(refused.read_to_end().contains("in use by"));
    drop(refused);
    undisturbed(&rig, &mut holder, peers);
}

#[test]
fn nor_on_connections_that_are_turned_away() {
    // One for the holder, and one for the gate.
    let (gate, rig, mut holder) = rig(|config| config.max_connections = 2);
    let (turned_away, peers): (Vec<_>, Vec<_>) = gate.while_shut(&rig, || {
        let come = (0..20).map(|_| rig.connect("watch"));
        let pass = |client: Client| {
            let peers = pass_clinging(&client.stream, b"never read", 1);
            (client, peers)
        };
        come.map(pass).unzip()
    });
    rig.prompt_status();
    // One of them may have been let in after the gate's connection had left.
    drop(turned_away);
    undisturbed(&rig, &mut holder, peers.into_iter().flatten().collect());
    assert!(rig.counters().connections_turned_away > 0);
}

#[test]
fn nor_on_connections_that_wait_at_a_listener_that_is_closed() {
    passed_at_a_listener_that_is_closed(|waiting| pass_clinging(waiting, b"never read", 1));
}

/// A unix socket might be one to serve, until the connection that brings it is closed.
#[test]
fn nor_in_a_unix_socket_on_such_a_connection() {
    passed_at_a_listener_that_is_closed(|waiting| {
        let (one, other) = UnixStream::pair().unwrap();
        let peers = pass_clinging(&one, b"never read", 1);
        pass(waiting, b"never read", &[other.as_fd()]);
        peers
    });
}

/// What a connection passes that is not accepted before its listener is closed.
fn passed_at_a_listener_that_is_closed(pass: impl FnOnce(&UnixStream) -> Vec<TcpStream>) {
    let (gate, rig, _holder) = rig(|_| {});
    let beside = rig.beside(ConsoleConfig::named("beside"));
    let mut neighbour = beside.attach("raw");
    let (_waiting, peers) = gate.while_shut(&rig, || {
        // The command is carried out before any of them is accepted.
        rig.console.remove();
        let waiting = rig.connect("watch");
        let peers = pass(&waiting.stream);
        (waiting, peers)
    });
    undisturbed(&beside, &mut neighbour, peers);
}

/// Waits for the error with which a request is refused.
fn refused(control: &mut Control, what: &str) -> ErrorCode {
    control.next_that(what, |frame| {
        let code = error_code(&frame);
        assert!(
            code.is_some() || matches!(frame, ServerFrame::Hello { .. }),
            "{what}: {frame:?}"
        );
        code
    })
}

/// All other descriptors are refused, and no client is closed to make room for one.
#[test]
fn only_connected_unix_stream_sockets_are_served() {
    let rig = Rig::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let (tcp, _) = listener.accept().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let (datagrams, _other) = UnixDatagram::pair().unwrap();
    let listening = UnixListener::bind(rig.path("listening")).unwrap();
    let alone = rustix::net::socket(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::STREAM,
        None,
    )
    .unwrap();
    let directory = File::open("/").unwrap();
    let others: [(&str, BorrowedFd<'_>); 7] = [
        ("TCP", tcp.as_fd()),
        ("a pipe to read", reader.as_fd()),
        ("a pipe to write", writer.as_fd()),
        ("datagrams", datagrams.as_fd()),
        ("a listening socket", listening.as_fd()),
        ("an unconnected socket", alone.as_fd()),
        ("a directory", directory.as_fd()),
    ];
    let mut control = Control::connect(&rig);
    for (what, descriptor) in others {
        control.pass(
            &[ClientFrame::AttachDescriptor(named("ada"))],
            &[descriptor],
        );
        let code = refused(&mut control, what);
        assert_eq!(code, ErrorCode::NotSupported, "{what}");
        assert!(rig.prompt_status().holder.is_none(), "{what}");
    }
    drop(tcp);
    // The service closes a refused descriptor.
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    assert_eq!(rig.counters().attaches, 0);
}

#[test]
fn a_session_on_a_passed_socket_lives_as_long_as_the_connection_that_passed_it() {
    for read_only in [false, true] {
        let rig = Rig::new();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut control = Control::connect(&rig);
        let request = AttachRequest {
            read_only,
            ..named("ada")
        };
        control.pass(&[ClientFrame::AttachDescriptor(request)], &[theirs.as_fd()]);
        drop(theirs);
        control.next_that("the session", |frame| {
            matches!(frame, ServerFrame::Attached { .. }).then_some(())
        });
        let mut client = Client::new(ours);
        rig.print(b"shown");
        assert_eq!(client.read(5), b"shown");
        drop(control);
        rig.audited("the end of it", |what| {
            matches!(
                what,
                Audited::Ended {
                    why: EndReason::ClientClosed,
                    ..
                } | Audited::ObserverLeft {
                    why: EndReason::ClientClosed,
                    ..
                }
            )
        });
        client.read_to_end();
        let status = rig.prompt_status();
        assert!(status.holder.is_none() && status.observers == 0);
    }
}

#[test]
fn a_guest_is_not_typed_at_by_its_own_output_once_the_client_is_gone() {
    let rig = Rig::new();
    let (one, other) = UnixStream::pair().unwrap();
    let mut control = Control::connect(&rig);
    for (end, read_only) in [(one, false), (other, true)] {
        let request = AttachRequest {
            read_only,
            ..named("ada")
        };
        control.pass(&[ClientFrame::AttachDescriptor(request)], &[end.as_fd()]);
        control.next_that("the session", |frame| {
            matches!(frame, ServerFrame::Attached { .. }).then_some(())
        });
    }
    // A client may type this, too.
    rig.print(b"echo\r");
    assert_eq!(rig.read_input(5), b"echo\r");
    drop(control);
    wait_until("both sessions are over", || {
        let status = rig.prompt_status();
        status.holder.is_none() && status.observers == 0
    });
    rig.take_input();
    rig.print(b"reboot\r");
    rig.prompt_status();
    let mut next = rig.attach("raw");
    next.read_until("reboot\r");
    assert_eq!(rig.take_input(), b"");
}
