//! What the owner holds: commands to the service, and a console in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use vmm_sys_util::eventfd::EventFd;

use super::command::{Added, Command, Outcome};
use super::kernel::ConsoleId;
use super::progress::Progress;
use crate::audit::AuditEvent;
use crate::console::Console;
use crate::log::MarkKind;
use crate::port::GuestPort;
use crate::protocol::Status;
use crate::session::EndReason;
use crate::transport::Listener;
use crate::transport::stdio::FdClient;

/// The service as seen from other threads. Cheap to clone. Everything here returns at once, save where it says that it
/// waits.
#[derive(Clone, Debug)]
pub struct ServiceHandle {
    pub(super) commands: Sender<Command>,
    /// The other end of `commands`, for what is sent when nobody takes commands any more.
    pub(super) leftovers: Receiver<Command>,
    pub(super) kick: Arc<EventFd>,
    pub(super) progress: Arc<Progress>,
    pub(super) next_console: Arc<AtomicU64>,
    pub(super) audit: Receiver<AuditEvent>,
}

impl ServiceHandle {
    pub(super) fn send(&self, command: Command) {
        // It cannot fail: we hold the other end too.
        let _ = self.commands.send(command);
        self.kick();
        if self.is_finished() {
            // Whoever waits for an outcome is to learn that there is none.
            self.leftovers.try_iter().for_each(drop);
        }
    }

    fn kick(&self) {
        // The one error is a full counter, and that wakes the service just as well.
        let _ = self.kick.write(1);
    }

    /// Serves `console`, whose line is in `port`, to clients that come in through `listeners`.
    ///
    /// If a service still serves it, this one or another, this waits its turn, and so does what is
    /// asked of the handle meanwhile.
    pub fn add(
        &self,
        console: Console,
        port: Arc<dyn GuestPort>,
        listeners: Vec<Listener>,
    ) -> ConsoleHandle {
        let id = ConsoleId(self.next_console.fetch_add(1, Ordering::Relaxed));
        let added = Added {
            console: console.clone(),
            port: Arc::clone(&port),
            listeners,
        };
        self.send(Command::Add(id, Box::new(added)));
        ConsoleHandle {
            id,
            service: self.clone(),
            console,
            port,
        }
    }

    /// Tells every client that the service is shutting down, lets them read what is left (at most the consoles'
    /// [`linger`](crate::ConsoleConfig::linger)), and then finishes.
    pub fn shut_down(&self) {
        self.send(Command::ShutDown);
    }

    /// Whether the service has finished: nothing is served any more, all sockets are closed and their files gone.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.progress.is_finished()
    }

    /// The longest time for which the service was busy with one event, so far: how long others had
    /// to wait for their turn.
    #[must_use]
    pub fn longest_turn(&self) -> Duration {
        self.progress.longest_turn()
    }

    /// Where audit events arrive. All clones share them: each event is received once. At most
    /// [`AUDIT_LIMIT`](crate::audit::AUDIT_LIMIT) wait; more are counted and lost.
    #[must_use]
    pub fn audit(&self) -> Receiver<AuditEvent> {
        self.audit.clone()
    }
}

/// One console in a service. Dropping it changes nothing: call [`remove`](Self::remove).
#[derive(Clone)]
pub struct ConsoleHandle {
    id: ConsoleId,
    service: ServiceHandle,
    console: Console,
    port: Arc<dyn GuestPort>,
}

impl std::fmt::Debug for ConsoleHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConsoleHandle")
            .field("name", &self.console.config.name)
            .finish_non_exhaustive()
    }
}

impl ConsoleHandle {
    /// The console.
    #[must_use]
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// The machine was powered off: the session ends, and none begins until [`power_on`](Self::power_on). The log and
    /// its readers go on. Takes the port's lock, so do not call it while holding that.
    pub fn power_off(&self) {
        self.port.with_line(&mut |line| line.set_power(false));
    }

    /// The machine was powered on: a new boot begins in the log. Takes the port's lock.
    pub fn power_on(&self) {
        self.port.with_line(&mut |line| line.set_power(true));
    }

    /// The machine was reset or rebooted itself: a new boot begins in the log, and sessions go on. Takes the port's
    /// lock; who holds that already calls [`ConsoleLine::begin_boot`](crate::ConsoleLine::begin_boot).
    pub fn reset(&self) {
        self.port.with_line(&mut |line| {
            line.begin_boot(MarkKind::Reset);
        });
    }

    /// The boot log was turned on or off. While it is off nobody is shown or may read what was printed before, and there is
    /// no session if the policy [requires it](crate::session::SessionPolicy::requires_boot_log).
    pub fn set_boot_log(&self, on: bool) {
        self.service.send(Command::BootLog(self.id, on));
    }

    /// Another way in.
    pub fn listen(&self, listener: Listener) {
        self.service.send(Command::Listen(self.id, listener));
    }

    /// Attaches a pair of descriptors.
    #[must_use]
    #[allow(
        clippy::must_use_candidate,
        reason = "who does not care how it ends attaches all the same"
    )]
    pub fn attach(&self, client: FdClient) -> Attachment {
        let (sender, outcome) = crossbeam_channel::bounded(1);
        self.service
            .send(Command::Attach(self.id, Box::new(client), sender));
        Attachment { outcome }
    }

    /// Ends the session, whoever holds it, for a reason of the owner's, [`Revoked`](EndReason::Revoked) for example.
    /// Observers stay.
    pub fn disconnect(&self, reason: EndReason) {
        self.service.send(Command::Disconnect(self.id, reason));
    }

    /// How the console stands. Waits for the service's answer, at most for `patience`: do not call it on the service's
    /// own thread.
    ///
    /// # Errors
    /// No answer came in time, or the service or the console is gone.
    pub fn status(&self, patience: Duration) -> Result<Status, RecvTimeoutError> {
        let (sender, answer) = crossbeam_channel::bounded(1);
        self.service.send(Command::Status(self.id, sender));
        answer.recv_timeout(patience)
    }

    /// Ends the session as shutting down, closes the listeners, and stops serving the console. It can be
    /// [added](ServiceHandle::add) again at once.
    pub fn remove(&self) {
        self.service.send(Command::Remove(self.id));
    }

    /// Waits until no service serves the console: after [`remove`](Self::remove), until its clients
    /// have read what was left for them. Whether that came within `patience`. Do not call it on the
    /// service's own thread.
    #[must_use]
    pub fn wait_removed(&self, patience: Duration) -> bool {
        self.console.serving.wait_released(patience)
    }
}

/// An attached pair of descriptors.
#[derive(Clone, Debug)]
pub struct Attachment {
    outcome: Receiver<Outcome>,
}

impl Attachment {
    /// Waits until the session was refused or has ended. `None` if the service is gone.
    #[must_use]
    pub fn wait(&self) -> Option<Outcome> {
        self.outcome.recv().ok()
    }

    /// For `select!` among other channels.
    #[must_use]
    pub fn outcome(&self) -> &Receiver<Outcome> {
        &self.outcome
    }
}
