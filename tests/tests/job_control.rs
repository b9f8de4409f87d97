//! The VMM as a job of a shell: stopped, in the foreground, in the background, ended.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use vm_serial_tests::patience::wait_until;
use vm_serial_tests::process::{self, DEFAULT_SIGNALS, Process};
use vm_serial_tests::requirement;
use vm_serial_tests::terminal::Terminal;

const VMM: &str = env!("CARGO_BIN_EXE_vmm");

/// The holder of the console at `socket`, as it is told to others.
fn holder(socket: &Path) -> Pid {
    let mut refusal = String::new();
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.read_to_string(&mut refusal).unwrap();
    let (_, rest) = refusal.split_once("(pid ").unwrap();
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Pid::from_raw(digits.parse().unwrap()).unwrap()
}

#[test]
fn a_job_takes_the_terminal_in_the_foreground_only() {
    if !requirement::has_program("bash") {
        return requirement::skip("a_job_takes_the_terminal_in_the_foreground_only", "bash");
    }
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("console");
    let terminal = Terminal::open();
    let through = [DEFAULT_SIGNALS, &["setsid", "--ctty"]].concat();
    let mut shell = process::command(&through, "bash");
    shell
        .args(["--norc", "--noprofile", "-i"])
        .env("PS1", "shell: ")
        .stdin(terminal.slave())
        .stdout(terminal.slave())
        .stderr(terminal.slave());
    let mut shell = Process::start(&mut shell);
    let shown = terminal.output();
    shown.wait_for("shell: ");

    terminal.type_keys(&format!("{VMM} --no-kvm --socket {}\r", socket.display()));
    shown.wait_for("commands\r\n> ");
    let vmm = holder(&socket);
    for stop in 1..=2 {
        let signal = [Signal::TSTP, Signal::STOP][stop - 1];
        kill_process(vmm, signal).unwrap();
        shown.wait_for_nth("Stopped", stop);
        terminal.type_keys("fg\r");
        terminal.wait_until_raw();
        // In a cooked terminal this would end it.
        terminal.type_keys("# x\x03sum\r");
        shown.wait_for_nth(" bytes\r\n> ", stop);
    }

    // It ends in the background, where an attempt to change the terminal would stop it again: the
    // shell lets it go on for that.
    kill_process(vmm, Signal::TSTP).unwrap();
    shown.wait_for_nth("Stopped", 3);
    terminal.type_keys("kill %1\r");
    wait_until("it has ended", || test_kill_process(vmm).is_err());
    assert!(!socket.exists());
    terminal.type_keys("exit\r");
    shell.wait();
}
