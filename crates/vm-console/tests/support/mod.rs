//! A console over real sockets, with a guest that does as it is told.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use vm_console::audit::{AuditEvent, Audited};
use vm_console::protocol::Status;
use vm_console::service::{ConsoleHandle, Service, ServiceHandle};
use vm_console::transport::{Listener, unix::UnixSocket};
use vm_console::{BootLog, Console, ConsoleConfig, ConsoleLine, LogConfig};
use vm_uart::SerialPort;

/// Long enough for the slowest machine; never a measure of anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub type Port = Mutex<SerialPort<(), ConsoleLine>>;

/// One console in a service of its own.
pub struct Rig {
    pub dir: tempfile::TempDir,
    pub service: ServiceHandle,
    pub console: ConsoleHandle,
    pub port: Arc<Port>,
    pub log: BootLog,
    thread: Option<JoinHandle<()>>,
}

impl Rig {
    pub fn new() -> Self {
        Self::with(ConsoleConfig::named("vm"))
    }

    pub fn with(config: ConsoleConfig) -> Self {
        Self::with_log(config, LogConfig::default())
    }

    /// Raw socket at `raw`, one that forces at `force`, observers at `watch`, frames at `control`.
    pub fn with_log(config: ConsoleConfig, sizes: LogConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (service, thread) = Service::spawn().unwrap();
        let (writer, log) = BootLog::in_memory(sizes).unwrap();
        let (line, console) = Console::new(config, writer).unwrap();
        let port = Arc::new(Mutex::new(SerialPort::new((), line)));
        let bind = |name: &str| UnixSocket::bind(dir.path().join(name)).unwrap();
        let listeners = vec![
            Listener::raw(bind("raw")),
            Listener::raw_forcing(bind("force")),
            Listener::observers(bind("watch")),
            Listener::control(bind("control")),
        ];
        let console = service.add(console, port.clone(), listeners);
        // The driver's side: FIFO on, so that input is taken in chunks.
        port.lock().unwrap().write(2, 0x01);
        Self {
            dir,
            service,
            console,
            port,
            log,
            thread: Some(thread),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn connect(&self, name: &str) -> Client {
        Client::new(UnixStream::connect(self.path(name)).unwrap())
    }

    /// Connects and waits until the session is granted.
    pub fn attach(&self, name: &str) -> Client {
        let before = self.console.console().counters().attaches;
        let client = self.connect(name);
        wait_until("the session is granted", || {
            self.console.console().counters().attaches > before
        });
        client
    }

    /// The guest prints.
    pub fn print(&self, bytes: &[u8]) {
        self.port.lock().unwrap().write_string(0, bytes);
    }

    /// The guest reads what its port has.
    pub fn take_input(&self) -> Vec<u8> {
        let mut taken = Vec::new();
        let mut port = self.port.lock().unwrap();
        while port.read(5) & 1 != 0 {
            taken.push(port.read(0));
        }
        taken
    }

    /// The guest reads until it has so many bytes.
    pub fn read_input(&self, count: usize) -> Vec<u8> {
        let mut taken = Vec::new();
        wait_until("the input arrives", || {
            taken.extend(self.take_input());
            taken.len() >= count
        });
        taken
    }

    pub fn status(&self) -> Status {
        self.console.status(PATIENCE).unwrap()
    }

    /// Waits for an audit event that fits, and drops those before it.
    pub fn audited(&self, what: &str, fits: impl Fn(&Audited) -> bool) -> AuditEvent {
        let end = Instant::now() + PATIENCE;
        loop {
            let event = self
                .service
                .audit()
                .recv_deadline(end)
                .unwrap_or_else(|_| panic!("no audit event: {what}"));
            if fits(&event.what) {
                return event;
            }
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.service.shut_down();
        let joined = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            joined.expect("the service ends in order");
            assert!(self.service.is_finished());
        }
    }
}

/// A client of a raw socket.
pub struct Client {
    pub stream: UnixStream,
}

impl Client {
    pub fn new(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Reads until `text` has come, and returns all of it.
    pub fn read_until(&mut self, text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(text.as_bytes()) {
            let mut byte = [0];
            match self.stream.read(&mut byte) {
                Ok(1) => bytes.push(byte[0]),
                other => panic!(
                    "{other:?} after {:?}, wanted {text:?}",
                    String::from_utf8_lossy(&bytes)
                ),
            }
        }
        bytes
    }

    /// Reads until the other side closes.
    pub fn read_to_end(&mut self) -> String {
        let mut bytes = Vec::new();
        match self.stream.read_to_end(&mut bytes) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&bytes)),
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether `program` is there; if not, says so, and fails where the environment wants everything.
pub fn has(program: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()));
    if !found {
        eprintln!("SKIPPED: {program} is not installed");
        assert!(
            std::env::var_os("VM_SERIAL_REQUIRE_ALL").is_none(),
            "{program} is required here"
        );
    }
    found
}

/// Bytes that differ from their neighbours, so that a gap or a repetition shows.
pub fn pattern(from: u64, count: usize) -> Vec<u8> {
    (from..from + count as u64)
        .map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8 & 0x3f | 0x40)
        .collect()
}

/// Memory of this process that is in use, in bytes.
pub fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.split_whitespace()
        .next()
        .unwrap()
        .parse::<usize>()
        .unwrap()
        << 10
}
