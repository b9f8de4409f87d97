//! A machine with a name is found among the consoles of its host, alive and dead.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use vm_console::client::ControlClient;
use vm_console::instance::{Directory, Instance, Liveness};
use vm_serial_tests::running::{Mode, Vmm, modes};

const VMM: &str = env!("CARGO_BIN_EXE_vmm");
const READY: &str = "commands\r\n> ";

fn start(mode: Mode, dir: &Path, arguments: &[&str]) -> Vmm {
    let named = ["--name", "vm-7", "--dir", dir.to_str().unwrap()];
    Vmm::start(VMM, mode, &[&named, arguments].concat())
}

fn find(dir: &Path) -> Instance {
    Directory::new(dir).find(&"vm-7".parse().unwrap()).unwrap()
}

#[test]
fn a_machine_is_live_and_then_gone_and_its_log_goes_on() {
    for mode in modes("a_machine_is_live_and_then_gone_and_its_log_goes_on") {
        let dir = tempfile::tempdir().unwrap();
        let mut last = 0;
        for (boot, signal) in [(1, Signal::TERM), (2, Signal::KILL), (3, Signal::TERM)] {
            let told = ["--title", "build host", "--group", "web", "--index", "3"];
            let more = ["--label", "zone=b", "--tenant", "acme"];
            let mut vmm = start(mode, dir.path(), &[&told[..], &more].concat());
            vmm.attach().output().wait_for_nth(READY, boot);
            let found = find(dir.path());
            assert_eq!(found.liveness, Liveness::Live);
            assert!(found.record.incarnation > last);
            last = found.record.incarnation;
            let about = &found.record.description;
            assert_eq!(about.name.as_deref(), Some("build host"));
            assert_eq!(
                (about.group.as_deref(), about.index),
                (Some("web"), Some(3))
            );
            assert_eq!(about.labels["zone"], "b");
            let mut client = ControlClient::connect(found.control_socket()).unwrap();
            let status = client.status().unwrap();
            assert_eq!((&*status.console, status.powered), ("vm-7", true));

            vmm.signal(signal);
            vmm.wait();
            let found = find(dir.path());
            assert_eq!(found.liveness, Liveness::Gone);
            let log = found.open_boot_log().unwrap();
            let text = log.read_at(0, 1 << 20).bytes;
            let text = String::from_utf8_lossy(&text).into_owned();
            assert_eq!(text.matches("Serial guest on ttyS0").count(), boot);
        }
    }
}

#[test]
fn a_second_machine_of_the_name_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let vmm = start(Mode::Scripted, dir.path(), &[]);
    let output = Command::new("timeout")
        .args(["60", VMM, "--no-kvm", "--detached", "--name", "vm-7"])
        .env("VMCON_DIR", dir.path())
        .env("XDG_RUNTIME_DIR", dir.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    let pid = vmm.process().id().as_raw_nonzero();
    assert!(
        told.contains(&format!("process {pid} has it since")),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1, "{told}");
    vmm.serves_the_next();
}

#[test]
fn audit_events_are_lines_of_json() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("audit");
    let audit = ["--audit", file.to_str().unwrap()];
    let mut vmm = start(Mode::Scripted, dir.path(), &audit);
    let holder = vmm.attach();
    holder.output().wait_for(READY);
    vmm.attach().output().wait_for("in use by");
    drop(holder);
    vmm.serves_the_next();
    vmm.signal(Signal::TERM);
    vmm.wait();
    let lines = fs::read_to_string(&file).unwrap();
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let events: Vec<_> = lines.iter().map(|l| l["event"].as_str().unwrap()).collect();
    for wanted in ["attached", "refused", "ended"] {
        assert!(events.contains(&wanted), "{wanted} in {events:?}");
    }
    let who = &lines[0]["who"];
    assert_eq!(who["uid"], rustix::process::geteuid().as_raw());
    assert_eq!(lines[0]["console"], "vm-7");

    let vmm = start(Mode::Scripted, dir.path(), &["--audit", "-"]);
    vmm.attach().output().wait_for(READY);
    vmm.messages().wait_for("vmm: audit: {");
}
