//! When the boot log is turned off, clients are shown no more earlier output.

mod support;

use support::control::{Control, named};
use support::{Client, Rig, pattern};
use vm_console::protocol::{AttachRequest, ServerFrame};

/// Bytes printed before, more than the sockets hold.
const BACKLOG: usize = 900_000;
/// Bytes that may be on their way: the socket's buffer, and those that one turn has read.
const ON_ITS_WAY: usize = 600_000;

fn turned_off_amid_a_replay(attach: impl FnOnce(&Rig) -> Client) {
    let rig = Rig::new();
    rig.print(&pattern(0, BACKLOG));
    let mut client = attach(&rig);
    // The socket is full, and the client waits.
    client.read(1000);
    rig.console.set_boot_log(false);
    assert!(!rig.prompt_status().boot_log);
    rig.print(b"<live>");
    let seen = client.read_until("<live>").len();
    assert!(seen < ON_ITS_WAY, "it was shown {seen} bytes");
    // Output from now on is shown.
    rig.print(b"<more>");
    client.read_until("<more>");
}

#[test]
fn a_holders_replay_stops_when_the_boot_log_is_turned_off() {
    turned_off_amid_a_replay(|rig| rig.attach("raw"));
}

#[test]
fn an_observers_replay_stops_when_the_boot_log_is_turned_off() {
    turned_off_amid_a_replay(|rig| rig.connect("watch"));
}

#[test]
fn a_replay_in_frames_stops_when_the_boot_log_is_turned_off() {
    for read_only in [false, true] {
        let rig = Rig::new();
        rig.print(&pattern(0, BACKLOG));
        let mut control = Control::connect(&rig);
        control.attach(&AttachRequest {
            read_only,
            unguarded: true,
            ..named("ada")
        });
        rig.console.set_boot_log(false);
        assert!(!rig.prompt_status().boot_log);
        rig.print(b"<live>");
        let mut seen = 0;
        control.next_that("live output", |frame| match frame {
            ServerFrame::Output(output) => {
                seen += output.bytes.len();
                output.bytes.ends_with(b"<live>").then_some(())
            }
            _ => None,
        });
        assert!(seen < ON_ITS_WAY, "it was shown {seen} bytes");
    }
}
