//! An attach has an outcome, or none if the service ends in the midst of its session: waiting for it
//! always ends.

mod support;

use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;
use support::gate::Gate;
use support::own_loop::OwnLoop;
use support::{PATIENCE, Rig, join, wait_until};
use vm_console::service::{Attachment, Outcome};
use vm_console::session::{EndReason, Refused};
use vm_console::transport::stdio::FdClient;
use vm_console::{ConsoleConfig, LogConfig};

fn attach(rig: &Rig) -> (Attachment, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let client = FdClient::from_socket(theirs.into());
    (rig.console.attach(client), ours)
}

/// Waits for the outcome; `None` if the service is gone.
fn outcome(attachment: &Attachment) -> Option<Outcome> {
    match attachment.outcome().recv_timeout(PATIENCE) {
        Ok(outcome) => Some(outcome),
        Err(RecvTimeoutError::Disconnected) => None,
        Err(RecvTimeoutError::Timeout) => panic!("it waits for ever"),
    }
}

/// Attaches two pipes in which `first` was typed, and gives their other ends.
fn attach_pipes(
    rig: &Rig,
    first: &[u8],
    change: impl FnOnce(FdClient) -> FdClient,
) -> (Attachment, Pipes) {
    let (input, mut typed) = std::io::pipe().unwrap();
    let (shown, output) = std::io::pipe().unwrap();
    typed.write_all(first).unwrap();
    let client = change(FdClient::from_files(input, output).unwrap());
    let attachment = rig.console.attach(client);
    (attachment, Pipes { typed, shown })
}

struct Pipes {
    typed: PipeWriter,
    shown: PipeReader,
}

fn is_turned_away(attachment: &Attachment) {
    assert_eq!(
        outcome(attachment),
        Some(Outcome::Refused(Refused::ShuttingDown))
    );
}

#[test]
fn an_attach_after_the_service_has_finished_is_told_so() {
    let mut rig = Rig::new();
    rig.service.shut_down();
    let ended = join("the service ends", rig.take_thread());
    ended.expect("in time").expect("in order");
    is_turned_away(&attach(&rig).0);
    assert!(rig.console.status(PATIENCE).is_err());
}

#[test]
fn an_attach_to_a_finished_service_in_a_loop_that_goes_on_is_told_so() {
    let (service, own_loop) = OwnLoop::begin();
    let rig = Rig::in_service(service, Gate::default().config(), LogConfig::default());
    rig.status();
    rig.service.shut_down();
    wait_until("it has finished", || rig.service.is_finished());
    is_turned_away(&attach(&rig).0);
    assert!(rig.console.status(PATIENCE).is_err());
    own_loop.end();
}

#[test]
fn attaches_that_are_queued_while_the_service_finishes_are_told() {
    let (service, own_loop) = OwnLoop::begin();
    let gate = Gate::default();
    let rig = Rig::in_service(service, gate.config(), LogConfig::default());
    rig.status();
    // More than the service carries out in one turn.
    let waiting: Vec<_> = gate.while_shut(&rig, || {
        rig.service.shut_down();
        (0..600).map(|_| attach(&rig)).collect()
    });
    for (attachment, _client) in &waiting {
        is_turned_away(attachment);
    }
    wait_until("it has finished", || rig.service.is_finished());
    own_loop.end();
}

#[test]
fn attaches_of_a_console_that_is_removed_are_told() {
    let gate = Gate::default();
    let rig = Rig::with(gate.config());
    let (held, _holder) = attach(&rig);
    rig.wait_until_held();
    let (late, _client) = gate.while_shut(&rig, || {
        rig.console.remove();
        attach(&rig)
    });
    is_turned_away(&late);
    assert_eq!(
        outcome(&held),
        Some(Outcome::Ended(EndReason::ShuttingDown))
    );
    is_turned_away(&attach(&rig).0);
}

#[test]
fn attaches_of_a_service_that_is_dropped_are_told() {
    let (service, own_loop) = OwnLoop::begin();
    let rig = Rig::in_service(service, Gate::default().config(), LogConfig::default());
    let (held, _holder) = attach(&rig);
    rig.wait_until_held();
    own_loop.end();
    let told = outcome(&held);
    assert!(matches!(told, None | Some(Outcome::Ended(_))), "{told:?}");
    is_turned_away(&attach(&rig).0);
}

#[test]
fn what_was_typed_before_the_escape_to_leave_reaches_the_guest() {
    let mut config = ConsoleConfig::named("vm");
    config.linger = PATIENCE;
    let rig = Rig::with(config);
    // As much as the line takes and one read more, so that the escape is seen while some waits.
    let typed = [vec![b'x'; 6000], b"\r".to_vec()].concat();
    let all = [&typed[..], b"~.void"].concat();
    let (attachment, _pipes) = attach_pipes(&rig, &all, FdClient::with_escapes);
    wait_until("all is typed", || {
        rig.counters().input == typed.len() as u64
    });
    rig.status();
    assert_eq!(rig.read_input(typed.len()), typed);
    let left = Some(Outcome::Ended(EndReason::ClientClosed));
    assert_eq!(outcome(&attachment), left);
    assert_eq!(rig.take_input(), b"");
}

#[test]
fn leaving_does_not_wait_for_ever_for_a_guest_that_reads_nothing() {
    let mut config = ConsoleConfig::named("vm");
    config.linger = Duration::from_millis(50);
    let rig = Rig::with(config);
    // As much as the line takes and one read more, so that the escape is seen.
    let typed = [vec![b'x'; 6000], b"\r~.".to_vec()].concat();
    let (attachment, _pipes) = attach_pipes(&rig, &typed, FdClient::with_escapes);
    let left = Some(Outcome::Ended(EndReason::ClientClosed));
    assert_eq!(outcome(&attachment), left);
}

/// More than the guest's line takes, so that some of it has to wait.
const TYPED: usize = 10_000;

#[test]
fn the_end_of_an_input_pipe_does_not_end_the_output() {
    let rig = Rig::new();
    let (attachment, mut pipes) = attach_pipes(&rig, &[b'x'; TYPED], |client| client);
    rig.wait_until_held();
    drop(pipes.typed);
    // A pipe whose writer is gone is reported without end, which must not keep the service busy.
    let turns = || rig.service.turn_times().count();
    wait_until("some is typed", || rig.counters().input > 4096);
    let before = turns();
    std::thread::sleep(Duration::from_millis(100));
    assert!(turns() < before + 100, "{before} and {}", turns());
    assert_eq!(rig.read_input(TYPED).len(), TYPED);
    rig.print(b"goes on");
    let mut shown = [0; 7];
    pipes.shown.read_exact(&mut shown).unwrap();
    assert_eq!(&shown, b"goes on");
    // It can type nothing more, so the console is free for the next.
    let mut next = rig.attach("raw");
    rig.carries(&mut next, "typed");
    let over = Some(Outcome::Ended(EndReason::ClientClosed));
    assert_eq!(outcome(&attachment), over);
}

#[test]
fn a_reader_that_is_gone_ends_the_session_after_the_end_of_the_input() {
    let rig = Rig::new();
    let (attachment, pipes) = attach_pipes(&rig, b"", |client| client);
    drop(pipes.typed);
    rig.print(b"seen");
    drop(pipes.shown);
    let over = Some(Outcome::Ended(EndReason::ClientClosed));
    assert_eq!(outcome(&attachment), over);
}
