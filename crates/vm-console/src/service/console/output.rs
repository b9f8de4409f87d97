//! The guest's output on its way to the connections.

use super::ServedConsole;
use crate::log::MarkKind;
use crate::service::connection::{Pass, Sent};
use crate::service::kernel::ConnectionId;
use crate::service::turn::Turn;
use crate::session::EndReason;

/// Rounds of sending and waiting for more before others get their turn.
const ROUNDS_A_TURN: usize = 4;

impl ServedConsole {
    /// Sends to every connection what it can take, and wakes text logs. If some have seen everything
    /// then, sees to it that more is noticed.
    pub(super) fn send(&mut self, turn: &mut Turn<'_>) {
        let mut at_least_one = false;
        let is_open = self.session.is_open();
        for _ in 0..ROUNDS_A_TURN {
            self.end_log_waits();
            let mut seen = self.wake_text_logs();
            let mut way_round = self.connections.way_round();
            while let Some(id) = self.connections.next_on(&mut way_round) {
                let Some(connection) = self.connections.get_mut(id) else {
                    continue;
                };
                if !connection.outbox.pace.is_ready() {
                    continue;
                }
                // The one that is sent to in any case is one with something to do.
                let offset = if (at_least_one || connection.is_idle()) && turn.is_over() {
                    let seen = connection.pass_over(is_open);
                    if seen.is_some() && connection.standing.lease().is_some() {
                        let (now, shown) = (turn.now(), connection.outbox.read_to());
                        self.lossless.holder_took(now, shown, true, &mut self.port);
                    }
                    seen
                } else {
                    at_least_one = true;
                    self.connections.had_its_turn(id);
                    self.send_to(id, turn)
                };
                seen = seen.into_iter().chain(offset).min();
            }
            let head = self.console.log.head();
            match seen {
                None => {
                    // Only clients of a control socket can ask how old the output is.
                    if self.listeners.take_control_clients() {
                        self.flow.rest(head, turn.now(), &mut self.port);
                    }
                    return;
                }
                Some(seen) if self.flow.wait(seen, head, turn.now(), &mut self.port) => return,
                Some(_) if turn.is_over() => break,
                Some(_) => {}
            }
        }
        // Output comes faster than it can be waited for. Connections that would have waited are
        // served again when others have had their turn.
        for (_, connection) in self.connections.iter_mut() {
            if connection.standing.has_session() {
                connection.outbox.pace.wait_for_room();
            }
        }
        if !self.text_logs.is_empty() {
            turn.want_another(self.id);
        }
    }

    /// The offset up to which text logs see everything by themselves, if there are any.
    fn wake_text_logs(&mut self) -> Option<u64> {
        if self.text_logs.is_empty() {
            return None;
        }
        let head = self.console.log.head();
        self.flow.moved(self.text_logs.wake(head));
        Some(head)
    }

    /// The offset that a connection has seen, if it has seen everything and waits for more.
    fn send_to(&mut self, id: ConnectionId, turn: &mut Turn<'_>) -> Option<u64> {
        let connection = self.connections.get(id)?;
        if connection.standing.is_gone() || connection.standing.has_hung_up() {
            return None;
        }
        self.requests(id, turn);
        let sent = self.send_once(id, turn)?;
        match sent {
            Sent::All | Sent::Throttled | Sent::Behind => {}
            Sent::GapForbidden => {
                self.port.line(turn.now(), |line| line.mark(MarkKind::Gap));
                let connection = self.connections.get_mut(id)?;
                if connection.standing.is_leaving() {
                    // It is told why, as if it had been shown everything.
                    connection.standing.stop_draining();
                } else {
                    self.finish(id, EndReason::TooSlow, turn);
                }
            }
            // What it sent before it left is still carried out.
            Sent::Failed(EndReason::ClientClosed) => self.hang_up(id, turn),
            Sent::Failed(reason) => self.finish(id, reason, turn),
        }
        self.say_goodbye(id, turn);
        let connection = self.connections.get_mut(id)?;
        if connection.has_request_to_do() {
            // It waited for room for its answer, and goes on in the next turn.
            connection.outbox.pace.wait_for_room();
        }
        let may_wait = !connection.standing.is_gone() && connection.outbox.pace.is_ready();
        let seen = connection.has_seen(connection.outbox.resume_offset());
        seen.filter(|_| may_wait)
    }

    /// Sends to one connection, and takes notice of what that moved.
    pub(super) fn send_once(&mut self, id: ConnectionId, turn: &mut Turn<'_>) -> Option<Sent> {
        let now = turn.now();
        let connection = self.connections.get_mut(id)?;
        if connection.standing.is_gone() {
            return None;
        }
        let before = connection.outbox.resume_offset();
        let mut pass = Pass {
            now,
            scratch: turn.scratch(),
            counters: &self.console.counters,
        };
        let sent = connection.send(&mut pass);
        let after = connection.outbox.resume_offset();
        let lease = connection.standing.lease();
        if after != before {
            self.flow.moved(after.abs_diff(before));
        }
        if let Some(lease) = lease {
            if after != before {
                self.session.output(now, lease);
            }
            let everything = sent == Sent::All;
            self.lossless
                .holder_took(now, after, everything, &mut self.port);
        }
        Some(sent)
    }
}
