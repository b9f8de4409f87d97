//! Sockets that clients pass and keep: another owner can do anything to them at any moment.

mod support;

use std::io::Write;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use support::clinging::clinging;
use support::control::{Control, named, pass_urgently};
use support::{Client, PROMPT, Rig, pattern, wait_until};
use vm_console::ConsoleConfig;
use vm_console::protocol::{ClientFrame, ServerFrame};
use vm_console::session::EndReason;

/// Serves one end of a pair. Returns the other, and the one that is shared with the service.
fn shared(control: &mut Control) -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let attach = ClientFrame::AttachDescriptor(named("ada"));
    control.pass(&[attach], &[theirs.as_fd()]);
    control.next_that("the session", |frame| {
        matches!(frame, ServerFrame::Attached { .. }).then_some(())
    });
    (Client::new(ours).stream, theirs)
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The kernel skips a byte out of band as long as the option is unset, and closes what came with it
/// where the bytes are received. It would wait there for minutes.
#[test]
fn a_client_that_lets_bytes_out_of_band_be_skipped_does_not_stop_the_service() {
    /// More than the line and the service take.
    const TYPED: usize = 12_000;
    let rig = Rig::new();
    let beside = rig.beside(ConsoleConfig::named("beside"));
    let mut neighbour = beside.attach("raw");
    let before = descriptors();
    for round in 0..20 {
        let mut control = Control::connect(&rig);
        let (mut ours, theirs) = shared(&mut control);
        ours.write_all(&[b'x'; TYPED]).unwrap();
        let (socket, peer) = clinging();
        pass_urgently(&ours, b'!', &[socket.as_fd()]);
        // It is behind what nobody has room for, so this is not the last one.
        drop(socket);
        let is_over = AtomicBool::new(false);
        let answers = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let _ = rustix::net::sockopt::set_socket_oobinline(&theirs, false);
                }
            });
            let (mut taken, mut answers) = (0, true);
            wait_until("all that was typed before is taken", || {
                taken += rig.take_input().len();
                answers = rig.console.status(PROMPT).is_ok();
                taken >= TYPED || !answers
            });
            // It may have read on only now.
            answers = answers && rig.console.status(PROMPT).is_ok();
            is_over.store(true, Ordering::Relaxed);
            answers
        });
        assert!(answers, "the service is stopped in round {round}");
        drop(control);
        // Also while its thread does not come back.
        rig.wait_until_free();
        beside.carries(&mut neighbour, "undisturbed");
        drop(peer);
    }
    wait_until("all descriptors are closed", || descriptors() <= before);
}

/// Bytes that the service has not received yet.
fn unread(shared: &UnixStream) -> u64 {
    rustix::io::ioctl_fionread(shared).unwrap()
}

#[test]
fn what_nobody_has_room_for_stays_in_a_passed_socket() {
    let rig = Rig::new();
    let mut control = Control::connect(&rig);
    let (mut ours, theirs) = shared(&mut control);
    let typed = pattern(0, 30_000);
    ours.write_all(&typed).unwrap();
    let accounted_for = || {
        rig.prompt_status();
        unread(&theirs) + rig.counters().input
    };
    wait_until("no more is read", || accounted_for() == 30_000);
    assert!(unread(&theirs) > 20_000, "{}", unread(&theirs));
    // Whatever the guest takes makes room for as much.
    let mut taken = Vec::new();
    while taken.len() < typed.len() {
        taken.extend(rig.read_input(1));
    }
    assert!(taken == typed);
}

#[test]
fn a_client_on_a_full_passed_socket_is_told_why_its_session_ends() {
    let mut config = ConsoleConfig::named("vm");
    config.linger = Duration::from_secs(60);
    let rig = Rig::with(config);
    let mut control = Control::connect(&rig);
    let (ours, _theirs) = shared(&mut control);
    rig.fill_socket();
    rig.console.disconnect(EndReason::Revoked);
    rig.wait_until_free();
    let seen = Client::new(ours).read_to_end();
    let end = &seen[seen.len().saturating_sub(200)..];
    assert!(end.contains("access was revoked"), "{end}");
}

/// How a client stops to type.
#[derive(Clone, Copy, Debug)]
enum Leaves {
    Closes,
    ShutsDown,
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        max_shrink_iters: 0,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn all_that_is_typed_into_a_passed_socket_arrives_in_order(
        parts in prop::collection::vec((1..5000_usize, any::<bool>()), 1..12),
        leaves in prop_oneof![Just(Leaves::Closes), Just(Leaves::ShutsDown)],
    ) {
        let rig = Rig::new();
        let mut control = Control::connect(&rig);
        let (mut ours, theirs) = shared(&mut control);
        drop(theirs);
        let (mut typed, mut taken) = (Vec::new(), Vec::new());
        for (count, takes) in parts {
            let part = pattern(typed.len() as u64, count);
            ours.write_all(&part).unwrap();
            typed.extend(part);
            if takes {
                taken.extend(rig.take_input());
            }
        }
        let _ours = match leaves {
            Leaves::Closes => {
                drop(ours);
                None
            }
            Leaves::ShutsDown => {
                ours.shutdown(Shutdown::Write).unwrap();
                Some(ours)
            }
        };
        wait_until("all of it arrives", || {
            taken.extend(rig.take_input());
            taken.len() >= typed.len()
        });
        prop_assert!(taken == typed);
        // Whoever types no more leaves the console to the next, once the service has seen the end.
        wait_until("another has the console", || {
            let _next = rig.connect("raw");
            rig.prompt_status();
            rig.counters().attaches >= 2
        });
    }
}
