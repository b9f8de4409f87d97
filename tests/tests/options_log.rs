//! What the command line keeps of the output.

use std::fs;

use vm_console::{BootLog, LogConfig};
use vm_serial_tests::flood;
use vm_serial_tests::patience::wait_until;
use vm_serial_tests::running::{Mode, Vmm};

const VMM: &str = env!("CARGO_BIN_EXE_vmm");
const READY: &str = "commands\r\n> ";

#[test]
fn sizes_and_times_of_the_boot_log() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let file = ["--log-file", path.to_str().unwrap(), "--line-times"];
    let sizes = [
        "--log-size",
        "131072",
        "--log-head",
        "8192",
        "--log-boots",
        "3",
    ];
    let vmm = Vmm::start(VMM, Mode::Scripted, &[&file[..], &sizes].concat());
    vmm.attach().output().wait_for(READY);
    let log = BootLog::open_read_only(&path).unwrap();
    let wanted = LogConfig {
        tail: 131_072,
        head: 8192,
        boots: 3,
    };
    assert_eq!(log.config(), wanted);
    assert!(log.time_at(log.head()).is_some());
}

#[test]
fn a_plain_text_log_that_rotates() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("text");
    let text = ["--text-log", path.to_str().unwrap(), "--text-log-plain"];
    let rotation = ["--text-log-size", "10000", "--text-log-files", "2"];
    let vmm = Vmm::start(VMM, Mode::Scripted, &[&text[..], &rotation].concat());
    let client = vmm.attach();
    client.output().wait_for(READY);
    client.send("burst 100000\r");
    client.output().wait_for(&flood::last_line(100_000));
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap_or_default();
    wait_until("all is written", || read("text").contains("sent 100000"));
    for name in ["text", "text.1", "text.2"] {
        let lines = read(name);
        assert!(
            (1..=10_000).contains(&lines.len()),
            "{name}: {}",
            lines.len()
        );
        assert!(!lines.contains("Z] "), "no times: {name}");
    }
    assert_eq!(read("text.3"), "");
}
