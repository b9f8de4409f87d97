//! Descriptors that never close. Alone in its process, whose descriptors it counts.

mod support;

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use support::clinging::clinging;
use support::control::{pass, try_pass};
use support::{Client, Rig, wait_until};
use vm_console::client::ControlClient;
use vm_console::transport::stdio::FdClient;

/// So many of one user's descriptors may wait to be closed before no more are taken.
const LIMIT: usize = 512;
/// What they may come to: the limit, and one message.
const MOST: usize = LIMIT + 253;
/// For what the test and the service open besides, with some to spare.
const BESIDES: usize = 100;

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_client_whose_descriptors_do_not_close_opens_a_bounded_number() {
    let rig = Rig::new();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let _attachment = rig.console.attach(FdClient::from_socket(theirs.into()));
    let mut owner = Client::new(ours);
    rig.carries(&mut owner, "before");
    let null = File::open("/dev/null").unwrap();
    let before = descriptors();

    // Closing one of these closes the last descriptor of a socket that clings.
    let mut peers = Vec::new();
    let full_of_clinging = || {
        let (one, other) = UnixStream::pair().unwrap();
        let (socket, peer) = clinging();
        pass(&one, b"never read", &[socket.as_fd()]);
        peers.push(peer);
        other
    };
    let stuck: Vec<_> = std::iter::repeat_with(full_of_clinging).take(20).collect();
    let stuck_peers = peers.len();
    let mut along: Vec<BorrowedFd<'_>> = stuck.iter().map(AsFd::as_fd).collect();
    // The first socket may be wanted, and is then closed with the connection.
    along.insert(0, owner.stream.as_fd());
    let mut hostile = rig.control_stream();
    pass(&hostile, &[9], &along);
    drop(along);
    // Elsewhere: if the service has closed its own already, these are the last.
    let stuck = std::thread::spawn(move || drop(stuck));

    let many: Vec<BorrowedFd<'_>> = vec![null.as_fd(); 250];
    let mut most = 0;
    let mut check = || {
        rig.prompt_status();
        let open = descriptors();
        assert!(
            open < before + stuck_peers + MOST + BESIDES,
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
    stuck.join().unwrap();
    wait_until("they are closed", || descriptors() < before + BESIDES);
    let serves = || {
        let mut client = ControlClient::from_stream(rig.control_stream())?;
        client.status()
    };
    wait_until("the user is served", || serves().is_ok());
}
