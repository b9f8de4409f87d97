//! Our port and console, set up as a VMM sets them up.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use vm_console::service::{ConsoleHandle, Service, ServiceHandle};
use vm_console::session::SessionPolicy;
use vm_console::transport::Listener;
use vm_console::transport::unix::UnixSocket;
use vm_console::{BootLog, Console, ConsoleConfig, ConsoleLine, GapPolicy, LogConfig, LogWriter};
use vm_uart::registers::{FCR, IER, Ier, MCR, Mcr};
use vm_uart::{EdgeLine, InterruptLine, Line, SerialPort};
use vmm_sys_util::eventfd::EventFd;

use crate::measure::Skipped;
use crate::peers::Irqfd;

/// A port whose bytes end in a boot log.
pub type LoggedPort<I = EdgeLine<Irqfd>> = SerialPort<I, ConsoleLine>;

/// That port as the guest's threads and the service share it.
pub type SharedPort<I = EdgeLine<Irqfd>> = Arc<Mutex<LoggedPort<I>>>;

/// Locks as a VMM does: a panic elsewhere leaves a port whole.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// FIFO on, and an interrupt for each character.
pub const TRIGGER_1: u8 = 0x01;

/// Sets a port up as a driver does that waits for input, with `fcr` in its FIFO control register.
pub fn open_port<I: InterruptLine, L: Line>(port: &Mutex<SerialPort<I, L>>, fcr: u8) {
    let mut port = lock(port);
    port.write(FCR, fcr);
    port.write(MCR, (Mcr::DTR | Mcr::RTS | Mcr::OUT2).bits());
    port.write(IER, Ier::RECEIVED_DATA.bits());
}

/// The line of a console that no service serves.
///
/// # Errors
///
/// If memory or descriptors are exhausted.
pub fn logged_port(config: LogConfig) -> Result<ConsoleLine, Skipped> {
    let (writer, _) = BootLog::in_memory(config)?;
    Ok(Console::new(ConsoleConfig::default(), writer)?.0)
}

/// A console without limits of time, named `name`.
#[must_use]
pub fn unlimited(name: &str) -> ConsoleConfig {
    let mut config = ConsoleConfig::named(name);
    config.session = SessionPolicy {
        idle_limit: std::time::Duration::ZERO,
        absolute_limit: std::time::Duration::ZERO,
        ..SessionPolicy::default()
    };
    // Nothing but the guest's bytes, so that what a client got can be counted.
    config.notices = false;
    config.gaps = GapPolicy::Silent;
    config
}

/// A service on a thread of its own, with a directory for its sockets. Ends when it is dropped.
pub struct Host {
    service: ServiceHandle,
    thread: Option<JoinHandle<()>>,
    directory: tempfile::TempDir,
}

impl Host {
    /// Starts a service without consoles.
    ///
    /// # Errors
    ///
    /// If memory or descriptors are exhausted.
    pub fn start() -> Result<Self, Skipped> {
        let directory = tempfile::tempdir()?;
        let (service, thread) = Service::spawn()?;
        Ok(Self {
            service,
            thread: Some(thread),
            directory,
        })
    }

    /// Where the socket of this name is.
    #[must_use]
    pub fn path(&self, socket: &str) -> PathBuf {
        self.directory.path().join(socket)
    }

    /// Its service.
    #[must_use]
    pub const fn service(&self) -> &ServiceHandle {
        &self.service
    }

    /// Opens a socket of this name for a listener.
    ///
    /// # Errors
    ///
    /// If it cannot be opened.
    pub fn bind(&self, socket: &str) -> Result<UnixSocket, Skipped> {
        Ok(UnixSocket::bind(self.path(socket))?)
    }

    /// Connects to the socket of this name.
    ///
    /// # Errors
    ///
    /// If it cannot connect.
    pub fn connect(&self, socket: &str) -> Result<UnixStream, Skipped> {
        Ok(UnixStream::connect(self.path(socket))?)
    }

    /// Serves one more console, without limits of time, and gives its guest's port.
    ///
    /// # Errors
    ///
    /// If memory or descriptors are exhausted.
    pub fn serve<I: InterruptLine + Send + 'static>(
        &self,
        interrupt: I,
        log: LogWriter,
        listeners: Vec<Listener>,
    ) -> Result<(ConsoleHandle, SharedPort<I>), Skipped> {
        self.serve_as(unlimited("bench"), interrupt, log, listeners)
    }

    /// As [`serve`](Self::serve), by other rules.
    ///
    /// # Errors
    ///
    /// If memory or descriptors are exhausted.
    pub fn serve_as<I: InterruptLine + Send + 'static>(
        &self,
        config: ConsoleConfig,
        interrupt: I,
        log: LogWriter,
        listeners: Vec<Listener>,
    ) -> Result<(ConsoleHandle, SharedPort<I>), Skipped> {
        let (line, console) = Console::new(config, log)?;
        let port = Arc::new(Mutex::new(SerialPort::new(interrupt, line)));
        let console = self.service.add(console, port.clone(), listeners)?;
        Ok((console, port))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.service.shut_down();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One console whose guest waits for interrupts, on a host of its own.
///
/// Its parts are reached through methods: a `move` closure that used a field would take that field
/// alone, and the host would end with the function that made it.
pub struct Served {
    port: SharedPort,
    irq: EventFd,
    log: BootLog,
    host: Host,
}

impl Served {
    const HOLDER: &str = "console";
    const OBSERVERS: &str = "observers";

    /// Sets it up with an in-memory log of these sizes.
    ///
    /// # Errors
    ///
    /// If memory or descriptors are exhausted.
    pub fn new(config: LogConfig) -> Result<Self, Skipped> {
        let host = Host::start()?;
        // Blocking, so that a guest can wait for its interrupts by reading.
        let irq = Irqfd(EventFd::new(0)?);
        let seen = irq.0.try_clone()?;
        let (writer, log) = BootLog::in_memory(config)?;
        let listeners = vec![
            Listener::raw(host.bind(Self::HOLDER)?),
            Listener::observers(host.bind(Self::OBSERVERS)?),
        ];
        let (_, port) = host.serve(EdgeLine::new(irq), writer, listeners)?;
        Ok(Self {
            port,
            irq: seen,
            log,
            host,
        })
    }

    /// The guest's port.
    #[must_use]
    pub fn port(&self) -> &Mutex<LoggedPort> {
        &self.port
    }

    /// The eventfd at which the guest's interrupts arrive.
    #[must_use]
    pub const fn irq(&self) -> &EventFd {
        &self.irq
    }

    /// The console's log.
    #[must_use]
    pub const fn log(&self) -> &BootLog {
        &self.log
    }

    /// A client on the raw socket: the holder.
    ///
    /// # Errors
    ///
    /// If it cannot connect.
    pub fn attach(&self) -> Result<UnixStream, Skipped> {
        self.host.connect(Self::HOLDER)
    }

    /// A read-only client.
    ///
    /// # Errors
    ///
    /// If it cannot connect.
    pub fn observe(&self) -> Result<UnixStream, Skipped> {
        self.host.connect(Self::OBSERVERS)
    }
}
