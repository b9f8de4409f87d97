//! A running example VMM, and clients of its console.

use std::io::{PipeReader, PipeWriter, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::output::{Output, Tap};
use crate::patience::wait_for;
use crate::process::{self, DEFAULT_SIGNALS, Process};
use crate::requirement;
use crate::terminal::Terminal;

/// Which guest the VMM runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The real-mode guest, in KVM.
    Kvm,
    /// The scripted guest, as on a host without KVM.
    Scripted,
}

/// The modes in which `test` can run on this host. Without KVM, that half is skipped and said so.
#[must_use]
pub fn modes(test: &str) -> Vec<Mode> {
    let mut modes = vec![Mode::Scripted];
    if requirement::has_kvm() {
        modes.push(Mode::Kvm);
    } else {
        requirement::skip(test, "/dev/kvm");
    }
    modes
}

/// A VMM process with a directory of its own; killed when dropped.
#[derive(Debug)]
pub struct Vmm {
    process: Process,
    directory: TempDir,
    messages: Output,
    stderr: Option<Tap>,
}

impl Vmm {
    /// Starts `program` (the example VMM) with nobody at its console.
    ///
    /// # Panics
    /// If the process cannot be started.
    #[must_use]
    pub fn start(program: &str, mode: Mode, arguments: &[&str]) -> Self {
        Self::start_through(DEFAULT_SIGNALS, program, mode, arguments)
    }

    /// Starts it likewise, by way of [other programs](process::command).
    ///
    /// # Panics
    /// If the process cannot be started.
    #[must_use]
    pub fn start_through(through: &[&str], program: &str, mode: Mode, arguments: &[&str]) -> Self {
        Self::spawn(through, program, mode, arguments, |command| {
            command
                .arg("--detached")
                .stdin(Stdio::null())
                .stdout(Stdio::null());
            None
        })
        .once_ready()
    }

    /// Starts it with standard input and output at `terminal`.
    ///
    /// # Panics
    /// If the process cannot be started.
    #[must_use]
    pub fn start_at(terminal: &Terminal, program: &str, mode: Mode, arguments: &[&str]) -> Self {
        Self::spawn(DEFAULT_SIGNALS, program, mode, arguments, |command| {
            command.stdin(terminal.slave()).stdout(terminal.slave());
            None
        })
        .once_ready()
    }

    /// Starts it with standard error at `terminal` too, as a shell does, by way of [other
    /// programs](process::command).
    ///
    /// # Panics
    /// If the process cannot be started.
    #[must_use]
    pub fn start_wholly_at(
        terminal: &Terminal,
        through: &[&str],
        program: &str,
        mode: Mode,
        arguments: &[&str],
    ) -> Self {
        Self::spawn(through, program, mode, arguments, |command| {
            command
                .stdin(terminal.slave())
                .stdout(terminal.slave())
                .stderr(terminal.slave());
            Some(terminal.output().clone())
        })
        .once_ready()
    }

    /// Starts it with standard input and output at `terminal`, and with a standard error that is
    /// full and that nobody reads. Gives the reader that does not read, to be held.
    ///
    /// # Panics
    /// If the process cannot be started.
    #[must_use]
    pub fn start_unread(terminal: &Terminal, program: &str, mode: Mode) -> (Self, PipeReader) {
        let (reader, writer) = std::io::pipe().unwrap();
        fill(&writer);
        let vmm = Self::spawn(DEFAULT_SIGNALS, program, mode, &[], |command| {
            command
                .stdin(terminal.slave())
                .stdout(terminal.slave())
                .stderr(writer);
            Some(terminal.output().clone())
        });
        (vmm, reader)
    }

    /// Starts it with `keys` in a pipe as its standard input, which ends after them.
    ///
    /// # Panics
    /// If the process cannot be started, or the pipe does not take the keys at once.
    #[must_use]
    pub fn start_with_keys(program: &str, mode: Mode, arguments: &[&str], keys: &[u8]) -> Self {
        let (input, mut typing) = std::io::pipe().unwrap();
        typing.write_all(keys).unwrap();
        drop(typing);
        Self::spawn(DEFAULT_SIGNALS, program, mode, arguments, |command| {
            command.stdin(input).stdout(Stdio::null());
            None
        })
        .once_ready()
    }

    /// `streams` sets standard input and output, and standard error if it says where that can be
    /// read.
    fn spawn(
        through: &[&str],
        program: &str,
        mode: Mode,
        arguments: &[&str],
        streams: impl FnOnce(&mut Command) -> Option<Output>,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = process::command(through, program);
        command
            .arg("--socket")
            .arg(directory.path().join("console"))
            .args(arguments)
            .env_remove("VM_SERIAL_NO_KVM");
        if mode == Mode::Scripted {
            command.arg("--no-kvm");
        }
        let (messages, stderr) = if let Some(elsewhere) = streams(&mut command) {
            (elsewhere, None)
        } else {
            let (reader, writer) = std::io::pipe().unwrap();
            command.stderr(writer);
            let (messages, tap) = Output::collect_until_closed(reader);
            (messages, Some(tap))
        };
        let process = Process::start(&mut command);
        drop(command); // and with it our copies of the program's descriptors
        Self {
            process,
            directory,
            messages,
            stderr,
        }
    }

    /// Once it has said so, its console is served and it answers signals.
    fn once_ready(self) -> Self {
        self.messages.wait_for("vmm: console: ");
        self
    }

    /// Nobody reads its standard error any more.
    pub fn close_stderr(&mut self) {
        self.stderr = None;
        self.messages.wait_for_end();
    }

    /// The process.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The console's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("console")
    }

    /// The directory that holds it, and whatever else the test wants there.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What the VMM says on standard error.
    #[must_use]
    pub fn messages(&self) -> &Output {
        &self.messages
    }

    /// Connects to the console.
    ///
    /// # Panics
    /// If nobody listens there.
    #[must_use]
    #[track_caller]
    pub fn attach(&self) -> Client {
        Client::new(UnixStream::connect(self.socket()).unwrap())
    }

    /// Connects again and again until the console is free, as an operator does.
    ///
    /// # Panics
    /// If it never is.
    #[must_use]
    #[track_caller]
    pub fn attach_when_free(&self) -> Client {
        let attach = || {
            let client = self.attach();
            let first = client.output.first_bytes();
            (!String::from_utf8_lossy(&first).contains("in use by")).then_some(client)
        };
        wait_for(attach, || "the console never gets free".into())
    }

    /// Checks that the machine runs, and that its console serves the next client.
    ///
    /// # Panics
    /// If not.
    #[track_caller]
    pub fn serves_the_next(&self) {
        let next = self.attach_when_free();
        next.send("# next\r");
        next.output().wait_for("# next\r\n> ");
    }

    /// Sends a signal to the VMM.
    ///
    /// # Panics
    /// If it is gone.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits until the guest has sent `bytes`, whoever reads them; gives the log's accounting then.
    ///
    /// # Panics
    /// If it does not send so many.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "most callers only want to wait")]
    pub fn wait_until_written(&self, bytes: usize) -> Accounting {
        let mut told = self.messages.text().matches(" overwritten\n").count();
        let ask = || {
            self.signal(Signal::USR1);
            told += 1;
            let messages = self.messages.wait_for_nth(" overwritten\n", told);
            let log = Accounting::last_in(&String::from_utf8_lossy(&messages));
            (log.written >= bytes as u64).then_some(log)
        };
        wait_for(ask, || {
            format!("the guest waits for its client: {}", self.messages.text())
        })
    }

    /// Waits until the VMM has ended, and gives its status and all it said on standard error.
    ///
    /// # Panics
    /// If it does not end within [`PATIENCE`](crate::patience::PATIENCE).
    #[track_caller]
    pub fn wait(&mut self) -> (ExitStatus, String) {
        let status = self.process.wait();
        if self.stderr.is_some() {
            self.messages.wait_for_end();
        }
        (status, self.messages.text())
    }
}

/// Writes until nothing more fits.
fn fill(pipe: &PipeWriter) {
    let flags = fcntl_getfl(pipe).unwrap();
    fcntl_setfl(pipe, flags | OFlags::NONBLOCK).unwrap();
    while (&mut &*pipe).write(&[b'.'; 4096]).is_ok() {}
    while (&mut &*pipe).write(b".").is_ok() {}
    fcntl_setfl(pipe, flags).unwrap();
}

/// A client of the raw socket.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    output: Output,
}

impl Client {
    fn new(stream: UnixStream) -> Self {
        let output = Output::collect(stream.try_clone().unwrap());
        Self { stream, output }
    }

    /// What the console has sent.
    #[must_use]
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// Types; nothing if the console has closed the connection.
    pub fn send(&self, keys: &str) {
        let _ = (&self.stream).write_all(keys.as_bytes());
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // The collecting thread has a duplicate of the descriptor, so closing ours alone would not
        // hang up.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

/// The log's accounting as the VMM prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accounting {
    /// Bytes that the guest sent.
    pub written: u64,
    /// Of these, how many the log still holds.
    pub kept: u64,
    /// And how many newer ones have overwritten.
    pub overwritten: u64,
}

impl Accounting {
    /// Finds the last one in `messages`.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    #[track_caller]
    pub fn last_in(messages: &str) -> Self {
        let line = messages
            .lines()
            .rfind(|line| line.contains("bytes written ="))
            .unwrap_or_else(|| panic!("no accounting in {messages:?}"));
        let mut numbers = line
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|number| number.parse().ok());
        let mut next = || {
            numbers
                .next()
                .unwrap_or_else(|| panic!("three numbers, not {line:?}"))
        };
        Self {
            written: next(),
            kept: next(),
            overwritten: next(),
        }
    }
}
