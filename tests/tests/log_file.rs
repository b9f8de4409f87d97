//! The boot log in a file: whole after the VMM was killed, and taken up by the next one.

use rustix::process::Signal;
use vm_console::{BootLog, MarkKind};
use vm_serial_tests::flood;
use vm_serial_tests::running::{Vmm, modes};

const VMM: &str = env!("CARGO_BIN_EXE_vmm");
const FLOOD: usize = 50_000;

#[test]
fn every_byte_before_a_kill_is_in_the_file_and_the_next_run_goes_on_from_there() {
    for mode in modes("every_byte_before_a_kill_is_in_the_file_and_the_next_run_goes_on_from_there")
    {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ttyS0.log");
        let arguments = ["--log-file", path.to_str().unwrap()];

        let mut killed = Vmm::start(VMM, mode, &arguments);
        let client = killed.attach();
        client.output().wait_for("commands\r\n> ");
        client.send(&format!("burst {FLOOD}\r"));
        let seen = client
            .output()
            .wait_for(&format!("{}> ", flood::last_line(FLOOD)));
        killed.signal(Signal::KILL);
        killed.wait();

        // Another process reads what the VMM has left.
        let log = BootLog::open_read_only(&path).unwrap();
        assert_eq!(log.head(), seen.len() as u64, "{mode:?}");
        assert!(log.read_at(0, seen.len()).bytes == seen, "{mode:?}");
        assert_eq!(log.epoch(), 1, "{mode:?}");

        let next = Vmm::start(VMM, mode, &arguments);
        let client = next.attach();
        client.output().wait_for_nth("commands\r\n> ", 2);
        assert!(client.output().bytes().starts_with(&seen), "{mode:?}");
        client.send("reset\r");
        client.output().wait_for_nth("commands\r\n> ", 3);
        assert_eq!(log.epoch(), 3, "{mode:?}");
        let boots: Vec<_> = log
            .marks()
            .iter()
            .map(|mark| (mark.kind, mark.epoch))
            .filter(|(kind, _)| matches!(kind, MarkKind::PowerOn | MarkKind::Reset))
            .collect();
        assert_eq!(
            boots,
            [
                (MarkKind::PowerOn, 1),
                (MarkKind::PowerOn, 2),
                (MarkKind::Reset, 3)
            ],
            "{mode:?}"
        );
    }
}

#[test]
fn a_size_that_an_existing_log_does_not_take_is_told() {
    for mode in modes("a_size_that_an_existing_log_does_not_take_is_told") {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ttyS0.log");
        let arguments = ["--log-file", path.to_str().unwrap(), "--log-size"];
        let told = format!("boot log {}: keeps its sizes", path.display());
        for (size, expected) in [("131072", false), ("131072", false), ("65536", true)] {
            let mut vmm = Vmm::start(VMM, mode, &[&arguments[..], &[size]].concat());
            vmm.signal(Signal::TERM);
            let (_, messages) = vmm.wait();
            assert_eq!(messages.contains(&told), expected, "{mode:?}: {messages}");
        }
    }
}
