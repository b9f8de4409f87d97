//! A client that will never type again does not keep others from typing.

mod support;

use std::net::Shutdown;

use support::{Client, Rig};
use vm_console::audit::Audited;
use vm_console::session::EndReason;

/// A raw client that has closed its sending side and goes on watching.
fn half_closed(rig: &Rig, typed: &[u8]) -> Client {
    let mut client = rig.attach("raw");
    client.send(typed);
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rig.read_input(typed.len()), typed);
    rig.prompt_status();
    rig.print(b"shown on");
    client.read_until("shown on");
    client
}

#[test]
fn a_half_closed_client_watches_and_leaves_the_lease_to_the_next() {
    let rig = Rig::new();
    let mut first = half_closed(&rig, b"poweroff\r");
    let mut second = rig.attach("raw");
    rig.carries(&mut second, "mine");
    rig.audited("the first one's end", |what| {
        matches!(
            what,
            Audited::Ended {
                why: EndReason::ClientClosed,
                ..
            }
        )
    });
    first.read_to_end();
    let status = rig.prompt_status();
    assert!(status.holder.is_some());
    assert_eq!(rig.counters().takeovers, 0);
}

#[test]
fn it_does_so_on_every_way_in() {
    let rig = Rig::new();
    let _first = half_closed(&rig, b"x");
    let mut control = rig.control();
    control.attach(&support::control::named("ada")).unwrap();
    control.typist().unwrap().type_bytes(b"typed").unwrap();
    assert_eq!(rig.read_input(5), b"typed");
}

#[test]
fn nobody_comes_and_it_watches_on() {
    let rig = Rig::new();
    let mut first = half_closed(&rig, b"x");
    for round in 0..20 {
        let text = format!("round {round}");
        rig.print(text.as_bytes());
        first.read_until(&text);
        rig.prompt_status();
    }
    drop(first);
    rig.wait_until_free();
}
