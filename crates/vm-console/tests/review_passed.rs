//! Sockets that clients pass along, where several clients or several options come together.

mod support;

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use support::clinging::clinging;
use support::control::{Control, encode, error_code, named, pass};
use support::{Client, Rig, wait_until};
use vm_console::protocol::{AttachRequest, ClientFrame, ErrorCode, ServerFrame};

/// Serves a passed socket, and gives the other end of it.
fn passed(control: &mut Control) -> UnixStream {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let attach = ClientFrame::AttachDescriptor(named("ada"));
    control.pass(&[attach], &[theirs.as_fd()]);
    control.next_that("the session", |frame| {
        matches!(frame, ServerFrame::Attached { .. }).then_some(())
    });
    ours
}

#[test]
fn a_crowd_does_not_end_the_session_of_a_passed_socket() {
    let rig = Rig::new();
    let mut control = Control::connect(&rig);
    let mut holder = Client::new(passed(&mut control));
    let most = rig.console.console().config().max_connections as u64;
    // Each is refused, and stays as long as it is let.
    let _crowd: Vec<_> = (0..2 * most).map(|_| rig.connect("raw")).collect();
    wait_until("some had to go", || {
        rig.counters().connections_turned_away >= most
    });
    assert_eq!(rig.counters().ended, [0; 9]);
    rig.carries(&mut holder, "undisturbed");
}

#[test]
fn a_socket_full_of_others_does_not_stop_the_service_when_it_is_not_served() {
    let rig = Rig::new();
    let mut control = Control::connect(&rig);
    control.attach(&AttachRequest {
        read_only: true,
        ..named("ada")
    });
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (socket, _peer) = clinging();
    pass(&ours, b"never read", &[socket.as_fd()]);
    drop(socket);
    // The service has the last descriptor of it: what waits in it goes with it.
    let attach = encode(&[ClientFrame::AttachDescriptor(named("ada"))]);
    pass(&control.stream, &attach, &[theirs.as_fd()]);
    drop((ours, theirs));
    let code = control.next_that("an error", |frame| error_code(&frame));
    assert_eq!(code, ErrorCode::AlreadyAttached);
    rig.prompt_status();
}

#[test]
fn what_a_client_has_set_on_its_passed_socket_does_not_stop_the_service() {
    let rig = Rig::new();
    let mut control = Control::connect(&rig);
    let (ours, theirs) = UnixStream::pair().unwrap();
    // Each message brings the credentials of its sender as well, and less room is left for others.
    rustix::net::sockopt::set_socket_passcred(&theirs, true).unwrap();
    let attach = ClientFrame::AttachDescriptor(named("ada"));
    control.pass(&[attach], &[theirs.as_fd()]);
    control.next_that("the session", |frame| {
        matches!(frame, ServerFrame::Attached { .. }).then_some(())
    });
    let null = File::open("/dev/null").unwrap();
    let (socket, _peer) = clinging();
    let mut along: Vec<BorrowedFd<'_>> = vec![null.as_fd(); 252];
    along.push(socket.as_fd());
    pass(&ours, b"typed", &along);
    drop(along);
    drop(socket);
    assert_eq!(rig.read_input(5), b"typed");
    rig.prompt_status();
}
