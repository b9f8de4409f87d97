//! The owner's handles to a service, and to a console in it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use vmm_sys_util::eventfd::EventFd;

use super::attachment::Attachment;
use super::command::{Added, Caller, Command, ServiceEnded};
use super::guest_port::Port;
use super::kernel::ConsoleId;
use super::progress::Progress;
use super::turn_times::TurnTimes;
use crate::audit::AuditEvent;
use crate::console::Console;
use crate::line::ConsoleLine;
use crate::port::GuestPort;
use crate::protocol::Status;
use crate::session::EndReason;
use crate::text_log::{TextLog, TextLogHandle};
use crate::transport::Listener;
use crate::transport::stdio::FdClient;

/// A handle to the service for other threads. Cheap to clone. No method waits.
#[derive(Clone, Debug)]
pub struct ServiceHandle {
    pub(super) commands: Sender<Command>,
    /// The other end of `commands`, to drop commands that are sent after the service has finished.
    pub(super) leftovers: Receiver<Command>,
    pub(super) kick: Arc<EventFd>,
    pub(super) progress: Arc<Progress>,
    pub(super) next_console: Arc<AtomicU64>,
    pub(super) audit: Receiver<AuditEvent>,
}

impl ServiceHandle {
    pub(super) fn send(&self, command: Command) {
        // It cannot fail, since this handle holds the other end too.
        let _ = self.commands.send(command);
        self.kick();
        if self.is_finished() {
            // Dropping a command tells its waiting sender that there is no outcome.
            self.leftovers.try_iter().for_each(drop);
        }
    }

    fn kick(&self) {
        // The only possible error is a full counter, and that wakes the service just as well.
        let _ = self.kick.write(1);
    }

    /// Serves `console`, whose line is in `port`, to clients that come in through `listeners`.
    ///
    /// A console is served by one service at a time. If it is still served, by this service or
    /// another, it is added once that has ended. Calls of the returned handle are carried out after
    /// that, in their order.
    ///
    /// # Errors
    /// The service was told to shut down, or has ended. The listeners are closed then.
    pub fn add(
        &self,
        console: Console,
        port: Arc<dyn GuestPort>,
        listeners: Vec<Listener>,
    ) -> Result<ConsoleHandle, ServiceEnded> {
        if self.progress.is_over() {
            return Err(ServiceEnded);
        }
        let id = ConsoleId(self.next_console.fetch_add(1, Ordering::Relaxed));
        let port = Port::new(port);
        let added = Added {
            console: console.clone(),
            promise: console.serving.promise(),
            port: port.clone(),
            listeners,
        };
        self.send(Command::Add(id, Box::new(added)));
        Ok(ConsoleHandle {
            id,
            service: self.clone(),
            console,
            port,
        })
    }

    /// Ends all sessions with [`ShuttingDown`](EndReason::ShuttingDown), gives the clients time to
    /// read the rest of their output (each console's [`linger`](crate::ConsoleConfig::linger) at
    /// most), and then ends the service.
    pub fn shut_down(&self) {
        self.progress.shut_down();
        self.send(Command::ShutDown);
    }

    /// Whether the service has finished: its sockets are closed, and their files are gone.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.progress.is_finished()
    }

    /// The longest time that the service has spent on one event so far. Other clients and consoles
    /// had to wait for so long.
    #[must_use]
    pub fn longest_turn(&self) -> Duration {
        self.progress.turns.longest()
    }

    /// How many turns took how long, so far. Costs the service nothing.
    #[must_use]
    pub fn turn_times(&self) -> TurnTimes {
        self.progress.turns.read()
    }

    /// The channel of audit events. All clones share it, so each event is received once. At most
    /// [`AUDIT_LIMIT`](crate::audit::AUDIT_LIMIT) events wait in it; further ones are counted and
    /// lost.
    #[must_use]
    pub fn audit(&self) -> Receiver<AuditEvent> {
        self.audit.clone()
    }
}

/// A handle to one console in a service. Cheap to clone.
///
/// Dropping it does not end the serving; call [`remove`](Self::remove) for that. Methods that
/// change the machine's state take the port's lock, so do not call them while holding it; all
/// others but [`status`](Self::status) and [`wait_removed`](Self::wait_removed) return at once.
#[derive(Clone)]
pub struct ConsoleHandle {
    id: ConsoleId,
    service: ServiceHandle,
    console: Console,
    port: Port,
}

impl std::fmt::Debug for ConsoleHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConsoleHandle")
            .field("name", &self.console.config.name)
            .finish_non_exhaustive()
    }
}

impl ConsoleHandle {
    /// The console: its rules, log and counters.
    #[must_use]
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// Records that the machine was powered off. The session ends, and none begins until
    /// [`power_on`](Self::power_on). Observers and log readers stay. Takes the port's lock.
    pub fn power_off(&self) {
        self.port.line(|line| line.set_power(false));
    }

    /// Records that the machine was powered on. If it was off, a new boot begins in the log. Takes
    /// the port's lock.
    pub fn power_on(&self) {
        self.port.line(|line| line.set_power(true));
    }

    /// Carries out a reset of the machine at its port, and records it: first the chip gets a master
    /// reset, then a new boot begins in the log, both under one lock. The session goes on. While the
    /// machine is off only the chip is reset. Takes the port's lock.
    ///
    /// Call it while the machine's processors stand still. If the chip is to stay as it is, or was
    /// reset already, call [`ConsoleLine::begin_boot`](crate::ConsoleLine::begin_boot) instead.
    pub fn reset(&self) {
        self.port.reset();
    }

    /// Moves the console to a new port, for a VMM that rebuilds its devices when the machine
    /// reboots. The sessions, their unread output and the input that waits in the line go on; input
    /// in the old chip is lost, as at a reset. Output that waits there because
    /// [lossless](crate::ConsoleConfig::lossless) mode holds it goes into the log first, as the old
    /// boot's. Returns the new port.
    ///
    /// `build` puts the line that it is given into the new port, and is called without a lock. When
    /// it returns, the line changes places with that of the old port. A new boot begins in the log
    /// then, unless the machine is off: it begins with [`power_on`](Self::power_on) in that case.
    /// From then on this handle and its clones mean the new port. What still reaches the old one is
    /// dropped.
    ///
    /// Call it while the machine's processors stand still. Takes the locks of both ports.
    ///
    /// ```
    /// # use std::sync::{Arc, Mutex};
    /// # use vm_console::service::Service;
    /// # use vm_console::{BootLog, Console, ConsoleConfig, LogConfig};
    /// # use vm_uart::SerialPort;
    /// # let (service, thread) = Service::spawn()?;
    /// # let (writer, log) = BootLog::in_memory(LogConfig::default())?;
    /// # let (line, console) = Console::new(ConsoleConfig::named("vm-7"), writer)?;
    /// # let port = Arc::new(Mutex::new(SerialPort::new((), line)));
    /// # let console = service.add(console, port, Vec::new())?;
    /// // The interrupt may be of another type than that of the old port.
    /// let port = console.rebuild_port(|line| Arc::new(Mutex::new(SerialPort::new((), line))))?;
    /// port.lock().unwrap().write(0, b'#');
    /// assert_eq!((log.epoch(), log.head()), (2, 1));
    /// # service.shut_down();
    /// # thread.join().unwrap();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A VMM that keeps the port and only connects another interrupt puts that into
    /// `SerialPort::interrupt_mut`, and calls [`reset`](Self::reset) afterwards.
    ///
    /// # Errors
    /// No descriptor or no memory is left for the line that `build` is given; `InvalidInput` if
    /// `build` returns the old port. Nothing has changed then.
    pub fn rebuild_port<P: GuestPort + 'static>(
        &self,
        build: impl FnOnce(ConsoleLine) -> Arc<P>,
    ) -> io::Result<Arc<P>> {
        self.port.rebuild(build)
    }

    /// Turns the clients' access to the boot log on or off. The log itself goes on either way.
    ///
    /// While it is off, clients are shown no earlier output and cannot read the log, and no
    /// observer is let in. Nobody has a session either, if the policy [requires the boot
    /// log](crate::session::SessionPolicy::requires_boot_log).
    pub fn set_boot_log(&self, on: bool) {
        self.service.send(Command::BootLog(self.id, on));
    }

    /// Adds a listener, through which further clients come in.
    pub fn listen(&self, listener: Listener) {
        self.service.send(Command::Listen(self.id, listener));
    }

    /// Writes the output to a text file too, from now on and for as long as the service serves the
    /// console; see [`text_log`](crate::text_log).
    ///
    /// # Errors
    /// Threads have run out.
    pub fn log_text(&self, text: TextLog) -> io::Result<TextLogHandle> {
        let (waker, handle) = text.start(&self.console)?;
        self.service.send(Command::TextLog(self.id, waker));
        Ok(handle)
    }

    /// Attaches a client that is a pair of descriptors or a socket. It is let in whatever
    /// [`max_connections`](crate::ConsoleConfig::max_connections) says.
    ///
    /// The attachment tells how it ends. Dropping that changes nothing for the client.
    #[allow(
        clippy::must_use_candidate,
        reason = "an owner need not care how the attach ends"
    )]
    pub fn attach(&self, client: FdClient) -> Attachment {
        let (sender, outcome) = crossbeam_channel::bounded(1);
        self.service.send(Command::Attach(
            self.id,
            Box::new(client),
            Caller::new(sender),
        ));
        Attachment { outcome }
    }

    /// Ends the holder's session, if there is one, for a reason that the owner gives:
    /// [`Revoked`](EndReason::Revoked), for example. Observers stay.
    pub fn disconnect(&self, reason: EndReason) {
        self.service.send(Command::Disconnect(self.id, reason));
    }

    /// The state of the console: its holder, its log's offsets and its counters. Waits for the
    /// service's answer, for at most `patience`. Do not call it on the service's own thread.
    ///
    /// # Errors
    /// [`Timeout`](RecvTimeoutError::Timeout) if no answer came in time;
    /// [`Disconnected`](RecvTimeoutError::Disconnected) if the console was removed, or the service
    /// has finished.
    pub fn status(&self, patience: Duration) -> Result<Status, RecvTimeoutError> {
        let (sender, answer) = crossbeam_channel::bounded(1);
        self.service.send(Command::Status(self.id, sender));
        answer.recv_timeout(patience)
    }

    /// Stops serving the console. All sessions end with [`ShuttingDown`](EndReason::ShuttingDown),
    /// and its listeners are closed.
    ///
    /// It returns at once, while clients may still read the rest of their output for the console's
    /// [`linger`](crate::ConsoleConfig::linger); [`wait_removed`](Self::wait_removed) waits for
    /// that. The console can be [added](ServiceHandle::add) again without waiting: the service puts
    /// that off until the console is free. Its counters and its log go on.
    pub fn remove(&self) {
        self.service.send(Command::Remove(self.id));
    }

    /// Waits until no service serves the console, nor was told to, for at most `patience`. Returns
    /// whether that is so.
    ///
    /// After [`remove`](Self::remove) its clients have read the rest of their output by then, or
    /// their time for it was over. Do not call it on the service's own thread.
    #[must_use]
    pub fn wait_removed(&self, patience: Duration) -> bool {
        self.console.serving.wait_released(patience)
    }
}
