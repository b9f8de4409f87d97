//! Requests that are left over when a turn is over, and who is told of what they did.

mod support;

use std::time::Duration;

use support::control::{Control, named};
use support::{Rig, pattern};
use vm_console::protocol::{AttachRequest, ClientFrame};
use vm_console::{ConsoleConfig, Start};

/// More than are carried out in one turn.
const MANY: usize = 600;

#[test]
fn what_is_typed_does_not_wait_until_the_client_reads_its_output() {
    let rig = Rig::new();
    let mut control = Control::connect(&rig);
    control.attach(&AttachRequest {
        replay: Start::Now,
        ..named("ada")
    });
    // The client is busy with something else, and its socket is full.
    rig.fill_socket();
    let typed = pattern(0, MANY);
    let frames: Vec<_> = typed
        .iter()
        .map(|byte| ClientFrame::Data(vec![*byte]))
        .collect();
    control.send(&frames);
    assert_eq!(rig.read_input(MANY), typed);
}

#[test]
fn who_is_taken_over_is_told_though_nothing_else_happens() {
    // Nobody is told because a client's time to read is over.
    let mut config = ConsoleConfig::named("vm");
    config.linger = Duration::from_secs(3600);
    let rig = Rig::with(config);
    for before in [0, 30, 60, 64, 65, 100, 128, 200] {
        let mut holder = rig.attach("raw");
        let mut taker = Control::connect(&rig);
        let size = |n: usize| ClientFrame::Resize {
            columns: n as u16,
            rows: 1,
        };
        // The attach comes in one turn with them, or in the next.
        let mut frames: Vec<_> = (0..before).map(size).collect();
        frames.push(ClientFrame::Attach(AttachRequest {
            force: true,
            replay: Start::Now,
            ..named("ada")
        }));
        taker.send(&frames);
        assert!(holder.read_to_end().contains("taken over by ada"));
        drop(taker);
        rig.wait_until_free();
    }
}
