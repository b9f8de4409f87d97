//! The service without its event loop: it takes commands and events, and hands them to the
//! consoles.

mod commands;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use vmm_sys_util::eventfd::EventFd;

use super::command::{Added, Command};
use super::console::ServedConsole;
use super::kernel::{ConsoleId, Interest, Kernel, Part, Readiness, Watched};
use super::progress::Progress;
use super::share::Share;
use super::turn::{Shared, Turn};
use crate::audit::AuditEvent;

pub(super) struct Desk {
    shared: Shared,
    seats: BTreeMap<ConsoleId, Seat>,
    /// Consoles that are still served elsewhere, and the commands for them, in their order.
    waiting: BTreeMap<ConsoleId, (Added, Vec<Command>)>,
    commands: Receiver<Command>,
    kick: Arc<EventFd>,
    /// Whether it kicked itself and has not come to that yet.
    has_kicked: bool,
    progress: Arc<Progress>,
    shutting_down: bool,
    /// The moment that the kernel's alarm is set to.
    alarm: Option<Duration>,
}

/// A console at the desk, and its share of the time.
struct Seat {
    console: ServedConsole,
    share: Share,
}

impl Desk {
    pub(super) fn new(
        audit: Sender<AuditEvent>,
        commands: Receiver<Command>,
        kick: Arc<EventFd>,
        progress: Arc<Progress>,
    ) -> Self {
        Self {
            shared: Shared::new(audit),
            seats: BTreeMap::new(),
            waiting: BTreeMap::new(),
            commands,
            kick,
            has_kicked: false,
            progress,
            shutting_down: false,
            alarm: None,
        }
    }

    pub(super) fn consoles(&self) -> usize {
        self.seats.len()
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn served(&self, id: ConsoleId) -> Option<&ServedConsole> {
        self.seats.get(&id).map(|seat| &seat.console)
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn all_served(&self) -> impl Iterator<Item = &ServedConsole> {
        self.seats.values().map(|seat| &seat.console)
    }

    /// Starts to watch the service's own descriptors.
    pub(super) fn begin(&mut self, timer: RawFd, kernel: &mut dyn Kernel) -> io::Result<()> {
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
    pub(super) fn handle(&mut self, what: Watched, ready: Readiness, kernel: &mut dyn Kernel) {
        let started = kernel.now();
        match what {
            Watched::Commands => {
                // Nothing to read is fine: a kick may be for what was done already.
                let _ = self.kick.read();
                self.has_kicked = false;
                self.add_waiting(started, kernel);
                self.on_commands(started, kernel);
                self.give_other_turns(kernel);
            }
            Watched::Alarm => {
                self.alarm = None;
                while let Some(id) = self.shared.agenda.take_due(started) {
                    self.with(id, started, kernel, |_, _| {});
                    if self.turn(started, kernel).is_over() {
                        break;
                    }
                }
            }
            Watched::Console(id, part) => {
                let share = self.share(id);
                if let Some(share) = share.filter(|share| share.is_used_up(kernel.batch())) {
                    share.put_off(part, ready);
                    self.shared.want_another(id);
                    return self.kick();
                }
                self.on_event(id, part, ready, started, kernel);
            }
        }
        if self.shared.another_is_wanted() {
            self.kick();
        }
        self.set_alarm(started, kernel);
        let took = kernel.now().saturating_sub(started);
        self.progress.turns.record(took);
        if let Watched::Console(id, _) = what
            && let Some(share) = self.share(id)
        {
            share.spend(kernel.batch(), took);
        }
    }

    /// Whether it was told to shut down, and all is done.
    pub(super) fn has_nothing_left(&self) -> bool {
        self.shutting_down && self.seats.is_empty() && !self.progress.is_finished()
    }

    pub(super) fn is_finished(&self) -> bool {
        self.progress.is_finished()
    }

    /// Leaves the event loop.
    pub(super) fn finish(&mut self, timer: RawFd, kernel: &mut dyn Kernel) {
        let now = kernel.now();
        let kick = self.kick.as_raw_fd();
        let mut turn = self.turn(now, kernel);
        turn.unwatch(kick);
        turn.unwatch(timer);
        self.close();
    }

    /// Serves nothing any more. Whoever waits for the outcome of a command learns that there is
    /// none.
    pub(super) fn close(&mut self) {
        self.seats.clear();
        self.waiting.clear();
        // First, so that a command that is sent from now on is dropped by its sender.
        self.progress.finish();
        self.commands.try_iter().for_each(drop);
    }

    fn kick(&mut self) {
        if !self.has_kicked {
            // The one error is a full counter, and that wakes the service just as well.
            let _ = self.kick.write(1);
            self.has_kicked = true;
        }
    }

    fn turn<'a>(&'a mut self, started: Duration, kernel: &'a mut dyn Kernel) -> Turn<'a> {
        Turn::new(kernel, &mut self.shared, started)
    }

    fn set_alarm(&mut self, started: Duration, kernel: &mut dyn Kernel) {
        let next = self.shared.agenda.next();
        if self.alarm == next {
            return;
        }
        match kernel.set_alarm(next) {
            Ok(()) => self.alarm = next,
            Err(error) => self
                .turn(started, kernel)
                .warn(|| format!("cannot set the timer: {error}")),
        }
    }

    /// Gives consoles the other turn that they want, once each at most.
    fn give_other_turns(&mut self, kernel: &mut dyn Kernel) {
        // The owner's commands take none of it.
        let started = kernel.now();
        for _ in 0..self.shared.waiting_for_turn() {
            let Some(id) = self.shared.take_waiting_for_turn() else {
                return;
            };
            while let Some((part, ready)) = self.share(id).and_then(Share::next) {
                self.on_event(id, part, ready, started, kernel);
                if self.turn(started, kernel).is_over() {
                    break;
                }
            }
            if self.share(id).is_some_and(|share| share.has_waiting()) {
                self.shared.want_another(id);
            }
            self.with(id, started, kernel, ServedConsole::take_another_turn);
            if self.turn(started, kernel).is_over() {
                return;
            }
        }
    }

    fn share(&mut self, id: ConsoleId) -> Option<&mut Share> {
        self.seats.get_mut(&id).map(|seat| &mut seat.share)
    }

    fn on_event(
        &mut self,
        id: ConsoleId,
        part: Part,
        ready: Readiness,
        started: Duration,
        kernel: &mut dyn Kernel,
    ) {
        self.with(id, started, kernel, |console, turn| {
            console.dispatch(part, ready, turn);
        });
    }

    /// Lets `act` at a console, then lets the console draw the consequences.
    fn with(
        &mut self,
        id: ConsoleId,
        started: Duration,
        kernel: &mut dyn Kernel,
        act: impl FnOnce(&mut ServedConsole, &mut Turn<'_>),
    ) {
        let Some(Seat { console, .. }) = self.seats.get_mut(&id) else {
            return;
        };
        let mut turn = Turn::new(kernel, &mut self.shared, started);
        act(console, &mut turn);
        console.settle(&mut turn);
        if console.is_done() {
            console.stop(&mut turn);
            self.seats.remove(&id);
        }
    }
}

impl Drop for Desk {
    /// Also when the thread panics: the guests go on, and nobody waits in vain.
    fn drop(&mut self) {
        self.close();
    }
}
