//! An attach has an outcome, or none if the service is gone: waiting for it always ends.

mod support;

use std::os::unix::net::UnixStream;

use crossbeam_channel::RecvTimeoutError;
use support::gate::Gate;
use support::own_loop::OwnLoop;
use support::{PATIENCE, Rig, join, wait_until};
use vm_console::LogConfig;
use vm_console::service::{Attachment, Outcome};
use vm_console::session::{EndReason, Refused};
use vm_console::transport::stdio::FdClient;

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

fn is_turned_away(attachment: &Attachment) {
    let outcome = outcome(attachment);
    assert!(
        matches!(
            outcome,
            None | Some(Outcome::Refused(Refused::ShuttingDown))
        ),
        "{outcome:?}"
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
