//! A console over real sockets, with a guest that the test controls.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

pub mod clinging;
pub mod control;
pub mod flood;
pub mod frames;
pub mod gate;
#[path = "../numbered/mod.rs"]
mod numbered;
pub mod own_loop;
pub mod service_thread;
// The tests of the simulated service, which are published with it, have the same.
#[path = "../../src/service/simulation/watchdog.rs"]
pub mod watchdog;

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use vm_console::audit::{AuditEvent, Audited};
use vm_console::client::ControlClient;
use vm_console::protocol::Status;
use vm_console::service::{ConsoleHandle, Service, ServiceHandle};
use vm_console::transport::{Listener, unix::UnixSocket};
use vm_console::{BootLog, Console, ConsoleConfig, ConsoleLine, CounterValues, LogConfig};
use vm_uart::SerialPort;
use vm_uart::registers::{FCR, Fcr, LSR, Lsr, RBR, THR};

use self::watchdog::Watchdog;

/// The longest wait for anything, long enough for the slowest machine. No test measures by it.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub type Port = Mutex<SerialPort<(), ConsoleLine>>;

/// The longest wait for the answer of a service that is not stopped. Faults stop it for longer.
pub const PROMPT: Duration = Duration::from_secs(10);

/// One console in a service of its own.
pub struct Rig {
    pub dir: tempfile::TempDir,
    pub service: ServiceHandle,
    pub console: ConsoleHandle,
    pub port: Arc<Port>,
    pub log: BootLog,
    /// The service's thread, if this rig has started it.
    thread: Option<JoinHandle<()>>,
    watchdog: Watchdog,
}

impl Rig {
    pub fn new() -> Self {
        Self::with(ConsoleConfig::named("vm"))
    }

    pub fn with(config: ConsoleConfig) -> Self {
        Self::with_log(config, LogConfig::default())
    }

    /// A console with four listeners: `raw`, `force` (raw by force), `watch` (observers) and
    /// `control`.
    pub fn with_log(config: ConsoleConfig, sizes: LogConfig) -> Self {
        let (service, thread) = Service::spawn().unwrap();
        let mut rig = Self::in_service(service, config, sizes);
        rig.thread = Some(thread);
        rig
    }

    /// Gives a test that is known to take long the time for it.
    pub fn for_long(mut self) -> Self {
        self.watchdog = Watchdog::long();
        self
    }

    /// Another console in the same service.
    pub fn beside(&self, config: ConsoleConfig) -> Self {
        Self::in_service(self.service.clone(), config, LogConfig::default())
    }

    /// A console in a service that this rig does not end.
    pub fn in_service(service: ServiceHandle, config: ConsoleConfig, sizes: LogConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
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
        let console = service.add(console, port.clone(), listeners).unwrap();
        // A driver turns the FIFO on, so input is taken in chunks.
        port.lock().unwrap().write(FCR, Fcr::ENABLE.bits());
        Self {
            dir,
            service,
            console,
            port,
            log,
            thread: None,
            watchdog: Watchdog::new(),
        }
    }

    /// Takes the service's thread out, for a test that joins it.
    pub fn take_thread(&mut self) -> JoinHandle<()> {
        self.thread.take().expect("this rig has made the service")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn connect(&self, name: &str) -> Client {
        Client::new(UnixStream::connect(self.path(name)).unwrap())
    }

    /// Connects and waits until the session is granted.
    pub fn attach(&self, name: &str) -> Client {
        let before = self.counters().attaches;
        let client = self.connect(name);
        wait_until("the session is granted", || {
            self.counters().attaches > before
        });
        client
    }

    /// Lets the guest print.
    pub fn print(&self, bytes: &[u8]) {
        self.port.lock().unwrap().write_string(THR, bytes);
    }

    /// Lets the guest read the input that its port has.
    pub fn take_input(&self) -> Vec<u8> {
        let mut taken = Vec::new();
        let mut port = self.port.lock().unwrap();
        while port.read(LSR) & Lsr::DATA_READY.bits() != 0 {
            taken.push(port.read(RBR));
        }
        taken
    }

    /// Lets the guest read until it has `count` bytes.
    pub fn read_input(&self, count: usize) -> Vec<u8> {
        let mut taken = Vec::new();
        wait_until("the input arrives", || {
            taken.extend(self.take_input());
            taken.len() >= count
        });
        taken
    }

    /// A client of the control socket, greeted by the service.
    pub fn control(&self) -> ControlClient {
        control_client(&self.path("control"))
    }

    /// A connection to the control socket on which nothing was sent.
    pub fn control_stream(&self) -> UnixStream {
        patient(UnixStream::connect(self.path("control")).unwrap())
    }

    pub fn status(&self) -> Status {
        self.console.status(PATIENCE).unwrap()
    }

    /// The status, which a service has to give promptly even if it is busy with other clients.
    pub fn prompt_status(&self) -> Status {
        self.console
            .status(PROMPT)
            .expect("the service still answers")
    }

    /// Checks that the guest's output reaches the client, and the client's input the guest.
    pub fn carries(&self, client: &mut Client<impl Read + Write>, text: &str) {
        self.print(text.as_bytes());
        client.read_until(text);
        client.send(text.as_bytes());
        let input = self.read_input(text.len());
        assert!(input.ends_with(text.as_bytes()), "{}", input.escape_ascii());
    }

    pub fn counters(&self) -> CounterValues {
        self.console.console().counters()
    }

    /// Whether the transmitter is empty, as a driver asks before it writes.
    pub fn may_send(&self) -> bool {
        self.port.lock().unwrap().read(LSR) & Lsr::THR_EMPTY.bits() != 0
    }

    pub fn wait_until_held(&self) {
        wait_until("the session is granted", || self.status().holder.is_some());
    }

    pub fn wait_until_free(&self) {
        wait_until("the console is free", || self.status().holder.is_none());
    }

    /// Prints, and has the service look, until the client's socket is full and more output waits.
    pub fn fill_socket(&self) {
        wait_until("the client's socket is full", || {
            self.print(&pattern(0, 4096));
            self.status();
            self.log.head() > self.counters().output_delivered + 100_000
        });
    }

    /// Waits for an audit event that matches, and drops those before it.
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
        let Some(thread) = self.thread.take() else {
            return self.console.remove();
        };
        self.service.shut_down();
        if std::thread::panicking() {
            // The test has failed already, and perhaps because the thread never ends.
            return;
        }
        join("the service ends", thread)
            .expect("it ends in time")
            .expect("the service ends in order");
        assert!(self.service.is_finished());
    }
}

/// A log that keeps the newest bytes and no beginning of a boot.
pub fn newest_only(bytes: u64) -> LogConfig {
    LogConfig {
        tail: bytes,
        head: 0,
        ..LogConfig::default()
    }
}

/// A client of a raw socket, unix or TCP.
pub struct Client<S = UnixStream> {
    pub stream: S,
}

impl Client {
    pub fn new(stream: UnixStream) -> Self {
        Self {
            stream: patient(stream),
        }
    }
}

impl Client<TcpStream> {
    pub fn tcp(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream }
    }
}

impl<S: Read + Write> Client<S> {
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

/// A TCP port of this host that is taken, and on which nobody listens yet.
pub fn silent_port() -> (OwnedFd, SocketAddr) {
    use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};
    let taken = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&taken, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = getsockname(&taken).unwrap().try_into().unwrap();
    (taken, address)
}

/// Sets time limits, so that no read or write can hang a test.
fn patient(stream: UnixStream) -> UnixStream {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Opens a terminal, or a symlink to one, without making it the controlling terminal.
pub fn open_terminal(path: &Path) -> File {
    let flags = rustix::fs::OFlags::NOCTTY.bits().cast_signed();
    let mut options = File::options();
    options.read(true).write(true).custom_flags(flags);
    options.open(path).unwrap()
}

/// A client of the control socket at `path`, greeted by the service.
pub fn control_client(path: &Path) -> ControlClient {
    ControlClient::from_stream(patient(UnixStream::connect(path).unwrap())).unwrap()
}

pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Joins a thread that should end. `None` if it does not end in time.
pub fn join<T>(what: &str, thread: JoinHandle<T>) -> Option<std::thread::Result<T>> {
    let end = Instant::now() + PATIENCE;
    while !thread.is_finished() {
        if Instant::now() > end {
            eprintln!("waited in vain until {what}");
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Some(thread.join())
}

/// An example of this crate, which cargo has built beside the test.
pub fn example(name: &str) -> Option<PathBuf> {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent()?.parent()?.join("examples").join(name);
    if program.is_file() {
        return Some(program);
    }
    skip(&format!("{} is not built", program.display()));
    None
}

/// Prints that a part is skipped, and why. Fails if the environment requires all parts.
pub fn skip(what: &str) {
    // The harness would hide the output of the print macros.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}");
    assert!(
        std::env::var_os("VM_SERIAL_REQUIRE_ALL").is_none(),
        "{what}, and VM_SERIAL_REQUIRE_ALL is set"
    );
}

/// Whether `program` is installed. If not, prints that a part is skipped.
pub fn has(program: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()));
    if !found {
        skip(&format!("{program} is not installed"));
    }
    found
}

/// The letter that a guest prints at an offset. So each received byte can be checked by its offset.
pub fn letter_at(offset: u64) -> u8 {
    numbered::byte_at(offset) & 0x3f | 0x40
}

/// `count` letters from an offset on.
pub fn pattern(from: u64, count: usize) -> Vec<u8> {
    (from..from + count as u64).map(letter_at).collect()
}

/// Counts the bytes that a raw client has received, without the notes of lost output, and the bytes
/// that those notes say are lost.
pub fn received_and_lost(seen: &[u8]) -> (usize, usize) {
    let text = std::str::from_utf8(seen).unwrap();
    let (mut received, mut lost, mut rest) = (0, 0, text);
    while let Some(at) = rest.find("\r\n[") {
        let (number, tail) = rest[at + 3..]
            .split_once(" bytes of output lost]\r\n")
            .unwrap();
        received += at;
        lost += number.parse::<usize>().unwrap();
        rest = tail;
    }
    (received + rest.len(), lost)
}

/// The resident memory of this process, in bytes.
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
