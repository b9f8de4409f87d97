//! What the command line makes clients see of the output, and the guest of their input.

use vm_serial_tests::flood;
use vm_serial_tests::running::{Client, Mode, Vmm};

const VMM: &str = env!("CARGO_BIN_EXE_vmm");
const READY: &str = "commands\r\n> ";
const FLOOD: usize = 500_000;
const MISSED: &str = "bytes of output";

fn start(arguments: &[&str]) -> Vmm {
    Vmm::start(VMM, Mode::Scripted, arguments)
}

/// A client that is sent 20 kB a second while the guest sends all it can.
fn slow_client(more: &[&str]) -> (Vmm, Client) {
    let slow = ["--log-size", "65536", "--rate-limit", "20000,1000"];
    let vmm = start(&[&slow[..], more].concat());
    let client = vmm.attach();
    client.output().wait_for(READY);
    client.send(&format!("burst {FLOOD}\r"));
    (vmm, client)
}

#[test]
fn the_place_where_output_begins() {
    let vmm = start(&["--replay", "lines:1"]);
    let writing = vmm.attach();
    writing.send("# first\r");
    writing.output().wait_for("# first\r\n> ");
    drop(writing);
    let next = vmm.attach_when_free();
    next.send("# second\r");
    let seen = next.output().wait_for("# second\r\n> ");
    assert!(!String::from_utf8_lossy(&seen).contains("# first"));
}

#[test]
fn a_gap_is_noted_or_not_or_ends_the_session() {
    let (_vmm, client) = slow_client(&[]);
    client.output().wait_for(MISSED);

    let (_vmm, client) = slow_client(&["--gaps", "silent"]);
    let seen = client.output().wait_for(&flood::last_line(FLOOD));
    assert!(!String::from_utf8_lossy(&seen).contains(MISSED));
    assert!(seen.len() < FLOOD);

    let (_vmm, client) = slow_client(&["--gaps", "disconnect"]);
    client.output().wait_for("session over: ");
}

#[test]
fn a_client_too_far_behind_is_disconnected() {
    let (_vmm, client) = slow_client(&["--max-behind", "30000"]);
    client.output().wait_for("session over: ");
}

#[test]
fn output_over_a_limit_is_dropped() {
    let vmm = start(&["--drop-limit", "10000,4096,8192"]);
    let client = vmm.attach();
    client.output().wait_for(READY);
    client.send(&format!("burst {FLOOD}\r"));
    let seen = client.output().wait_for(&flood::last_line(FLOOD));
    assert!(String::from_utf8_lossy(&seen).contains(MISSED));
}

/// The guest waits for a client that reads, so nothing is missing though the log is small.
#[test]
fn a_guest_waits_for_its_client() {
    let rules = ["--lossless", "5ms", "--lossless-window", "1000"];
    let vmm = start(&[&rules[..], &["--log-size", "65536"]].concat());
    let client = vmm.attach();
    client.output().wait_for(READY);
    client.send("poll 100000\r");
    client.output().wait_for(&flood::last_line(100_000));
}

#[test]
fn newlines_become_returns_and_no_lines_are_said() {
    let vmm = start(&["--newline-as-return", "--no-notices", "--no-replay-guard"]);
    let client = vmm.attach();
    client.output().wait_for(READY);
    client.send("# typed\n");
    client.output().wait_for("# typed\r\n> ");
    client.send("halt\r");
    let seen = String::from_utf8_lossy(&client.output().wait_for_end()).into_owned();
    assert!(!seen.contains("[console"), "{seen}");
}
