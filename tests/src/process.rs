//! A program under test.

use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};

use rustix::process::{Pid, Signal, kill_process};

use crate::patience::wait_for;
use crate::requirement;

/// A process that is killed when this is dropped.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts `command`.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    /// Its id.
    ///
    /// # Panics
    /// Never: a child has one.
    #[must_use]
    pub fn id(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// If it is gone.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        send_signal(&self.0, signal);
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// If it does not end within [`PATIENCE`](crate::patience::PATIENCE).
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        wait_for(
            || self.0.try_wait().unwrap(),
            || "the process does not end".into(),
        )
    }

    /// True while every thread of it is stopped by a signal.
    ///
    /// # Panics
    /// If there is no /proc.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        let status = format!("/proc/{}/status", self.0.id());
        let status = std::fs::read_to_string(status).unwrap();
        status.lines().any(|line| line.starts_with("State:\tT"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already gone in most tests.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends a signal to a child.
///
/// # Panics
/// If it is gone.
#[track_caller]
pub fn send_signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// `program`, started by way of `through`: programs that end in `exec`, as `env` and `setsid` do.
#[must_use]
pub fn command(through: &[&str], program: impl Into<PathBuf>) -> Command {
    let program = program.into();
    match through {
        [] => Command::new(program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    }
}

/// Gives a program the default answer to every signal, whatever the tests run under: `nohup` and
/// shells in the background leave some ignored.
pub const DEFAULT_SIGNALS: &[&str] = &["env", "--default-signal"];

/// An example of this workspace, which Cargo builds beside the tests if it builds all of the
/// workspace.
#[must_use]
pub fn example(test: &str, name: &str) -> Option<PathBuf> {
    let tests = std::env::current_exe().ok()?;
    let program = tests.parent()?.parent()?.join("examples").join(name);
    if program.is_file() {
        return Some(program);
    }
    requirement::skip(test, &format!("the example {name}"));
    None
}
