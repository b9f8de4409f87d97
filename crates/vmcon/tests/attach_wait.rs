//! `attach --wait`: over power cycles, restarts of the VMM and takeovers.

mod accounting;
mod host;
mod seat;

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use accounting::accounted;
use host::{Host, Served};
use rustix::process::Signal;
use vm_console::{ConsoleConfig, LogConfig};
use vm_serial_tests::output::Output;
use vm_serial_tests::process::Process;
use vm_serial_tests::terminal::{Terminal, restored_after};

/// Small, so that some output is lost.
const LOG: LogConfig = LogConfig {
    tail: 4096,
    head: 0,
    boots: 1,
};

fn serve(host: &Host) -> Served {
    host.console_of("vm-7", ConsoleConfig::named("vm-7"), LOG)
}

/// A session for a script that has no end, with notices among its output.
fn wait(host: &Host, arguments: &[&str]) -> (Process, Output, std::io::PipeWriter) {
    let (stdin, hold) = std::io::pipe().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = host.command(&[&["attach", "vm-7", "--wait"], arguments].concat());
    command
        .stdin(stdin)
        .stdout(writer.try_clone().unwrap())
        .stderr(writer);
    let process = Process::start(&mut command);
    (process, Output::collect(reader), hold)
}

/// What a guest prints: never the same twice.
struct Printed {
    all: Vec<u8>,
    lines: usize,
}

impl Printed {
    fn print(&mut self, served: &Served, lines: usize) {
        let numbers = self.lines..self.lines + lines;
        let line = |number| format!("LINE {number:06}\n");
        let text: String = numbers.map(line).collect();
        self.lines += lines;
        self.all.extend(text.as_bytes());
        served.print(text);
    }

    /// Prints, and waits until the last line is shown.
    fn print_and_see(&mut self, served: &Served, lines: usize, shown: &Output) {
        self.print(served, lines);
        shown.wait_for(&format!("LINE {:06}\n", self.lines - 1));
    }
}

fn holder(served: &Served) -> String {
    let status = served.console.status(host::PATIENCE).unwrap();
    status.holder.map(|held| held.by).unwrap_or_default()
}

#[test]
fn nothing_is_lost_unsaid_over_power_cycles_restarts_and_takeovers() {
    let host = Host::new();
    let mut served = serve(&host);
    let mut printed = Printed {
        all: Vec::new(),
        lines: 0,
    };
    let (mut vmcon, shown, _stdin) = wait(&host, &["--name", "ada"]);
    for round in 0..20 {
        printed.print_and_see(&served, 40, &shown);
        // Up to the end of the session some of it may be on its way.
        printed.print(&served, 100 * (round % 4));
        // More than the log keeps in every other round.
        let meanwhile = 50 + 600 * (round % 2);
        match round % 3 {
            0 => {
                served.console.power_off();
                host::until(|| holder(&served).is_empty());
                printed.print(&served, meanwhile);
                served.console.power_on();
            }
            1 => {
                served.end();
                served = serve(&host);
                printed.print(&served, meanwhile);
            }
            _ => {
                let taker = seat::taker(&host, "vm-7", "bob");
                host::until(|| holder(&served).starts_with("bob"));
                printed.print(&served, meanwhile);
                drop(taker);
            }
        }
        host::until(|| holder(&served).starts_with("ada"));
    }
    printed.print_and_see(&served, 1, &shown);
    vmcon.signal(Signal::TERM);
    assert_eq!(vmcon.wait().signal(), Some(Signal::TERM.as_raw()));
    let all = shown.wait_for_end();
    let accounted = accounted(&all, &printed.all);
    assert_eq!(accounted.end, printed.all.len());
    assert!(accounted.lost > 0, "the case is not reached");
    assert!(accounted.lost < printed.all.len() / 2, "{accounted:?}");
}

#[test]
fn another_log_is_told_and_shown_from_its_beginning() {
    let host = Host::new();
    let served = serve(&host);
    served.print("OLD\n");
    let (_vmcon, shown, _stdin) = wait(&host, &[]);
    shown.wait_for("OLD\n");
    let log = served.log_path();
    served.end();
    std::fs::remove_file(log).unwrap();
    let served = serve(&host);
    served.print("NEW\n");
    shown.wait_for("[vm-7 has another log now, shown from its beginning;");
    shown.wait_for("NEW\n");
    assert_eq!(shown.text().matches("OLD\n").count(), 1);
}

#[test]
fn a_machine_that_is_off_is_waited_for() {
    let host = Host::new();
    let config = ConsoleConfig {
        starts_off: true,
        ..ConsoleConfig::named("vm-7")
    };
    let served = host.console_of("vm-7", config, LogConfig::default());
    let done = host.vmcon(&["attach", "vm-7"]);
    assert_eq!(done.code, 6, "{done:?}");
    assert!(
        done.stderr
            .contains("`vmcon power start` starts it, --wait waits"),
        "{done:?}"
    );
    // What is printed after this begins is not from before.
    let (_vmcon, shown, _stdin) = wait(&host, &["--replay", "none"]);
    shown.wait_for("[waiting for vm-7 to start]\n");
    served.console.power_on();
    served.print("HELLO\n");
    shown.wait_for("attached to vm-7 (boot 1, running)\n");
    shown.wait_for("HELLO\n");
}

#[test]
fn a_console_that_is_not_there_yet_is_waited_for() {
    let host = Host::new();
    let (_vmcon, shown, _stdin) = wait(&host, &["--replay", "none"]);
    shown.wait_for("[waiting: ");
    let served = serve(&host);
    served.print("HELLO\n");
    shown.wait_for("HELLO\n");
}

#[test]
fn a_script_is_not_thrown_out_by_waiting_for_somebody_else() {
    let host = Host::new();
    let served = serve(&host);
    let bob = seat::taker(&host, "vm-7", "bob");
    host::until(|| holder(&served).starts_with("bob"));
    let (_vmcon, shown, _stdin) = wait(&host, &["--name", "ada"]);
    shown.wait_for("[waiting: vm-7: in use by bob");
    assert!(holder(&served).starts_with("bob"));
    drop(bob);
    shown.wait_for("attached to vm-7");
}

#[test]
fn what_is_typed_while_nobody_takes_it_is_dropped_and_said_so() {
    let host = Host::new();
    let served = serve(&host);
    served.print("login: ");
    restored_after(|terminal: &Terminal| {
        let arguments = ["vm-7", "--wait"];
        let mut vmcon = seat::attached(&host, terminal, &arguments, "login: ");
        served.console.power_off();
        terminal
            .output()
            .wait_for("[vm-7 is off; waiting for it to start]");
        terminal.type_keys("reboot\r");
        terminal
            .output()
            .wait_for("[nobody takes what you type for now; it is dropped]");
        served.console.power_on();
        terminal
            .output()
            .wait_for("attached to vm-7 (boot 2, running)");
        terminal.type_keys("ok\r");
        let mut typed = Vec::new();
        host::until(|| {
            typed.extend(served.input(100));
            typed == b"ok\r"
        });
        served.console.power_off();
        terminal
            .output()
            .wait_for_nth("waiting for it to start]", 2);
        terminal.type_keys("~.");
        assert_eq!(vmcon.wait().code(), Some(0));
    });
}

#[test]
fn a_vmm_that_is_stopped_keeps_nobody_from_leaving() {
    let host = Host::new();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("silent.sock");
    // It accepts nobody, and greets nobody.
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let path = path.to_str().unwrap();
    let mut command = host.command(&["attach", path, "--wait"]);
    let mut vmcon = Process::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    vmcon.signal(Signal::TERM);
    assert_eq!(vmcon.wait().signal(), Some(Signal::TERM.as_raw()));
    // Without --wait it says so.
    let done = host.vmcon(&["attach", path]);
    assert_eq!(done.code, 4, "{done:?}");
}
