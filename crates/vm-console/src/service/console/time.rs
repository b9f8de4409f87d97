//! What comes with time, and when that is: a fold over the parts.

use std::time::Duration;

use super::ServedConsole;
use crate::service::turn::Turn;
use crate::session::{EndReason, Tick};

/// How often the lag of clients is polled where it is bounded: a stopped client causes no event.
const LAG_INTERVAL: Duration = Duration::from_millis(500);

impl ServedConsole {
    pub(super) fn on_time(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now();
        self.port.on_time(now);
        self.flow.on_time(now);
        if self.flow.wants_to_watch(now) {
            self.watch_bell(turn);
        }
        while let Some(tick) = self.session.tick(now) {
            match tick {
                Tick::End(ended) => self.session_over(Some(ended), turn),
                Tick::Warn {
                    limit, remaining, ..
                } => self.warn(limit, remaining, turn),
            }
        }
        self.lossless
            .on_time(now, &mut self.port, &self.console.counters);
        let is_held = self.session.holder().is_some();
        if self.carrier.on_time(now, is_held, &mut self.port) {
            self.each_connection(turn, Self::input_may_move);
        }
        self.listeners.on_time(now, turn);
        let most = self.console.config.max_behind;
        self.each_connection(turn, |served, id, turn| {
            let Some(connection) = served.connections.get_mut(id) else {
                return;
            };
            connection.on_time(now);
            let too_slow = connection.standing.has_session()
                && most.is_some_and(|most| connection.outbox.bytes_behind() > most);
            if connection.standing.has_lingered(now) {
                served.say_last_words(id, turn);
            } else if connection.standing.was_heard_out(now) {
                served.finish(id, EndReason::ClientClosed, turn);
            } else if too_slow {
                served.finish(id, EndReason::TooSlow, turn);
            }
        });
    }

    pub(super) fn next_deadline(&self, now: Duration) -> Option<Duration> {
        let mut connections = self.connections.iter();
        let lags = self.console.config.max_behind.is_some()
            && connections.any(|(_, connection)| {
                connection.standing.has_session() && connection.outbox.pace.is_behind()
            });
        let lag = lags.then(|| now.saturating_add(LAG_INTERVAL));
        let connections = self.connections.iter();
        let parts = [
            self.session.next_deadline(),
            self.listeners.next_deadline(),
            self.port.next_deadline(),
            self.flow.next_deadline(),
            self.lossless.next_deadline(),
            self.carrier.next_deadline(),
            lag,
        ];
        connections
            .map(|(_, connection)| connection.next_deadline())
            .chain(parts)
            .flatten()
            .min()
    }
}
