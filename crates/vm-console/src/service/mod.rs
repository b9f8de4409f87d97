//! One thread that serves many consoles.
//!
//! [`Service`] owns the sockets, the clients' places in the logs, and one timer for all consoles.
//! While nothing happens it does nothing. There are three ways to host it:
//!
//! | the owner has | use |
//! |---|---|
//! | no event loop | [`Service::spawn`]: a thread of its own |
//! | an [`event_manager`] | [`Service::new`]: it is a subscriber |
//! | an event loop of another kind | [`Service::polled`]: one descriptor to watch |
//!
//! Output after a silence is sent at once. While output flows, the next of it waits for up to 4 ms, so
//! that a byte costs no wakeup; less than 4 KiB of it waits for up to 32 ms, unless somebody has
//! typed in the last 100 ms or the log keeps less than 256 KiB.
//!
//! All consoles are served on that one thread. Four kinds of small threads do what could block it:
//!
//! - `vm-console-log` writes warnings to the `log` crate. Each service starts it with its first
//!   warning, and it ends with the service.
//! - `vm-console-close` closes descriptors that clients have passed, and adopted listeners, since
//!   closing them may wait. There are at most 4 for each user that descriptors came from, and each
//!   ends when nothing is left to close.
//! - `vm-console-recv` receives from a unix socket that a client has passed or the owner has
//!   [attached](crate::transport::stdio::FdClient::from_socket), since other owners of it can make
//!   that wait. There is one for each such session, and it ends with it.
//! - `vm-console-text` writes a [text log](crate::text_log). There is one for each, and it ends once
//!   the service has let go of the console and what is left is written.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use vm_console::service::Service;
//! use vm_console::transport::{Listener, unix::UnixSocket};
//! use vm_console::{BootLog, Console, ConsoleConfig, LogConfig};
//! use vm_uart::SerialPort;
//!
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("vm.sock");
//! // One for the process ...
//! let (service, thread) = Service::spawn()?;
//!
//! // ... and for each guest: a log, a console on it, a port that ends in the console's line.
//! let (writer, log) = BootLog::in_memory(LogConfig::default())?;
//! let (line, console) = Console::new(ConsoleConfig::named("vm-7"), writer)?;
//! let port = Arc::new(Mutex::new(SerialPort::new((), line)));
//! let listener = Listener::raw(UnixSocket::bind(&path)?);
//! let console = service.add(console, port.clone(), vec![listener])?;
//!
//! // The vCPU thread, at an exit for port 0x3f8:
//! port.lock().unwrap().write(0, b'#');
//! assert_eq!(log.head(), 1);
//!
//! // At a reset of the machine, the chip's included, and at power-off:
//! console.reset();
//! console.power_off();
//!
//! service.shut_down();
//! thread.join().unwrap();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod agenda;
mod attachment;
mod audit_trail;
mod command;
mod connection;
mod console;
mod desk;
mod epoll_set;
mod event_loop;
mod guest_port;
mod handle;
mod kernel;
mod polled;
mod progress;
mod share;
#[cfg(any(test, fuzzing))]
mod simulation;
mod thread;
mod turn;
mod turn_times;
mod warnings;

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use event_manager::{EventOps, Events, MutEventSubscriber};
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use self::desk::Desk;
use self::event_loop::{EventLoop, RealKernel, Watching, readiness};
use self::progress::Progress;
use crate::audit::AUDIT_LIMIT;

pub use self::attachment::Attachment;
pub use self::command::{Outcome, ServiceEnded};
pub use self::handle::{ConsoleHandle, ServiceHandle};
pub use self::polled::PolledService;
#[cfg(fuzzing)]
pub use self::simulation::run as simulate;
pub use self::turn_times::TurnTimes;

/// An event loop's subscriber that serves consoles; see the [module](self).
pub struct Service {
    events: EventLoop,
    desk: Desk,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("consoles", &self.desk.consoles())
            .finish_non_exhaustive()
    }
}

impl Service {
    /// Makes a service without consoles, and a handle to add some. It serves once it was added to
    /// an event loop.
    ///
    /// # Errors
    /// No descriptor is left for its eventfd and its timer.
    pub fn new() -> io::Result<(Self, ServiceHandle)> {
        let kick = Arc::new(EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC)?);
        let (sender, commands) = crossbeam_channel::unbounded();
        let (audit_sender, audit) = crossbeam_channel::bounded(AUDIT_LIMIT);
        let progress = Arc::new(Progress::default());
        let handle = ServiceHandle {
            commands: sender,
            leftovers: commands.clone(),
            kick: Arc::clone(&kick),
            progress: Arc::clone(&progress),
            next_console: Arc::new(AtomicU64::new(0)),
            audit,
        };
        let desk = Desk::new(audit_sender, commands, kick, progress);
        let events = EventLoop::new()?;
        Ok((Self { events, desk }, handle))
    }

    /// Gives it an epoll descriptor of its own, through which an event loop of any kind can host it.
    ///
    /// # Errors
    /// No descriptor is left for its epoll.
    pub fn polled(self) -> io::Result<PolledService> {
        PolledService::host(self)
    }
}

impl Service {
    /// Handles one event.
    fn handle(&mut self, event: Events, ops: &mut dyn Watching) {
        if let Some(watched) = self.events.watched(event) {
            let events = &mut self.events;
            let mut kernel = RealKernel { events, ops };
            self.desk.handle(watched, readiness(event), &mut kernel);
            if self.desk.has_nothing_left() {
                self.desk.finish(kernel.events.timer(), &mut kernel);
            }
        }
    }

    /// Watches its own descriptors.
    fn begin(&mut self, ops: &mut dyn Watching) -> io::Result<()> {
        let timer = self.events.timer();
        let events = &mut self.events;
        let mut kernel = RealKernel { events, ops };
        self.desk.begin(timer, &mut kernel)
    }
}

impl MutEventSubscriber for Service {
    fn process(&mut self, event: Events, ops: &mut EventOps<'_>) {
        self.handle(event, ops);
    }

    fn init(&mut self, ops: &mut EventOps<'_>) {
        if let Err(error) = self.begin(ops) {
            ::log::error!("the console service cannot watch its own descriptors: {error}");
            self.desk.close();
        }
    }
}
