//! A running example VMM, and clients of its console.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::patience::{PATIENCE, wait_for};
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

/// What a program writes, collected by a thread so that the program never waits for the test.
#[derive(Clone, Debug)]
pub struct Output(Arc<(Mutex<Collected>, Condvar)>);

#[derive(Debug, Default)]
struct Collected {
    bytes: Vec<u8>,
    ended: bool,
}

#[expect(clippy::must_use_candidate, reason = "most callers only want to wait")]
impl Output {
    /// Collects what `source` gives until its end.
    #[must_use]
    pub fn collect(mut source: impl Read + Send + 'static) -> Self {
        let output = Self(Arc::default());
        let to = output.clone();
        thread::spawn(move || {
            let mut chunk = vec![0; 65536];
            loop {
                let count = source.read(&mut chunk).unwrap_or(0); // a pty ends with an error
                to.update(|collected| {
                    collected.bytes.extend(&chunk[..count]);
                    collected.ended = count == 0;
                });
                if count == 0 {
                    return;
                }
            }
        });
        output
    }

    fn update(&self, change: impl FnOnce(&mut Collected)) {
        let (collected, changed) = &*self.0;
        change(&mut collected.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_all();
    }

    /// All of it so far.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.0
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .bytes
            .clone()
    }

    /// All of it so far, as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// Waits until `text` has come, and gives all that came up to its end.
    ///
    /// # Panics
    /// If the source ends, or [`PATIENCE`] does, without it.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> Vec<u8> {
        self.wait_for_nth(text, 1)
    }

    /// Waits until `text` has come `count` times, and gives all that came up to the end of the
    /// last.
    ///
    /// # Panics
    /// If the source ends, or [`PATIENCE`] does, without that.
    #[track_caller]
    pub fn wait_for_nth(&self, text: &str, count: usize) -> Vec<u8> {
        let deadline = Instant::now() + PATIENCE;
        let (collected, changed) = &*self.0;
        let mut collected = collected.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut seen, mut found) = (0, 0);
        loop {
            while let Some(at) = find(&collected.bytes[seen..], text.as_bytes()) {
                seen += at + text.len();
                found += 1;
                if found == count {
                    return collected.bytes[..seen].to_vec();
                }
            }
            // What cannot be the beginning of a match any more is not looked at again.
            seen = seen.max(collected.bytes.len().saturating_sub(text.len() - 1));
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !collected.ended && !left.is_zero(),
                "no {text:?} ({count} times) in: …{}",
                String::from_utf8_lossy(
                    &collected.bytes[collected.bytes.len().saturating_sub(2000)..]
                )
            );
            collected = changed
                .wait_timeout(collected, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Waits until the source has ended, and gives all of it.
    ///
    /// # Panics
    /// If it does not end within [`PATIENCE`].
    #[track_caller]
    pub fn wait_for_end(&self) -> Vec<u8> {
        let (collected, changed) = &*self.0;
        let guard = collected.lock().unwrap_or_else(PoisonError::into_inner);
        let (collected, waited) = changed
            .wait_timeout_while(guard, PATIENCE, |c| !c.ended)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!waited.timed_out(), "the output does not end");
        collected.bytes.clone()
    }
}

fn find(all: &[u8], part: &[u8]) -> Option<usize> {
    all.windows(part.len()).position(|window| window == part)
}

/// A VMM process with a directory of its own; killed when dropped.
#[derive(Debug)]
pub struct Vmm {
    child: Child,
    directory: TempDir,
    messages: Output,
}

impl Vmm {
    /// Starts `program` (the example VMM) with nobody at its console.
    ///
    /// # Panics
    /// If the process cannot be started.
    #[must_use]
    pub fn start(program: &str, mode: Mode, arguments: &[&str]) -> Self {
        Self::spawn(program, mode, arguments, |command| {
            command
                .arg("--detached")
                .stdin(Stdio::null())
                .stdout(Stdio::null());
        })
    }

    /// Starts it with standard input and output at `terminal`.
    ///
    /// # Panics
    /// If the process cannot be started.
    #[must_use]
    pub fn start_at(terminal: &Terminal, program: &str, mode: Mode, arguments: &[&str]) -> Self {
        Self::spawn(program, mode, arguments, |command| {
            command.stdin(terminal.slave()).stdout(terminal.slave());
        })
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
        Self::spawn(program, mode, arguments, |command| {
            command.stdin(input).stdout(Stdio::null());
        })
    }

    fn spawn(
        program: &str,
        mode: Mode,
        arguments: &[&str],
        streams: impl FnOnce(&mut Command),
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        command
            .arg("--socket")
            .arg(directory.path().join("console"))
            .args(arguments)
            .env_remove("VM_SERIAL_NO_KVM")
            .stderr(Stdio::piped());
        if mode == Mode::Scripted {
            command.arg("--no-kvm");
        }
        streams(&mut command);
        let mut child = command.spawn().unwrap();
        let messages = Output::collect(child.stderr.take().unwrap());
        messages.wait_for("vmm: console: ");
        Self {
            child,
            directory,
            messages,
        }
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
            let first = client.first_bytes();
            (!String::from_utf8_lossy(&first).contains("in use by")).then_some(client)
        };
        wait_for(attach, || "the console never gets free".into())
    }

    /// Sends a signal to the VMM.
    ///
    /// # Panics
    /// If it is gone.
    pub fn signal(&self, signal: Signal) {
        send_signal(&self.child, signal);
    }

    /// Waits until the VMM has ended, and gives its status and all it said on standard error.
    ///
    /// # Panics
    /// If it does not end within [`PATIENCE`].
    #[track_caller]
    pub fn wait(&mut self) -> (ExitStatus, String) {
        let status = wait_for(
            || self.child.try_wait().unwrap(),
            || format!("the VMM does not end: {}", self.messages.text()),
        );
        self.messages.wait_for_end();
        (status, self.messages.text())
    }
}

impl Drop for Vmm {
    fn drop(&mut self) {
        // Already gone in most tests.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a child.
///
/// # Panics
/// If it is gone.
pub fn send_signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
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

    /// The first bytes that come; empty if the console closes the connection before any.
    #[must_use]
    pub fn first_bytes(&self) -> Vec<u8> {
        let (collected, changed) = &*self.output.0;
        let guard = collected.lock().unwrap_or_else(PoisonError::into_inner);
        let (collected, _) = changed
            .wait_timeout_while(guard, PATIENCE, |c| !c.ended && c.bytes.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        collected.bytes.clone()
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
