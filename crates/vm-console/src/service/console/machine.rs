//! What the guest's side has told of the machine: its power, its boots.

use super::ServedConsole;
use crate::audit::Audited;
use crate::line::Power;
use crate::service::turn::Turn;

#[derive(Debug)]
pub(super) struct Machine {
    power: Power,
    epoch: u64,
}

/// What is new.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct News {
    /// It was powered off, once or more often, and may be on again.
    pub(super) went_off: bool,
    pub(super) is_on: bool,
    /// A boot began: its epoch.
    pub(super) boot: Option<u64>,
}

impl Machine {
    pub(super) fn new(power: Power, epoch: u64) -> Self {
        Self { power, epoch }
    }

    pub(super) fn look(&mut self, power: Power, epoch: u64) -> News {
        let news = News {
            went_off: power.times_off != self.power.times_off,
            is_on: power.on,
            boot: (epoch != self.epoch).then_some(epoch),
        };
        *self = Self { power, epoch };
        news
    }
}

impl ServedConsole {
    /// As [`look_at_machine`](Self::look_at_machine), if there may be anything new. Power and boots
    /// are told by the bell, so as long as it is silent the port's lock is left alone.
    pub(super) fn catch_up_with_machine(&mut self, turn: &mut Turn<'_>) {
        if self.console.bell.read().is_ok() {
            // It may have rung for something else too. The one error is a full counter.
            let _ = self.console.bell.write(1);
            self.look_at_machine(turn);
        }
    }

    /// Takes notice of power and boots.
    pub(super) fn look_at_machine(&mut self, turn: &mut Turn<'_>) {
        let log = &self.console.log;
        let known = self.machine.epoch;
        // All of it under the port's lock: no boot begins between two looks.
        let (power, epoch, begins) = self.port.line(|line| {
            let epoch = log.epoch();
            let boots = if epoch == known {
                Vec::new()
            } else {
                log.boots()
            };
            let begins = boots.last().map_or(0, |boot| boot.start);
            (line.power(), epoch, begins)
        });
        let news = self.machine.look(power, epoch);
        if news.went_off {
            let ended = self.session.power_off(turn.now());
            self.audit(Audited::PoweredOff, turn);
            self.session_over(ended, turn);
        }
        if news.is_on && !self.session.is_powered() {
            self.session.power_on();
            self.audit(Audited::PoweredOn, turn);
        }
        let Some(epoch) = news.boot else { return };
        self.audit(Audited::Boot { epoch }, turn);
        for (_, connection) in self.connections.iter_mut() {
            if connection.standing.has_session() {
                connection.outbox.tell_boot(epoch, begins);
            }
        }
    }
}
