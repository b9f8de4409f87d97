//! `vmcon attach` in a process of its own, which has the terminal meanwhile.

use std::io;
use std::process::Command;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, waitpid};
use vm_console::instance::{Directory, InstanceId};

use crate::job::stop_until_in_foreground;

/// A running `vmcon attach`.
#[derive(Debug)]
pub(super) struct Attached {
    pid: Pid,
}

impl Attached {
    pub(super) fn start(directory: &Directory, id: &InstanceId) -> io::Result<Self> {
        let child = Command::new(std::env::current_exe()?)
            .arg("--dir")
            .arg(directory.path())
            .arg("attach")
            .arg(id.as_str())
            .spawn()?;
        let pid = Pid::from_child(&child);
        Ok(Self { pid })
    }

    /// How it has ended: its exit code, or as a shell counts it, 128 and the signal. `None` if it
    /// goes on.
    ///
    /// If it stops, so does this program: they are one job to the shell.
    pub(super) fn look(&self) -> io::Result<Option<i32>> {
        let options = WaitOptions::NOHANG | WaitOptions::UNTRACED;
        let Some((_, status)) = waitpid(Some(self.pid), options)? else {
            return Ok(None);
        };
        if status.stopped() {
            stop_until_in_foreground();
            self.pass_on(Signal::CONT);
            return Ok(None);
        }
        Ok(Some(code(status)))
    }

    /// Sends it a signal.
    pub(super) fn pass_on(&self, signal: Signal) {
        // It has ended if this fails.
        let _ = kill_process(self.pid, signal);
    }
}

fn code(status: WaitStatus) -> i32 {
    let killed = status.terminating_signal().map(|signal| 128 + signal);
    status.exit_status().or(killed).unwrap_or(1)
}
