//! The owner's terminal: raw while it is used, and put back however that ends.

mod support;

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::fd::OwnedFd;
use rustix::fs::OFlags;
use rustix::process::Pid;
use rustix::pty::OpenptFlags;
use support::wait_until;
use vm_console::transport::pty::Pty;
use vm_console::transport::stdio::FdClient;
use vm_console::transport::terminal::Terminal;

/// The two ends of a new terminal: the emulator's, and a program's.
fn terminal() -> (OwnedFd, OwnedFd) {
    let emulator = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    rustix::pty::unlockpt(&emulator).unwrap();
    let name = rustix::pty::ptsname(&emulator, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let terminal = rustix::fs::open(&name, flags, rustix::fs::Mode::empty()).unwrap();
    (emulator, terminal)
}

fn settings(terminal: &OwnedFd) -> String {
    format!("{:?}", rustix::termios::tcgetattr(terminal).unwrap())
}

#[test]
fn a_terminal_is_put_back_as_it_was() {
    let (_emulator, terminal) = terminal();
    let (before, blocking) = (
        settings(&terminal),
        rustix::fs::fcntl_getfl(&terminal).unwrap(),
    );
    let guard = Terminal::raw(&terminal).unwrap().expect("it is a terminal");
    assert_ne!(settings(&terminal), before);
    rustix::fs::fcntl_setfl(&terminal, blocking | OFlags::NONBLOCK).unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _guard = guard;
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    assert_eq!(settings(&terminal), before);
    assert_eq!(rustix::fs::fcntl_getfl(&terminal).unwrap(), blocking);
    assert!(Terminal::raw(rustix::stdio::stdin()).is_ok());
    let (reader, _writer) = std::io::pipe().unwrap();
    assert!(
        Terminal::raw(&reader).unwrap().is_none(),
        "a pipe is no terminal"
    );
}

#[test]
fn a_terminal_is_raw_again_after_a_stop() {
    let (_emulator, terminal) = terminal();
    let before = settings(&terminal);
    let guard = Terminal::raw(&terminal).unwrap().expect("it is a terminal");
    let raw = settings(&terminal);
    let restorer = guard.restorer();
    for _ in 0..2 {
        restorer.suspend();
        assert_eq!(settings(&terminal), before);
        restorer.resume();
        assert_eq!(settings(&terminal), raw);
    }
    restorer.restore();
    restorer.resume();
    assert_eq!(settings(&terminal), before, "it was put back for good");
}

const ROLE: &str = "TERMINAL_ROLE";

/// Starts this program again, to run `play_a_role` alone and as `role`, with SIGTTOU ignored.
fn succeeds_as(role: &str, stdin: Stdio) {
    let mut process = Command::new("sh")
        .args(["-c", "trap '' TTOU; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "play_a_role", "--nocapture"])
        .env(ROLE, role)
        .stdin(stdin)
        .spawn()
        .unwrap();
    let mut ended = None;
    wait_until("the process ends", || {
        ended = process.try_wait().unwrap();
        ended.is_some()
    });
    assert!(ended.is_some_and(|status| status.success()));
}

/// Plays a role if another test here has started this process; does nothing otherwise.
#[test]
fn play_a_role() {
    match std::env::var(ROLE).as_deref() {
        Ok("background job") => leave_the_terminal_alone(),
        Ok("session leader") => get_no_controlling_terminal(),
        _ => {}
    }
}

fn leave_the_terminal_alone() {
    let terminal = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).unwrap();
    rustix::process::setsid().unwrap();
    rustix::process::ioctl_tiocsctty(&terminal).unwrap();
    let guard = Terminal::raw(&terminal).unwrap().expect("it is a terminal");
    let raw = settings(&terminal);
    let mut other = Command::new("sleep")
        .arg("60")
        .process_group(0)
        .spawn()
        .unwrap();
    rustix::termios::tcsetpgrp(&terminal, Pid::from_child(&other)).unwrap();
    let restorer = guard.restorer();
    restorer.suspend();
    let seen = settings(&terminal);
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(seen, raw, "the terminal is the other job's");
}

fn get_no_controlling_terminal() {
    rustix::process::setsid().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let pty = Pty::open(dir.path().join("pty")).unwrap();
    let (_emulator, terminal) = terminal();
    let client = FdClient::from_files(&terminal, &terminal).unwrap();
    std::fs::File::open("/dev/tty").expect_err("there is a controlling terminal");
    drop((pty, client));
}

#[test]
fn a_background_job_leaves_its_terminal_alone() {
    let (_emulator, terminal) = terminal();
    // With SIGTTOU ignored the system would let it change the terminal's settings.
    succeeds_as("background job", terminal.into());
}

/// It would end, by SIGHUP, with whoever opened that terminal last.
#[test]
fn no_terminal_becomes_the_controlling_terminal_of_its_owner() {
    succeeds_as("session leader", Stdio::null());
}
