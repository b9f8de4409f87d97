//! Offsets that clients are told while the guest prints, and how a session ends where output is gone.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};

use support::control::{Control, log_read, named};
use support::{Rig, newest_only, pattern};
use vm_console::protocol::{AttachRequest, ClientFrame, EndCode, ServerFrame};
use vm_console::{ConsoleConfig, GapPolicy, Start};

const TAIL: u64 = 256 << 10;

/// Runs `act` while the guest prints without a pause.
fn while_printing(rig: &Rig, act: impl FnOnce()) {
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Also if what it does fails.
        let _stop = Stop(&stop);
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                rig.print(&[b'x'; 16]);
            }
        });
        act();
    });
}

#[test]
fn replay_never_begins_behind_live_output() {
    let rig = Rig::new().for_long();
    let mut control = Control::connect(&rig);
    while_printing(&rig, || {
        for start in [Start::Now, Start::Offset(u64::MAX)] {
            for _ in 0..10_000 {
                let request = AttachRequest {
                    replay: start,
                    ..named("ada")
                };
                control.send(&[ClientFrame::Attach(request), ClientFrame::Detach]);
                let attached = control.next_that("attached", |frame| match frame {
                    ServerFrame::Attached(attached) => Some(attached),
                    _ => None,
                });
                assert!(attached.start <= attached.head, "{start:?}: {attached:?}");
                control.next_that("the end", |frame| {
                    matches!(frame, ServerFrame::Ended(_)).then_some(())
                });
            }
        }
    });
}

#[test]
fn no_log_read_begins_before_the_place_asked_for() {
    let rig = Rig::new();
    let mut control = Control::connect(&rig);
    while_printing(&rig, || {
        let batch: Vec<_> = (0..32)
            .map(|id| log_read(id, Start::Offset(u64::MAX), 0))
            .collect();
        for _ in 0..2_000 {
            control.send(&batch);
            for _ in &batch {
                let data = control.next_that("log data", |frame| match frame {
                    ServerFrame::LogData(data) => Some(data),
                    _ => None,
                });
                assert!(data.asked <= data.start, "{data:?}");
            }
        }
    });
}

#[test]
fn a_session_that_is_over_is_told_so_though_output_of_it_is_gone() {
    let mut config = ConsoleConfig::named("vm");
    config.gaps = GapPolicy::Disconnect;
    config.linger = support::PATIENCE;
    let rig = Rig::with_log(config, newest_only(TAIL));
    let mut control = Control::connect(&rig);
    control.attach(&AttachRequest {
        replay: Start::Now,
        ..named("ada")
    });
    rig.fill_socket();
    let _next = rig.attach("force");
    // Some of what waits for the first one is overwritten, and some of it is kept.
    let kept_from = rig.counters().output_delivered + 60_000;
    let head = kept_from + TAIL;
    rig.print(&pattern(0, (head - rig.log.head()) as usize));
    let end = control.next_that("the end of the session", |frame| match frame {
        ServerFrame::Ended(end) => Some(end),
        _ => None,
    });
    assert_eq!(end.reason, EndCode::TakenOver);
}
