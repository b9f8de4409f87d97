//! What the guest's side has told of the machine: its power, its boots.

use super::ServedConsole;
use crate::audit::Audited;
use crate::line::Power;
use crate::log::Boot;
use crate::service::turn::Turn;

#[derive(Debug)]
pub(super) struct Machine {
    power: Power,
    epoch: u64,
}

/// What is new, in the order in which it happened.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct News {
    /// A boot began, and the machine was powered off in it.
    pub(super) boot_before: Option<u64>,
    /// It was powered off, once or more often, and may be on again.
    pub(super) went_off: bool,
    pub(super) is_on: bool,
    /// A boot began that was not powered off.
    pub(super) boot: Option<u64>,
}

impl Machine {
    pub(super) fn new(power: Power, epoch: u64) -> Self {
        Self { power, epoch }
    }

    pub(super) fn look(&mut self, power: Power, epoch: u64) -> News {
        let off_in = power.off_in.filter(|_| power.off_in != self.power.off_in);
        let boot_before = off_in.filter(|off_in| *off_in != self.epoch);
        let known = off_in.unwrap_or(self.epoch);
        let news = News {
            boot_before,
            went_off: off_in.is_some(),
            is_on: power.on,
            boot: (epoch != known).then_some(epoch),
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
        let (power, epoch, boots) = self.port.line(turn.now(), |line| {
            let epoch = log.epoch();
            let boots = if epoch == known {
                Vec::new()
            } else {
                log.boots()
            };
            (line.power(), epoch, boots)
        });
        let news = self.machine.look(power, epoch);
        if let Some(epoch) = news.boot_before {
            self.note_power_on(turn);
            self.boot_began(epoch, &boots, turn);
        }
        if news.went_off {
            let ended = self.session.power_off(turn.now());
            self.audit(Audited::PoweredOff, turn);
            self.session_over(ended, turn);
        }
        if news.is_on {
            self.note_power_on(turn);
        }
        if let Some(epoch) = news.boot {
            self.boot_began(epoch, &boots, turn);
        }
    }

    /// The machine is on, and may have been off before.
    fn note_power_on(&mut self, turn: &mut Turn<'_>) {
        if !self.session.is_powered() {
            self.session.power_on();
            self.audit(Audited::PoweredOn, turn);
        }
    }

    fn boot_began(&mut self, epoch: u64, boots: &[Boot], turn: &mut Turn<'_>) {
        // A boot that printed nothing gives its place to the next, which begins where it did.
        let entry = boots.iter().find(|boot| boot.epoch >= epoch);
        let begins = entry.map_or(0, |boot| boot.start);
        self.audit(Audited::Boot { epoch }, turn);
        for (_, connection) in self.connections.iter_mut() {
            if connection.standing.has_session() {
                connection.outbox.tell_boot(epoch, begins);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a service notices at once, of events that came between two of its looks.
    #[test]
    fn news_come_in_the_order_in_which_they_happened() {
        let power = |on, off_in| Power { on, off_in };
        let news = |boot_before, went_off, is_on, boot| News {
            boot_before,
            went_off,
            is_on,
            boot,
        };
        for (what, power_now, epoch, expected) in [
            (
                "nothing",
                power(true, None),
                1,
                news(None, false, true, None),
            ),
            (
                "reset",
                power(true, None),
                2,
                news(None, false, true, Some(2)),
            ),
            (
                "off",
                power(false, Some(1)),
                1,
                news(None, true, false, None),
            ),
            (
                "off, on",
                power(true, Some(1)),
                2,
                news(None, true, true, Some(2)),
            ),
            (
                "reset, off",
                power(false, Some(2)),
                2,
                news(Some(2), true, false, None),
            ),
            (
                "reset, off, on",
                power(true, Some(2)),
                3,
                news(Some(2), true, true, Some(3)),
            ),
            (
                "off, on, reset, off",
                power(false, Some(3)),
                3,
                news(Some(3), true, false, None),
            ),
        ] {
            let mut machine = Machine::new(power(true, None), 1);
            assert_eq!(machine.look(power_now, epoch), expected, "{what}");
            let again = news(None, false, power_now.on, None);
            assert_eq!(machine.look(power_now, epoch), again, "{what}, again");
        }
    }
}
