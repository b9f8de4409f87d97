//! `vmm --demo`, and `vmcon` on what it starts.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;
use vm_console::instance::{Directory, Liveness};
use vm_serial_tests::output::Output;
use vm_serial_tests::process::{self, DEFAULT_SIGNALS, Process};
use vm_serial_tests::requirement;

/// The program for operators, which Cargo builds beside the tests if it builds all of the workspace.
fn vmcon(test: &str) -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_BIN_EXE_vmm")).with_file_name("vmcon");
    if !program.is_file() {
        requirement::skip(test, "vmcon beside the example VMM");
        return None;
    }
    Some(program)
}

#[test]
fn six_machines_in_all_states_are_there_and_end_together() {
    let dir = tempfile::tempdir().unwrap();
    // It makes the directory.
    let place = dir.path().join("consoles");
    let mut command = process::command(DEFAULT_SIGNALS, env!("CARGO_BIN_EXE_vmm"));
    command.arg("--demo").arg(&place).stdin(Stdio::null());
    let (reader, writer) = std::io::pipe().unwrap();
    command.stderr(writer);
    let (messages, _tap) = Output::collect_until_closed(reader);
    let mut demo = Process::start(&mut command);
    drop(command);
    messages.wait_for("vmm: Ctrl-C ends them");

    if let Some(vmcon) = vmcon("six_machines_in_all_states_are_there_and_end_together") {
        let run = |arguments: &[&str]| {
            let mut command = Command::new(&vmcon);
            let done = command
                .env("VMCON_DIR", &place)
                .args(arguments)
                .output()
                .unwrap();
            assert!(done.status.success(), "{done:?}");
            String::from_utf8_lossy(&done.stdout).into_owned()
        };
        let listed = run(&["ls"]);
        let states: Vec<_> = listed
            .lines()
            .skip(1)
            .map(|line| {
                line.split_whitespace()
                    .take(2)
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect();
        assert_eq!(
            states,
            [
                "build-1 running",
                "db-1 running",
                "old-1 gone",
                "spare-1 stopped",
                "web-1 running",
                "web-2 running"
            ]
        );
        assert!(run(&["log", "old-1"]).contains("Kernel panic - not syncing"));
        assert_eq!(run(&["boots", "spare-1"]).lines().count(), 2);
        run(&["power", "start", "spare-1"]);
        let typed = [
            "attach",
            "spare-1",
            "--expect",
            "> ",
            "--send",
            "help\\r",
            "--expect",
            "switch it off",
        ];
        run(&typed);
    }

    demo.signal(Signal::TERM);
    demo.wait();
    let left = Directory::new(&place).list().unwrap();
    assert_eq!(left.len(), 6);
    for instance in left {
        assert_eq!(instance.unwrap().liveness, Liveness::Gone);
    }
}
