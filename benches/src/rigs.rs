//! Our port and console, set up as a VMM sets them up.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use vm_console::service::{ConsoleHandle, Service, ServiceHandle};
use vm_console::session::SessionPolicy;
use vm_console::transport::Listener;
use vm_console::transport::unix::UnixSocket;
use vm_console::{BootLog, Console, ConsoleConfig, ConsoleLine, LogConfig};
use vm_uart::{EdgeLine, SerialPort};

use crate::measure::Skipped;
use crate::peers::Irq;

/// A port whose bytes end in a boot log.
pub type LoggedPort = SerialPort<EdgeLine<Irq>, ConsoleLine>;

fn skipped(error: impl std::fmt::Display) -> Skipped {
    Skipped(error.to_string())
}

/// The line of a console that no service serves.
///
/// # Errors
///
/// If memory or descriptors are exhausted.
pub fn logged_port(config: LogConfig) -> Result<ConsoleLine, Skipped> {
    let (writer, _) = BootLog::in_memory(config).map_err(skipped)?;
    Ok(Console::new(ConsoleConfig::default(), writer)
        .map_err(skipped)?
        .0)
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
    config.notices = false;
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
        let directory = tempfile::tempdir().map_err(skipped)?;
        let (socket, observers) = (
            directory.path().join("console"),
            directory.path().join("observers"),
        );
        // Blocking, so that a guest can wait for its interrupts by reading.
        let irq = Irq(vmm_sys_util::eventfd::EventFd::new(0).map_err(skipped)?);
        let seen = irq.0.try_clone().map_err(skipped)?;
        let (writer, log) = BootLog::in_memory(config).map_err(skipped)?;
        let (line, console) = Console::new(unlimited("bench"), writer).map_err(skipped)?;
        let port = Arc::new(Mutex::new(SerialPort::new(EdgeLine::new(irq), line)));
        let (service, thread) = Service::spawn().map_err(skipped)?;
        let listeners = vec![
            Listener::raw(UnixSocket::bind(&socket).map_err(skipped)?),
            Listener::observers(UnixSocket::bind(&observers).map_err(skipped)?),
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
        UnixStream::connect(&self.socket).map_err(skipped)
    }

    /// A read-only client.
    ///
    /// # Errors
    ///
    /// If it cannot connect.
    pub fn observe(&self) -> Result<UnixStream, Skipped> {
        UnixStream::connect(&self.observers).map_err(skipped)
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
