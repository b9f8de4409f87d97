//! `vmcon` at a terminal of which all of the screen is looked at.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part of it")]

use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use rustix::process::Signal;
use rustix::termios::{Winsize, tcsetwinsize};
use vm_serial_tests::patience::wait_for;
use vm_serial_tests::process::{self, DEFAULT_SIGNALS, Process};
use vm_serial_tests::terminal::Terminal;

use crate::host::Host;

/// A running `vmcon`, and the screen of its terminal.
pub struct Watcher<'a> {
    terminal: &'a vm_serial_tests::output::Output,
    slave: OwnedFd,
    process: Process,
    screen: vt100::Parser,
    /// How much of the output is on the screen.
    shown: usize,
}

impl<'a> Watcher<'a> {
    /// Starts it at a terminal of 80 columns and 24 rows.
    pub fn at(terminal: &'a Terminal, host: &Host, arguments: &[&str]) -> Self {
        let slave = terminal.slave();
        set_size(&slave, 80, 24);
        let mut command: Command = process::command(DEFAULT_SIGNALS, env!("CARGO_BIN_EXE_vmcon"));
        command
            .arg("--dir")
            .arg(host.path())
            .args(arguments)
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(terminal.slave())
            .stdout(terminal.slave())
            .stderr(terminal.slave());
        Self {
            terminal: terminal.output(),
            slave,
            process: Process::start(&mut command),
            screen: vt100::Parser::new(cells(24), cells(80), 0),
            shown: terminal.output().bytes().len(),
        }
    }

    /// Waits until `text` is on the screen, and gives all that is.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        self.wait_until(text, |shown| shown.contains(text))
    }

    /// Waits until the screen is as wanted, and gives it.
    #[track_caller]
    pub fn wait_until(&mut self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        wait_for(
            || {
                self.look();
                let shown = self.screen.screen().contents();
                std::thread::sleep(Duration::from_millis(10));
                is_so(&shown).then_some(shown)
            },
            || format!("{what:?} does not appear"),
        )
    }

    fn look(&mut self) {
        let output = self.terminal.bytes();
        self.screen.process(&output[self.shown..]);
        self.shown = output.len();
    }

    /// As whoever draws at the window's edge.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.look();
        set_size(&self.slave, columns, rows);
        self.screen
            .screen_mut()
            .set_size(cells(rows), cells(columns));
        // The kernel sends it to the foreground job of a controlling terminal, which this is not.
        self.process.signal(Signal::WINCH);
    }

    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Looks at the terminal no more.
    pub fn into_process(self) -> Process {
        self.process
    }

    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// How many bytes it has written.
    pub fn written(&self) -> usize {
        self.terminal.bytes().len()
    }

    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        self.process.wait()
    }
}

fn set_size(terminal: &OwnedFd, columns: u16, rows: u16) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).unwrap();
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).expect("a terminal has a size")
}
