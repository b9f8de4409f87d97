//! Somebody who sits at a terminal with `vmcon`.
#![allow(dead_code, reason = "each test uses its part of it")]

use std::path::Path;
use std::process::{Command, Stdio};

use vm_serial_tests::process::{self, DEFAULT_SIGNALS, Process};
use vm_serial_tests::terminal::Terminal;

use crate::host::Host;

/// `vmcon` with these arguments at `terminal`, by way of other programs.
pub(crate) fn vmcon_through(
    through: &[&str],
    directory: &Path,
    terminal: &Terminal,
    arguments: &[&str],
) -> Command {
    let through = [DEFAULT_SIGNALS, through].concat();
    let mut command = process::command(&through, env!("CARGO_BIN_EXE_vmcon"));
    command
        .arg("--dir")
        .arg(directory)
        .args(arguments)
        .env("TERM", "xterm")
        .env("USER", "ada")
        .env_remove("SUDO_USER")
        .stdin(terminal.slave())
        .stdout(terminal.slave())
        .stderr(terminal.slave());
    command
}

/// `vmcon` with these arguments at `terminal`.
pub(crate) fn vmcon(host: &Host, terminal: &Terminal, arguments: &[&str]) -> Process {
    Process::start(&mut vmcon_through(&[], host.path(), terminal, arguments))
}

/// A session at `terminal`, that has shown `text`.
pub(crate) fn attached(
    host: &Host,
    terminal: &Terminal,
    arguments: &[&str],
    text: &str,
) -> Process {
    let process = vmcon(host, terminal, &[&["attach"], arguments].concat());
    terminal.output().wait_for(text);
    terminal.wait_until_raw();
    process
}

/// A session of somebody called `name`, by force, which lasts as long as this.
pub(crate) fn taker(host: &Host, console: &str, name: &str) -> Process {
    let arguments = ["attach", console, "--force", "--quiet", "--name", name];
    let mut command = host.command(&arguments);
    // An input that does not end.
    Process::start(command.stdin(Stdio::piped()).stdout(Stdio::null()))
}
