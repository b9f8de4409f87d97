//! A host as `vmcon` sees it: a directory with the entries of instances, whose consoles this test
//! process serves.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part of it")]

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal};
use vm_console::instance::{Description, Directory, Entry, InstanceId};
use vm_console::service::{ConsoleHandle, Service, ServiceHandle};
use vm_console::transport::Listener;
use vm_console::{BootLog, Console, ConsoleConfig, ConsoleLine, LogConfig, LogWriter};
use vm_serial_tests::process::{DEFAULT_SIGNALS, command};
use vm_uart::SerialPort;

/// How long anything may take on a machine that has much else to do.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A directory of instances, and the service of their consoles.
pub struct Host {
    path: PathBuf,
    /// Removes the directory in the end.
    temporary: Option<tempfile::TempDir>,
    service: ServiceHandle,
    thread: Option<JoinHandle<()>>,
}

/// A published instance.
pub struct Served {
    pub entry: Entry,
    pub log: BootLog,
    pub console: ConsoleHandle,
    port: Arc<Mutex<SerialPort<(), ConsoleLine>>>,
}

/// What `vmcon` has done.
#[derive(Debug, PartialEq, Eq)]
pub struct Done {
    pub stdout: Vec<u8>,
    pub stderr: String,
    /// The exit code; negative: the signal.
    pub code: i32,
}

impl Host {
    pub fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let mut host = Self::at(temporary.path().into());
        host.temporary = Some(temporary);
        host
    }

    /// A host whose directory is there, and stays.
    pub fn at(path: PathBuf) -> Self {
        let (service, thread) = Service::spawn().unwrap();
        Self {
            path,
            temporary: None,
            service,
            thread: Some(thread),
        }
    }

    /// The directory that `--dir` names.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the service does from now on.
    pub fn audit(&self) -> vm_console::crossbeam_channel::Receiver<vm_console::audit::AuditEvent> {
        self.service.audit()
    }

    pub fn directory(&self) -> Directory {
        Directory::new(self.path())
    }

    /// Publishes an instance with a console of the usual kind, with times of lines.
    pub fn console(&self, id: &str) -> Served {
        let config = ConsoleConfig {
            line_times: true,
            ..ConsoleConfig::named(id)
        };
        self.console_of(id, config, LogConfig::default())
    }

    pub fn console_of(&self, id: &str, config: ConsoleConfig, log: LogConfig) -> Served {
        let entry = self.claim(id);
        let (writer, log) = entry.boot_log(log).unwrap();
        self.serve(entry, config, writer, log)
    }

    /// A console of whose 300 bytes the first 10 and the last 100 are left.
    pub fn console_with_a_gap(&self, id: &str) -> Served {
        let sizes = LogConfig {
            tail: 100,
            head: 10,
            boots: 1,
        };
        let served = self.console_of(id, ConsoleConfig::named(id), sizes);
        served.print([b'h'; 10]);
        served.print([b'm'; 290]);
        served
    }

    /// A console whose log is no file.
    pub fn console_in_memory(&self, id: &str) -> Served {
        let (writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
        self.serve(self.claim(id), ConsoleConfig::named(id), writer, log)
    }

    /// An instance whose VMM lives, has a socket, and answers nobody.
    pub fn silent(&self, id: &str) -> (Entry, Listener) {
        let entry = self.claim(id);
        let listener = entry.control_listener().unwrap();
        (entry, listener)
    }

    /// Publishes an instance that has no console yet.
    pub fn claim(&self, id: &str) -> Entry {
        let id: InstanceId = id.parse().unwrap();
        Entry::claim(&self.directory(), &id, Description::default()).unwrap()
    }

    /// Serves the console of an instance, with a log that need not be in its entry.
    pub fn serve(
        &self,
        entry: Entry,
        config: ConsoleConfig,
        writer: LogWriter,
        log: BootLog,
    ) -> Served {
        let (line, console) = Console::new(config, writer).unwrap();
        let port = Arc::new(Mutex::new(SerialPort::new((), line)));
        let listener = entry.control_listener().unwrap();
        let console = self
            .service
            .add(console, port.clone(), vec![listener])
            .unwrap();
        Served {
            entry,
            log,
            console,
            port,
        }
    }

    /// `vmcon` with these arguments, not yet started. Its directory is this host's.
    pub fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = command(DEFAULT_SIGNALS, env!("CARGO_BIN_EXE_vmcon"));
        command
            .arg("--dir")
            .arg(self.path())
            .args(arguments)
            .env_remove("NO_COLOR")
            .env("TERM", "xterm")
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        command
    }

    /// Runs `vmcon` to its end.
    pub fn vmcon<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Done {
        self.start(arguments).wait()
    }

    /// Starts `vmcon`, to read its standard output while it runs.
    pub fn start<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Running {
        let mut command = self.command(arguments);
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Running::new(child.unwrap())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.service.shut_down();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(
                ended.is_ok() || std::thread::panicking(),
                "the service has panicked"
            );
        }
    }
}

impl Served {
    /// The guest prints.
    pub fn print(&self, text: impl AsRef<[u8]>) {
        self.port.lock().unwrap().write_string(0, text.as_ref());
    }

    /// The guest is reset. Its next boot has begun afterwards.
    pub fn reset(&self) {
        let epoch = self.log.epoch();
        self.console.reset();
        until(|| self.log.epoch() > epoch);
    }

    /// What the guest has received, as far as it reads now: at most `most` bytes.
    pub fn input(&self, most: usize) -> Vec<u8> {
        let mut port = self.port.lock().unwrap();
        let mut input = Vec::new();
        // The line status register says whether there is a byte in the receive buffer.
        while input.len() < most && port.read(5) & 1 != 0 {
            input.push(port.read(0));
        }
        input
    }

    /// What the guest reads next, however long it has to wait for it.
    pub fn read_input(&self, count: usize) -> Vec<u8> {
        let deadline = Instant::now() + PATIENCE;
        let mut input = Vec::new();
        while input.len() < count {
            assert!(
                Instant::now() < deadline,
                "only {} of {count} bytes",
                input.len()
            );
            let more = self.input(count - input.len());
            if more.is_empty() {
                std::thread::sleep(Duration::from_millis(1));
            }
            input.extend(more);
        }
        input
    }

    pub fn socket(&self) -> PathBuf {
        self.entry.control_socket()
    }

    pub fn log_path(&self) -> PathBuf {
        self.entry.path().join("boot.log")
    }

    pub fn connect(&self) -> UnixStream {
        UnixStream::connect(self.socket()).unwrap()
    }

    /// Takes the console from the service, as the end of a VMM does. The entry and its log stay.
    pub fn end(self) {
        self.console.remove();
        assert!(self.console.wait_removed(PATIENCE));
    }
}

/// A `vmcon` that runs. It is killed if the test is over before.
pub struct Running {
    child: Option<Child>,
    output: ChildStdout,
    /// What was read beyond the last line.
    pending: Vec<u8>,
    errors: Option<JoinHandle<String>>,
}

impl Running {
    fn new(mut child: Child) -> Self {
        let output = child.stdout.take().unwrap();
        let mut errors = child.stderr.take().unwrap();
        let errors = std::thread::spawn(move || {
            let mut all = Vec::new();
            errors.read_to_end(&mut all).unwrap();
            String::from_utf8_lossy(&all).into_owned()
        });
        Self {
            child: Some(child),
            output,
            pending: Vec::new(),
            errors: Some(errors),
        }
    }

    pub fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// The next line of its standard output, with its end; less if it ends before.
    pub fn line(&mut self) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=at).collect();
                return String::from_utf8_lossy(&line).into_owned();
            }
            if self.read_more(deadline) == 0 {
                let rest = std::mem::take(&mut self.pending);
                return String::from_utf8_lossy(&rest).into_owned();
            }
        }
    }

    /// Reads its standard output until that contains `text`. Returns all that was read.
    pub fn until(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let read = String::from_utf8_lossy(&self.pending).into_owned();
            if read.contains(text) {
                self.pending.clear();
                return read;
            }
            assert!(self.read_more(deadline) > 0, "{text:?} is not in {read:?}");
        }
    }

    fn read_more(&mut self, deadline: Instant) -> usize {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).unwrap();
        let mut fds = [PollFd::new(&self.output, PollFlags::IN)];
        let ready = poll(&mut fds, Some(&left)).unwrap();
        assert!(
            ready > 0,
            "no output came after {:?}",
            String::from_utf8_lossy(&self.pending)
        );
        let mut room = [0; 16 << 10];
        let count = self.output.read(&mut room).unwrap();
        self.pending.extend_from_slice(&room[..count]);
        count
    }

    pub fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().unwrap();
        rustix::process::kill_process(Pid::from_child(child), signal).unwrap();
    }

    /// Closes its standard output, and waits for its end.
    pub fn close_output(mut self) -> Done {
        let mut child = self.child.take().unwrap();
        let errors = self.errors.take().unwrap();
        drop(self);
        let code = wait(&mut child);
        Done {
            stdout: Vec::new(),
            stderr: errors.join().unwrap(),
            code,
        }
    }

    /// What it has done, when it has ended.
    pub fn wait(mut self) -> Done {
        let deadline = Instant::now() + PATIENCE;
        while self.read_more(deadline) > 0 {}
        let stdout = std::mem::take(&mut self.pending);
        let done = self.close_output();
        Done { stdout, ..done }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The exit code; negative: the signal.
fn wait(child: &mut Child) -> i32 {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status
                .code()
                .unwrap_or_else(|| -status.signal().unwrap_or_default());
        }
        if begin.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("vmcon does not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Done {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

/// Waits until something is so.
pub fn until(mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "it does not come to that");
        std::thread::sleep(Duration::from_millis(2));
    }
}
