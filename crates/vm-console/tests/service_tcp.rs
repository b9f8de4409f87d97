//! Clients that come over TCP.

mod support;

use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use support::{Client, Rig, wait_until};
use vm_console::audit::Audited;
use vm_console::session::Transport;
use vm_console::transport::{Listener, tcp::TcpSocket};

fn socket() -> TcpSocket {
    TcpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap()
}

fn connect(to: std::net::SocketAddr) -> Client<TcpStream> {
    Client::tcp(TcpStream::connect(to).unwrap())
}

#[test]
fn one_client_at_a_time_is_known_by_its_address_and_loses_the_console_by_force() {
    let rig = Rig::new();
    let (plain, forcing, watching) = (socket(), socket(), socket());
    let (to, by_force, to_watch) = (plain.address(), forcing.address(), watching.address());
    rig.console.listen(Listener::tcp(plain));
    rig.console.listen(Listener::tcp(forcing).forcing());
    rig.console.listen(Listener::tcp(watching).read_only());

    let mut first = connect(to);
    rig.wait_until_held();
    rig.carries(&mut first, "over TCP");
    let address = first.stream.local_addr().unwrap();
    let event = rig.audited("the attach", |what| {
        matches!(what, Audited::Attached { .. })
    });
    let Audited::Attached { who, .. } = event.what else {
        panic!("{event:?}");
    };
    assert_eq!(who.address(), Some(address));
    assert_eq!((who.transport(), who.credentials()), (Transport::Tcp, None));
    assert_eq!(who.to_string(), format!("{address} (TCP)"));

    let mut observer = connect(to_watch);
    observer.read_until("over TCP");
    let refused = connect(to).read_to_end();
    assert!(
        refused.contains(&format!("in use by {address} (TCP) since")),
        "{refused}"
    );
    rig.carries(&mut first, "undisturbed");

    let mut second = connect(by_force);
    let farewell = first.read_to_end();
    let taken = format!(
        "taken over by {} (TCP)",
        second.stream.local_addr().unwrap()
    );
    assert!(farewell.contains(&taken), "{farewell}");
    second.read_until("undisturbed");
    rig.carries(&mut second, "taken");
    observer.read_until("taken");
    drop(second);
    rig.wait_until_free();
}

#[test]
fn a_client_that_closes_one_side_or_resets_is_gone() {
    let rig = Rig::new();
    let socket = socket();
    let to = socket.address();
    rig.console.listen(Listener::tcp(socket));
    let mut half = connect(to);
    rig.wait_until_held();
    half.send(b"the last words");
    half.stream.shutdown(Shutdown::Write).unwrap();
    rig.wait_until_free();
    assert_eq!(rig.read_input(14), b"the last words");

    let reset = connect(to);
    rig.wait_until_held();
    rustix::net::sockopt::set_socket_linger(&reset.stream, Some(Duration::ZERO)).unwrap();
    drop(reset);
    rig.wait_until_free();
}

/// The kernel gives up a peer that acknowledges nothing, or that takes nothing, by the same time
/// limit. The latter can be had without losing a network.
#[test]
fn a_peer_that_takes_nothing_is_given_up_in_time() {
    let rig = Rig::new();
    let socket = socket().peer_limit(Duration::from_secs(1));
    let to = socket.address();
    rig.console.listen(Listener::tcp(socket));
    let _silent = connect(to);
    rig.wait_until_held();
    wait_until("its session ends", || {
        rig.print(&vec![b'x'; 65536]);
        rig.status().holder.is_none()
    });
    rig.carries(&mut rig.attach("raw"), "goes on");
}

#[test]
fn a_listener_from_elsewhere_is_served() {
    let rig = Rig::new();
    let listener = TcpListener::bind("[::1]:0").or_else(|_| TcpListener::bind("127.0.0.1:0"));
    let socket = TcpSocket::try_from(listener.unwrap()).unwrap();
    let to = socket.address();
    rig.console.listen(Listener::tcp(socket));
    rig.carries(&mut connect(to), "adopted");
}

#[test]
fn an_address_in_use_is_told_with_the_address() {
    let taken = socket();
    let error = TcpSocket::bind(taken.address()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    let text = error.to_string();
    assert!(text.starts_with(&taken.address().to_string()), "{text}");
}
