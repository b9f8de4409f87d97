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

mod agenda;
mod connection;
mod console;
mod event_loop;
mod handle;
mod kernel;
mod turn;

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::Receiver;
use event_manager::{EventManager, EventOps, Events, MutEventSubscriber, SubscriberOps};
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use self::console::ServedConsole;
use self::event_loop::{EventLoop, RealKernel, readiness};
use self::handle::Command;
use self::kernel::{ConsoleId, Interest, Kernel, Readiness, Watched};
use self::turn::{Shared, Turn};
use crate::audit::AUDIT_LIMIT;

pub use self::handle::{Attachment, ConsoleHandle, Outcome, ServiceHandle};

/// Commands carried out before clients get their turn again.
const COMMANDS_A_TURN: usize = 256;

/// Serves consoles; see the [module](self).
pub struct Service {
    events: EventLoop,
    desk: Desk,
}

/// The service without its event loop.
struct Desk {
    shared: Shared,
    consoles: HashMap<ConsoleId, ServedConsole>,
    commands: Receiver<Command>,
    kick: Arc<EventFd>,
    finished: Arc<AtomicBool>,
    shutting_down: bool,
    /// The moment that the kernel's alarm is set to.
    alarm: Option<Duration>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("consoles", &self.desk.consoles.len())
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
            next_console: Arc::new(AtomicU64::new(0)),
            audit,
        };
        let desk = Desk {
            shared: Shared::new(audit_sender),
            consoles: HashMap::new(),
            commands,
            kick,
            finished,
            shutting_down: false,
            alarm: None,
        };
        let events = EventLoop::new()?;
        Ok((Self { events, desk }, handle))
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
}

impl MutEventSubscriber for Service {
    fn process(&mut self, event: Events, ops: &mut EventOps<'_>) {
        if let Some(watched) = self.events.watched(event) {
            let events = &mut self.events;
            let mut kernel = RealKernel { events, ops };
            self.desk.handle(watched, readiness(event), &mut kernel);
            if self.desk.is_finished() {
                self.desk.finish(kernel.events.timer(), &mut kernel);
            }
        }
    }

    fn init(&mut self, ops: &mut EventOps<'_>) {
        let timer = self.events.timer();
        let events = &mut self.events;
        let mut kernel = RealKernel { events, ops };
        if let Err(error) = self.desk.begin(timer, &mut kernel) {
            ::log::error!("the console service cannot watch its own descriptors: {error}");
            self.desk.finished.store(true, Ordering::Release);
        }
    }
}

impl Desk {
    /// Starts to watch the service's own descriptors.
    fn begin(&mut self, timer: RawFd, kernel: &mut dyn Kernel) -> io::Result<()> {
        let own = [
            (self.kick.as_raw_fd(), Watched::Commands),
            (timer, Watched::Alarm),
        ];
        for (fd, what) in own {
            kernel.watch(fd, what, Interest::READABLE)?;
        }
        Ok(())
    }

    /// Handles one event, and draws all its consequences.
    fn handle(&mut self, what: Watched, ready: Readiness, kernel: &mut dyn Kernel) {
        match what {
            Watched::Commands => {
                self.on_commands(kernel);
                for id in self.shared.take_again() {
                    self.with(id, kernel, ServedConsole::serve_again);
                }
            }
            Watched::Alarm => {
                self.alarm = None;
                let now = kernel.now();
                while let Some(id) = self.shared.agenda.take_due(now) {
                    self.with(id, kernel, |_, _| {});
                }
            }
            Watched::Console(id, part) => {
                self.with(id, kernel, |console, turn| {
                    console.dispatch(part, ready, turn);
                });
            }
        }
        if self.shared.has_more() {
            // The one error is a full counter, and that wakes the service just as well.
            let _ = self.kick.write(1);
        }
        self.set_alarm(kernel);
    }

    fn set_alarm(&mut self, kernel: &mut dyn Kernel) {
        let next = self.shared.agenda.next();
        if self.alarm == next {
            return;
        }
        match kernel.set_alarm(next) {
            Ok(()) => self.alarm = next,
            Err(error) => self
                .turn(kernel)
                .warn(|| format!("cannot set the timer: {error}")),
        }
    }

    fn turn<'a>(&'a mut self, kernel: &'a mut dyn Kernel) -> Turn<'a> {
        Turn {
            kernel,
            shared: &mut self.shared,
        }
    }

    fn on_commands(&mut self, kernel: &mut dyn Kernel) {
        // Nothing to read is fine: a kick may be for what was done already.
        let _ = self.kick.read();
        for _ in 0..COMMANDS_A_TURN {
            let Ok(command) = self.commands.try_recv() else {
                return;
            };
            self.carry_out(command, kernel);
        }
        let _ = self.kick.write(1);
    }

    fn carry_out(&mut self, command: Command, kernel: &mut dyn Kernel) {
        match command {
            Command::Add(id, console, port, listeners) => {
                if !self.shutting_down {
                    let mut turn = self.turn(kernel);
                    let served = ServedConsole::start(id, console, port, listeners, &mut turn);
                    self.consoles.insert(id, served);
                    self.with(id, kernel, |_, _| {});
                }
            }
            Command::Remove(id) => self.with(id, kernel, ServedConsole::shut_down),
            Command::Listen(id, listener) => {
                self.with(id, kernel, |console, turn| console.listen(listener, turn));
            }
            Command::Attach(id, client, outcome) => self.with(id, kernel, |console, turn| {
                console.attach_files(*client, outcome, turn);
            }),
            Command::Disconnect(id, reason) => {
                self.with(id, kernel, |console, turn| {
                    console.disconnect(reason, turn);
                });
            }
            Command::BootLog(id, on) => {
                self.with(id, kernel, |console, turn| console.set_boot_log(on, turn));
            }
            Command::Status(id, answer) => self.with(id, kernel, |console, turn| {
                // Whoever asked may have lost patience.
                let _ = answer.send(console.status(turn));
            }),
            Command::ShutDown => {
                self.shutting_down = true;
                for id in self.consoles.keys().copied().collect::<Vec<_>>() {
                    self.with(id, kernel, ServedConsole::shut_down);
                }
            }
        }
    }

    /// Lets `act` at a console, then lets the console draw the consequences.
    fn with(
        &mut self,
        id: ConsoleId,
        kernel: &mut dyn Kernel,
        act: impl FnOnce(&mut ServedConsole, &mut Turn<'_>),
    ) {
        let Some(console) = self.consoles.get_mut(&id) else {
            return;
        };
        let shared = &mut self.shared;
        let mut turn = Turn { kernel, shared };
        act(console, &mut turn);
        console.settle(&mut turn);
        if console.is_done() {
            console.stop(&mut turn);
            self.consoles.remove(&id);
        }
    }

    fn is_finished(&self) -> bool {
        self.shutting_down && self.consoles.is_empty() && !self.finished.load(Ordering::Relaxed)
    }

    /// Leaves the event loop.
    fn finish(&mut self, timer: RawFd, kernel: &mut dyn Kernel) {
        let kick = self.kick.as_raw_fd();
        let mut turn = self.turn(kernel);
        turn.unwatch(kick);
        turn.unwatch(timer);
        self.finished.store(true, Ordering::Release);
    }
}
