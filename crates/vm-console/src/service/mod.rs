//! One thread that serves many consoles.
//!
//! [`Service`] is an [`event_manager`] subscriber: it owns the sockets, the timers and the clients' places in the logs.
//! It makes no thread and needs no timer per console, and it does nothing at all while nothing happens. An owner with an
//! event loop adds it there; [`Service::spawn`] gives it a thread of its own.
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
//! let console = service.add(console, port.clone(), vec![Listener::raw(UnixSocket::bind(&path)?)]);
//!
//! // The vCPU thread, at an exit for port 0x3f8:
//! port.lock().unwrap().write(0, b'#');
//! assert_eq!(log.head(), 1);
//!
//! // At reset and power-off:
//! console.reset();
//! console.power_off();
//!
//! service.shut_down();
//! thread.join().unwrap();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod client;
mod core;
mod handle;
mod hosted;

use std::collections::HashMap;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::Receiver;
use event_manager::{EventManager, EventOps, Events, MutEventSubscriber, SubscriberOps};
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use self::core::{ConsoleId, Core, Role};
use self::handle::Command;
use self::hosted::Hosted;
use crate::audit::AUDIT_LIMIT;

pub use self::handle::{Attachment, ConsoleHandle, Outcome, ServiceHandle};

/// Commands carried out before clients get their turn again.
const COMMANDS_A_TURN: usize = 256;

/// Serves consoles; see the [module](self).
pub struct Service {
    core: Core,
    consoles: HashMap<ConsoleId, Hosted>,
    commands: Receiver<Command>,
    kick: Arc<EventFd>,
    finished: Arc<AtomicBool>,
    shutting_down: bool,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("consoles", &self.consoles.len())
            .finish_non_exhaustive()
    }
}

impl Service {
    /// A service without consoles, and the handle to give it some.
    ///
    /// # Errors
    /// No descriptor is left for its eventfd and its timer.
    pub fn new() -> io::Result<(Self, ServiceHandle)> {
        let kick = Arc::new(EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC)?);
        let (sender, commands) = crossbeam_channel::unbounded();
        let (audit_sender, audit) = crossbeam_channel::bounded(AUDIT_LIMIT);
        let finished = Arc::new(AtomicBool::new(false));
        let handle = ServiceHandle {
            commands: sender,
            kick: Arc::clone(&kick),
            finished: Arc::clone(&finished),
            next_console: Arc::new(AtomicU32::new(0)),
            audit,
        };
        let service = Self {
            core: Core::new(audit_sender)?,
            consoles: HashMap::new(),
            commands,
            kick,
            finished,
            shutting_down: false,
        };
        Ok((service, handle))
    }

    /// A service on a thread of its own, which ends after [`ServiceHandle::shut_down`].
    ///
    /// # Errors
    /// Descriptors or threads have run out.
    pub fn spawn() -> io::Result<(ServiceHandle, JoinHandle<()>)> {
        let (service, handle) = Self::new()?;
        let events = || EventManager::new().map_err(io::Error::other);
        let mut events: EventManager<Box<dyn MutEventSubscriber + Send>> = events()?;
        events.add_subscriber(Box::new(service));
        let finished = Arc::clone(&handle.finished);
        let thread = std::thread::Builder::new()
            .name("vm-console".into())
            .spawn(move || {
                while !finished.load(Ordering::Acquire) {
                    if let Err(error) = events.run() {
                        ::log::error!("the console service stops: {error}");
                        return;
                    }
                }
            })?;
        Ok((handle, thread))
    }

    fn on_commands(&mut self, ops: &mut EventOps<'_>) {
        // Nothing to read is fine: a kick may be for what was done already.
        let _ = self.kick.read();
        for _ in 0..COMMANDS_A_TURN {
            let Ok(command) = self.commands.try_recv() else {
                return;
            };
            self.carry_out(command, ops);
        }
        let _ = self.kick.write(1);
    }

    fn carry_out(&mut self, command: Command, ops: &mut EventOps<'_>) {
        let core = &mut self.core;
        match command {
            Command::Add(id, console, port, listeners) => {
                if !self.shutting_down {
                    let mut hosted = Hosted::new(id, console, port);
                    hosted.start(listeners, core, ops);
                    self.consoles.insert(id, hosted);
                }
            }
            Command::Remove(id) => self.with(id, ops, Hosted::shut_down),
            Command::Listen(id, listener) => self.with(id, ops, |hosted, core, ops| {
                hosted.listen(listener, core, ops);
            }),
            Command::Attach(id, client, outcome) => {
                self.with(id, ops, |hosted, core, _| {
                    hosted.attach_files(*client, outcome, core);
                });
            }
            Command::Disconnect(id, reason) => {
                self.with(id, ops, |hosted, core, _| hosted.disconnect(reason, core));
            }
            Command::BootLog(id, on) => {
                self.with(id, ops, |hosted, core, _| hosted.set_boot_log(on, core));
            }
            Command::Status(id, answer) => self.with(id, ops, |hosted, core, _| {
                // Who asked may have lost patience.
                let _ = answer.send(hosted.status(core));
            }),
            Command::ShutDown => {
                self.shutting_down = true;
                for id in self.consoles.keys().copied().collect::<Vec<_>>() {
                    self.with(id, ops, Hosted::shut_down);
                }
            }
        }
    }

    /// Lets `act` at a console, then lets the console draw the consequences.
    fn with(
        &mut self,
        id: ConsoleId,
        ops: &mut EventOps<'_>,
        act: impl FnOnce(&mut Hosted, &mut Core, &mut EventOps<'_>),
    ) {
        let Some(hosted) = self.consoles.get_mut(&id) else {
            return;
        };
        act(hosted, &mut self.core, ops);
        hosted.settle(&mut self.core, ops);
        if hosted.is_done() {
            hosted.stop(&mut self.core, ops);
            self.consoles.remove(&id);
        }
        if !self.core.again.is_empty() {
            let _ = self.kick.write(1);
        }
    }

    fn finish_if_done(&mut self, ops: &mut EventOps<'_>) {
        if self.shutting_down && self.consoles.is_empty() && !self.finished.load(Ordering::Relaxed)
        {
            self.core.unwatch(ops, self.kick.as_raw_fd());
            self.core.unwatch_timer(ops);
            self.finished.store(true, Ordering::Release);
        }
    }
}

impl MutEventSubscriber for Service {
    fn process(&mut self, events: Events, ops: &mut EventOps<'_>) {
        // A descriptor that was removed earlier in this batch has no role any more.
        match self.core.role(events.fd()) {
            None => {}
            Some(Role::Commands) => {
                self.on_commands(ops);
                for id in std::mem::take(&mut self.core.again) {
                    self.with(id, ops, |hosted, core, _| hosted.serve_always_ready(core));
                }
            }
            Some(Role::Timer) => {
                for id in self.core.take_due() {
                    self.with(id, ops, |hosted, _, _| hosted.alarm_rang());
                }
                self.core.set_alarm();
            }
            Some(Role::Bell(id)) => self.with(id, ops, |hosted, core, _| hosted.on_bell(core)),
            Some(Role::Listener(id, index)) => {
                self.with(id, ops, |hosted, core, ops| {
                    hosted.on_listener(index, core, ops);
                });
            }
            Some(Role::Client(id, client)) => {
                let set = events.event_set();
                self.with(id, ops, |hosted, core, ops| {
                    hosted.on_client(client, set, core, ops);
                });
            }
        }
        self.finish_if_done(ops);
    }

    fn init(&mut self, ops: &mut EventOps<'_>) {
        if let Err(error) = self.core.watch_own(ops, self.kick.as_raw_fd()) {
            ::log::error!("the console service cannot watch its own descriptors: {error}");
            self.finished.store(true, Ordering::Release);
        }
    }
}
