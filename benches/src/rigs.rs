//! Our port and console, set up as a VMM sets them up.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use vm_console::service::{ConsoleHandle, Service, ServiceHandle};
use vm_console::session::SessionPolicy;
use vm_console::transport::Listener;
use vm_console::transport::unix::UnixSocket;
use vm_console::{BootLog, Console, ConsoleConfig, ConsoleLine, GapPolicy, LogConfig};
use vm_uart::{EdgeLine, SerialPort};

use crate::measure::Skipped;
use crate::peers::Irqfd;

/// A port whose bytes end in a boot log.
pub type LoggedPort = SerialPort<EdgeLine<Irqfd>, ConsoleLine>;

/// Locks as a VMM does: a panic elsewhere leaves a port whole.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

/// One console, served by a thread of its own.
pub struct Served {
    /// The guest's port.
    pub port: Arc<Mutex<LoggedPort>>,
    /// What the guest's interrupts arrive at.
    pub irq: vmm_sys_util::eventfd::EventFd,
    /// Its log.
    pub log: BootLog,
    /// The console in its service.
    pub console: ConsoleHandle,
    socket: PathBuf,
    observers: PathBuf,
    service: ServiceHandle,
    thread: Option<JoinHandle<()>>,
    _directory: tempfile::TempDir,
}

impl Served {
    /// Sets it up with an in-memory log of these sizes.
    ///
    /// # Errors
    ///
    /// If memory or descriptors are exhausted.
    pub fn new(config: LogConfig) -> Result<Self, Skipped> {
        let directory = tempfile::tempdir()?;
        let (socket, observers) = (
            directory.path().join("console"),
            directory.path().join("observers"),
        );
        // Blocking, so that a guest can wait for its interrupts by reading.
        let irq = Irqfd(vmm_sys_util::eventfd::EventFd::new(0)?);
        let seen = irq.0.try_clone()?;
        let (writer, log) = BootLog::in_memory(config)?;
        let (line, console) = Console::new(unlimited("bench"), writer)?;
        let port = Arc::new(Mutex::new(SerialPort::new(EdgeLine::new(irq), line)));
        let (service, thread) = Service::spawn()?;
        let listeners = vec![
            Listener::raw(UnixSocket::bind(&socket)?),
            Listener::observers(UnixSocket::bind(&observers)?),
        ];
        let console = service.add(console, port.clone(), listeners);
        Ok(Self {
            port,
            irq: seen,
            log,
            console,
            socket,
            observers,
            service,
            thread: Some(thread),
            _directory: directory,
        })
    }

    /// A client on the raw socket: the holder.
    ///
    /// # Errors
    ///
    /// If it cannot connect.
    pub fn attach(&self) -> Result<UnixStream, Skipped> {
        Ok(UnixStream::connect(&self.socket)?)
    }

    /// A read-only client.
    ///
    /// # Errors
    ///
    /// If it cannot connect.
    pub fn observe(&self) -> Result<UnixStream, Skipped> {
        Ok(UnixStream::connect(&self.observers)?)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.service.shut_down();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
