//! Input that is typed while the carrier is down between two sessions.

mod support;

use std::io::Write;

use support::{PROMPT, Rig, pattern, wait_until};
use vm_console::ConsoleConfig;

fn rig() -> Rig {
    let mut config = ConsoleConfig::named("vm");
    config.carrier = true;
    let rig = Rig::with(config);
    // The next session begins within the pause after this one.
    drop(rig.attach("raw"));
    rig.wait_until_free();
    rig
}

#[test]
fn all_that_is_typed_and_closed_within_the_pause_arrives_and_the_console_is_free_after_it() {
    let rig = rig();
    let typed = pattern(0, 10_000);
    let mut client = rig.connect("raw");
    client.send(&typed);
    drop(client);
    assert!(rig.read_input(typed.len()) == typed);
    rig.wait_until_free();
    rig.attach("raw");
}

#[test]
fn so_does_what_is_typed_slowly_and_read_slowly() {
    let rig = rig();
    let typed = pattern(0, 10_000);
    let mut client = rig.connect("raw");
    for chunk in typed.chunks(3000) {
        client.send(chunk);
        rig.console.status(PROMPT).unwrap();
    }
    client.stream.flush().unwrap();
    drop(client);
    let mut taken = Vec::new();
    wait_until("all of it arrives", || {
        taken.extend(rig.take_input());
        taken.len() >= typed.len()
    });
    assert!(taken == typed);
    rig.wait_until_free();
}
