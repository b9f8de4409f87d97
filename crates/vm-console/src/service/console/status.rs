//! How the console stands, and who is there.

use std::time::Duration;

use super::ServedConsole;
use super::asked::Asked;
use super::sessions::held;
use crate::log::{Mark, MarkKind, UnixTime};
use crate::protocol::{Observer, ServerFrame, Status, Status2, Status3, StatusDetails};
use crate::service::connection::Role;
use crate::service::kernel::ConnectionId;
use crate::service::turn::Turn;
use crate::session::Limit;

/// Most observers in one answer.
const OBSERVERS: usize = 256;

impl ServedConsole {
    /// The status in the newest form that whoever asks understands.
    pub(super) fn told_status(
        &self,
        id: ConnectionId,
        asked: Asked,
        turn: &Turn<'_>,
    ) -> ServerFrame {
        let connection = self.connections.get(id);
        let version = connection.map_or(1, |connection| connection.wire.version());
        match (asked, version) {
            (Asked::Plainly, _) => ServerFrame::Status(self.status(turn)),
            (Asked::Numbered(_), ..3) => ServerFrame::Status2(Status2(self.status(turn))),
            (Asked::Numbered(_), _) => ServerFrame::Status3(Status3(Status {
                counters: self.counters_by_key(),
                details: Some(self.details(turn)),
                ..self.standing(turn)
            })),
        }
    }

    /// How the console stands, with the names of counters for people.
    pub(in crate::service) fn status(&self, turn: &Turn<'_>) -> Status {
        let mut counters: Vec<_> = self.console.counters().iter().collect();
        let accounting = self.console.log.accounting();
        counters.push(("output bytes written".into(), accounting.written));
        counters.push(("output bytes overwritten".into(), accounting.overwritten));
        Status {
            counters,
            ..self.standing(turn)
        }
    }

    fn counters_by_key(&self) -> Vec<(String, u64)> {
        let mut counters: Vec<_> = self.console.counters().by_key().collect();
        let accounting = self.console.log.accounting();
        counters.push(("output_written".into(), accounting.written));
        counters.push(("output_overwritten".into(), accounting.overwritten));
        counters
    }

    /// All but the counters and the details.
    fn standing(&self, turn: &Turn<'_>) -> Status {
        let log = &self.console.log;
        let holder = self.session.holder();
        Status {
            console: self.console.name.to_string(),
            powered: self.session.is_powered(),
            boot_log: self.session.boot_log_is_on(),
            holder: holder.map(|holder| held(holder, turn.now())),
            observers: self.connections.observers() as u32,
            oldest: log.oldest(),
            head: log.head(),
            epoch: log.epoch(),
            log: log.id(),
            counters: Vec::new(),
            details: None,
        }
    }

    fn details(&self, turn: &Turn<'_>) -> StatusDetails {
        let now = turn.now();
        let config = &self.console.config;
        let policy = self.session.policy();
        let limit = |span: Duration| (!span.is_zero()).then_some(span);
        let marks = self.console.log.marks();
        let changed = marks.iter().rev().find(|mark| changes_machine(mark));
        let time_of_day = UnixTime::from(turn.time_of_day());
        let holder = self.session.holder();
        StatusDetails {
            output_age: self.output_clock.age(self.console.log.head(), now),
            machine_age: changed.map(|mark| time_of_day.abs_diff(mark.at.min(time_of_day))),
            idle_limit: limit(policy.idle_limit),
            absolute_limit: limit(policy.absolute_limit),
            idle_left: self.session.time_left(Limit::Idle, now),
            absolute_left: self.session.time_left(Limit::Absolute, now),
            session: holder.map(|holder| holder.lease().number()),
            max_observers: in_32_bits(config.max_observers),
            connections: in_32_bits(self.connections.len()),
            max_connections: in_32_bits(config.max_connections),
            input_waiting: in_32_bits(self.console.counters().input_waiting()),
        }
    }

    /// Who observes, in the order in which they came.
    pub(super) fn observers(&self, turn: &Turn<'_>) -> ServerFrame {
        let head = self.console.log.head();
        let mut observers: Vec<_> = self
            .connections
            .iter()
            .filter_map(|(_, connection)| {
                let Role::Observer { since } = connection.standing.role() else {
                    return None;
                };
                let (behind, replaying) = connection.outbox.lag(head);
                Some(Observer {
                    who: connection.identity().to_string(),
                    observing_for: turn.now().saturating_sub(*since),
                    behind,
                    replaying,
                })
            })
            .collect();
        observers.sort_by_key(|observer| std::cmp::Reverse(observer.observing_for));
        observers.truncate(OBSERVERS);
        ServerFrame::Observers(observers)
    }
}

fn changes_machine(mark: &Mark) -> bool {
    matches!(
        mark.kind,
        MarkKind::PowerOn | MarkKind::Reset | MarkKind::PowerOff
    )
}

fn in_32_bits(count: impl TryInto<u32>) -> u32 {
    count.try_into().unwrap_or(u32::MAX)
}
