//! Descriptors that never close, from a client that the owner attached. Alone in its process, as all
//! of the owner's clients have one account.

mod support;

use std::fs::File;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use support::clinging::pass_clinging;
use support::control::try_pass;
use support::gate::Gate;
use support::{Rig, wait_until};
use vm_console::ConsoleConfig;
use vm_console::transport::stdio::FdClient;

/// More of them than closing threads.
const CLINGING: usize = 8;
/// Each brings 250: more than may wait to be closed.
const MESSAGES: usize = 4;

#[test]
fn a_tcp_client_does_not_pay_for_descriptors_that_it_cannot_pass() {
    let gate = Gate::default();
    let rig = Rig::with(gate.config());
    let other = rig.beside(ConsoleConfig::named("other"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    let _attachment = other.console.attach(FdClient::from_socket(accepted.into()));
    other.wait_until_held();

    let (hostile, theirs) = UnixStream::pair().unwrap();
    let hostile_session = rig.console.attach(FdClient::from_socket(theirs.into()));
    rig.wait_until_held();
    let peers = gate.while_shut(&rig, || pass_clinging(&hostile, b"x", CLINGING));
    let null = File::open("/dev/null").unwrap();
    let many: Vec<BorrowedFd<'_>> = vec![null.as_fd(); 250];
    for _ in 0..MESSAGES {
        let _ = try_pass(&hostile, b"x", &many);
    }
    wait_until("the hostile client is let go", || {
        hostile_session.outcome().try_recv().is_ok()
    });

    client.write_all(b"typed").unwrap();
    assert_eq!(other.read_input(5), b"typed");
    drop(peers);
}
