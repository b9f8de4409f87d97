//! What the owner asks of the service.

use std::time::Duration;

use super::{Desk, Seat};
use crate::service::command::{Added, Command};
use crate::service::console::ServedConsole;
use crate::service::kernel::{ConsoleId, Kernel};
use crate::service::share::Share;

impl Desk {
    pub(super) fn on_commands(&mut self, started: Duration, kernel: &mut dyn Kernel) {
        while let Ok(command) = self.commands.try_recv() {
            self.carry_out(command, started, kernel);
            if self.turn(started, kernel).is_over() {
                return self.kick();
            }
        }
    }

    fn carry_out(&mut self, command: Command, started: Duration, kernel: &mut dyn Kernel) {
        if let Some(id) = command.console()
            && let Some((_, later)) = self.waiting.get_mut(&id)
        {
            match command {
                // It need not be served first.
                Command::Remove(_) => drop(self.waiting.remove(&id)),
                _ => later.push(command),
            }
            return;
        }
        match command {
            Command::Add(id, added) => self.add(id, *added, started, kernel),
            Command::Remove(id) => self.with(id, started, kernel, ServedConsole::shut_down),
            Command::Listen(id, listener) => {
                self.with(id, started, kernel, |console, turn| {
                    console.listen(listener, turn);
                });
            }
            Command::TextLog(id, waker) => {
                self.with(id, started, kernel, |console, _| console.log_text(waker));
            }
            Command::Attach(id, client, caller) => {
                self.with(id, started, kernel, |console, turn| {
                    console.attach_files(*client, caller, turn);
                });
            }
            Command::Disconnect(id, reason) => {
                self.with(id, started, kernel, |console, turn| {
                    console.disconnect(reason, turn);
                });
            }
            Command::BootLog(id, on) => {
                self.with(id, started, kernel, |console, turn| {
                    console.set_boot_log(on, turn);
                });
            }
            Command::Status(id, answer) => self.with(id, started, kernel, |console, turn| {
                // Whoever asked may have lost patience.
                let _ = answer.send(console.status(turn));
            }),
            Command::ShutDown => {
                self.shutting_down = true;
                self.waiting.clear();
                for id in self.seats.keys().copied().collect::<Vec<_>>() {
                    self.with(id, started, kernel, ServedConsole::shut_down);
                }
            }
        }
    }

    fn add(&mut self, id: ConsoleId, added: Added, started: Duration, kernel: &mut dyn Kernel) {
        if self.shutting_down {
            return;
        }
        let Some(claim) = added.console.serving.claim(&self.kick) else {
            self.waiting.insert(id, (added, Vec::new()));
            return;
        };
        let mut turn = self.turn(started, kernel);
        let console = ServedConsole::start(id, added, claim, &mut turn);
        let share = Share::default();
        self.seats.insert(id, Seat { console, share });
        self.with(id, started, kernel, |_, _| {});
    }

    /// Adds the consoles that waited and are free now.
    pub(super) fn add_waiting(&mut self, started: Duration, kernel: &mut dyn Kernel) {
        for id in self.waiting.keys().copied().collect::<Vec<_>>() {
            let Some((added, commands)) = self.waiting.remove(&id) else {
                continue;
            };
            self.add(id, added, started, kernel);
            // They go on waiting with it, if it does.
            for command in commands {
                self.carry_out(command, started, kernel);
            }
        }
    }
}
