//! The session rules that the command line sets.

use std::path::PathBuf;

use vm_console::Start;
use vm_console::client::ControlClient;
use vm_serial_tests::running::{Client, Mode, Vmm};

const VMM: &str = env!("CARGO_BIN_EXE_vmm");
const READY: &str = "commands\r\n> ";

fn start(arguments: &[&str]) -> Vmm {
    Vmm::start(VMM, Mode::Scripted, arguments)
}

fn attached(vmm: &Vmm) -> Client {
    let client = vmm.attach_when_free();
    client.output().wait_for(READY);
    client
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[test]
fn a_session_without_input_is_warned_and_ended() {
    let vmm = start(&["--idle-limit", "3s", "--warn-before", "2s"]);
    let client = attached(&vmm);
    let seen = client.output().wait_for("session over: no input");
    let seen = String::from_utf8_lossy(&seen);
    assert!(seen.contains("without input the session ends in"), "{seen}");
}

#[test]
fn output_counts_if_it_is_to() {
    let limits = ["--idle-limit", "3s", "--absolute-limit", "5s"];
    let vmm = start(&[&limits[..], &["--output-counts"]].concat());
    let client = attached(&vmm);
    client.send("poll 999999999\r");
    client.output().wait_for("session over: the maximum");
}

#[test]
fn a_session_ends_at_its_absolute_limit() {
    let vmm = start(&["--absolute-limit", "300ms", "--warn-before", "0"]);
    let client = vmm.attach();
    let seen = client.output().wait_for("session over: ");
    assert!(!String::from_utf8_lossy(&seen).contains("session ends in"));
}

#[test]
fn without_the_boot_log_nobody_is_let_in_if_it_is_required() {
    let vmm = start(&["--no-boot-log", "--require-boot-log"]);
    let client = vmm.attach();
    client.output().wait_for("the boot log is off");

    let vmm = start(&["--no-boot-log"]);
    let client = vmm.attach();
    client.send("# late\r");
    let seen = client.output().wait_for("# late\r\n> ");
    assert!(
        !seen.starts_with(b"\r\nSerial guest"),
        "nothing is replayed"
    );
}

#[test]
fn only_some_users_may_attach_or_read_the_log() {
    let stranger = (own_uid() + 1).to_string();
    let vmm = start(&["--may-attach", &stranger]);
    vmm.attach().output().wait_for("not permitted");

    let dir = tempfile::tempdir().unwrap();
    let control = dir.path().join("control");
    let own = own_uid().to_string();
    let users = ["--may-attach", &own, "--may-read-log", &stranger];
    let more = ["--control-socket", control.to_str().unwrap()];
    let vmm = start(&[&users[..], &more].concat());
    let mut client = ControlClient::connect(&control).unwrap();
    let refused = client.read_log(Start::Oldest, 100).unwrap_err();
    assert!(
        refused.to_string().contains("no right to read the log"),
        "{refused}"
    );
    let holder = vmm.attach();
    holder.send("# in\r");
    holder.output().wait_for("# in\r\n> ");
}

#[test]
fn observers_and_connections_have_their_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let watch: PathBuf = dir.path().join("watch");
    let bounds = ["--max-observers", "1", "--max-connections", "3"];
    let more = ["--observer-socket", watch.to_str().unwrap()];
    let vmm = start(&[&bounds[..], &more].concat());
    let _holder = attached(&vmm);
    let connect = || {
        let stream = std::os::unix::net::UnixStream::connect(&watch).unwrap();
        vm_serial_tests::output::Output::collect(stream)
    };
    connect().wait_for(READY);
    connect().wait_for("too many observers");
}

#[test]
fn the_carrier_drops_with_the_session_and_comes_with_the_next() {
    let vmm = start(&["--carrier", "--linger", "1s"]);
    drop(attached(&vmm));
    vmm.serves_the_next();
}
