//! Descriptors that never close. Alone in its process, whose descriptors it counts.

mod support;

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use support::clinging::pass_clinging;
use support::control::{pass, try_pass};
use support::gate::Gate;
use support::{Client, Rig, wait_until};
use vm_console::client::ControlClient;
use vm_console::transport::stdio::FdClient;

/// So many of one user's descriptors may wait to be closed before no more are taken.
const LIMIT: usize = 512;
/// What they may come to: the limit, and one message.
const MOST: usize = LIMIT + 253;
/// Sockets whose close waits for that of a socket in them.
const STUCK: usize = 20;
/// For what the test and the service open besides, with some to spare.
const BESIDES: usize = 100;

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_client_whose_descriptors_do_not_close_opens_a_bounded_number() {
    let gate = Gate::default();
    let rig = Rig::with(gate.config());
    let (ours, theirs) = UnixStream::pair().unwrap();
    let _attachment = rig.console.attach(FdClient::from_socket(theirs.into()));
    let mut owner = Client::new(ours);
    rig.carries(&mut owner, "before");
    let null = File::open("/dev/null").unwrap();
    let before = descriptors();

    let mut hostile = rig.control_stream();
    // While the service cannot close its own yet, so that it is left with the last ones.
    let peers = gate.while_shut(&rig, || {
        let full_of_clinging = || {
            let (one, other) = UnixStream::pair().unwrap();
            (other, pass_clinging(&one, b"never read", 1))
        };
        let stuck = std::iter::repeat_with(full_of_clinging).take(STUCK);
        let (stuck, peers): (Vec<_>, Vec<_>) = stuck.unzip();
        let mut along: Vec<BorrowedFd<'_>> = stuck.iter().map(AsFd::as_fd).collect();
        // The first socket may be wanted, and is then closed with the connection.
        along.insert(0, owner.stream.as_fd());
        pass(&hostile, &[9], &along);
        peers
    });

    let many: Vec<BorrowedFd<'_>> = vec![null.as_fd(); 250];
    let mut most = 0;
    let mut check = || {
        rig.prompt_status();
        let open = descriptors();
        assert!(
            open < before + STUCK + MOST + BESIDES,
            "{before} and {open}"
        );
        most = most.max(open);
    };
    for _ in 0..40 {
        // A byte of a frame that never ends, so that each message is read by itself.
        let _ = try_pass(&hostile, &[0], &many);
        check();
    }
    // Its next connections bring no more.
    for _ in 0..20 {
        let _ = try_pass(&rig.control_stream(), &[0], &many);
        check();
    }
    assert!(most > before + LIMIT, "{most}: it has not come to that");
    let mut told = Vec::new();
    hostile.read_to_end(&mut told).unwrap();
    let told = String::from_utf8_lossy(&told);
    assert!(told.contains("do not close"), "{told}");
    rig.carries(&mut owner, "undisturbed");
    // Once they close, the user is served again: after those that came before.
    drop(peers);
    wait_until("they are closed", || descriptors() < before + BESIDES);
    let serves = || {
        let mut client = ControlClient::from_stream(rig.control_stream())?;
        client.status()
    };
    wait_until("the user is served", || serves().is_ok());
}
