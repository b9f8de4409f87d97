//! How sessions begin and end, and what follows from it.

use std::time::Duration;

use super::ServedConsole;
use super::admission::{Admission, Grant};
use super::refusal::refusal;
use crate::audit::Audited;
use crate::log::{MarkKind, Start};
use crate::protocol::{AttachRequest, Attached, Held};
use crate::service::command::Outcome;
use crate::service::connection::{Role, Show};
use crate::service::kernel::ConnectionId;
use crate::service::turn::Turn;
use crate::session::{EndReason, Ended, Holder, Limit, Refused};

impl ServedConsole {
    /// Lets a client in as it asks, or tells it why not. `may_read` says whether it
    /// [may see](Self::may_read) what was printed before.
    pub(super) fn attach(
        &mut self,
        id: ConnectionId,
        request: &AttachRequest,
        may_read: bool,
        turn: &mut Turn<'_>,
    ) -> Result<Attached, Refused> {
        // What the owner said of the machine before this came must count, though its bell may be
        // heard later.
        self.catch_up_with_machine(turn);
        let Some(connection) = self.connections.get(id) else {
            return Err(Refused::ShuttingDown);
        };
        let admission = Admission {
            console: &self.console.name,
            config: &self.console.config,
            who: connection.identity(),
        };
        let (ended, grant) = if request.read_only {
            let observers = self.connections.observers();
            (None, admission.observe(&self.session, may_read, observers))
        } else {
            admission.hold(&mut self.session, request.force, turn.now())
        };
        // Before the next session begins, so that neither's input or marks fall into the other's.
        self.session_over(ended, turn);
        match grant {
            Ok(Grant::Observe) => self.begin_observing(id, turn),
            Ok(Grant::Hold { lease, by_force }) => {
                if let Some(connection) = self.connections.get_mut(id) {
                    connection.standing.hold(lease);
                    if !connection.has_limits {
                        self.session.lift_limits(lease);
                    }
                    if connection.standing.has_hung_up() {
                        self.session.hang_up(lease);
                    }
                }
                self.begin_holding(id, request.force, by_force, turn);
            }
            Err(why) => {
                self.refuse(id, &why, turn);
                return Err(why);
            }
        }
        let show = Show {
            start: if may_read { request.replay } else { Start::Now },
            gaps: self.console.config.gaps,
            guarded: self.console.config.guard_replay && !request.unguarded,
            observer: request.read_only,
        };
        let Some(connection) = self.connections.get_mut(id) else {
            return Err(Refused::ShuttingDown);
        };
        let (start, head) = connection.outbox.show(&self.console.log, show);
        Ok(Attached {
            read_only: request.read_only,
            start,
            head,
            epoch: self.console.log.epoch(),
        })
    }

    fn begin_observing(&mut self, id: ConnectionId, turn: &mut Turn<'_>) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        connection.standing.observe(turn.now());
        let who = connection.identity().clone();
        self.console.counters.observers.add(1);
        self.audit(Audited::Observing { who }, turn);
    }

    fn begin_holding(
        &mut self,
        id: ConnectionId,
        forced: bool,
        by_force: bool,
        turn: &mut Turn<'_>,
    ) {
        let Some(connection) = self.connections.get(id) else {
            return;
        };
        let who = connection.identity().clone();
        self.console.counters.attaches.add(1);
        self.console.counters.takeovers.add(u64::from(by_force));
        // Input that a former holder typed and the guest has not taken is not this one's.
        let left = self.port.line(turn.now(), |line| {
            let left = line.input_waiting();
            line.discard_input();
            line.mark(MarkKind::Attach);
            left
        });
        if left > 0 {
            let characters = left as u64;
            self.audit(Audited::InputDiscarded { characters }, turn);
        }
        self.lossless.session_began();
        self.carrier.session_began(turn.now(), &mut self.port);
        self.audit(Audited::Attached { who, forced }, turn);
    }

    fn refuse(&mut self, id: ConnectionId, why: &Refused, turn: &mut Turn<'_>) {
        self.console.counters.refused[why.index()].add(1);
        let refusal = refusal(why, turn.time_of_day());
        let until = turn.now().saturating_add(self.console.config.linger);
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let who = connection.identity().clone();
        let name = &self.console.name;
        connection.tell(|framing, out| framing.refuse(name, &refusal, out));
        if !connection.outlives_sessions() {
            connection.standing.close(until);
        }
        connection.report(Outcome::Refused(why.clone()));
        let why = why.clone();
        self.audit(Audited::Refused { who, why }, turn);
    }

    /// Draws the consequences of a session's end.
    pub(super) fn session_over(&mut self, ended: Option<Ended>, turn: &mut Turn<'_>) {
        let Some(ended) = ended else { return };
        let counters = &self.console.counters;
        counters.ended[ended.reason.index()].add(1);
        let keeps_input = ended.reason.keeps_input();
        let lossless = &mut self.lossless;
        self.port.line(turn.now(), |line| {
            line.mark(MarkKind::Detach);
            lossless.release(line);
            if !keeps_input {
                line.discard_input();
            }
        });
        self.carrier.session_over(turn.now(), &mut self.port);
        let until = turn.now().saturating_add(self.console.config.linger);
        if let Some(connection) = self.connections.of_lease(ended.lease) {
            counters.input_discarded.add(connection.inbox.discard());
            connection.end_session(ended.reason.clone(), self.console.log.head(), until);
            // It may have had its part of this turn already.
            turn.want_another(self.id);
        }
        let over = Audited::Ended {
            who: ended.identity,
            why: ended.reason,
            held_for: ended.held_for,
        };
        self.audit(over, turn);
    }

    /// A connection's session ends, if it has one. The connection goes on, if its kind does.
    pub(super) fn end_session(&mut self, id: ConnectionId, reason: EndReason, turn: &mut Turn<'_>) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        match connection.standing.role() {
            Role::Holder(lease) => {
                let ended = self.session.detach(turn.now(), *lease, reason);
                self.session_over(ended, turn);
            }
            Role::Observer { .. } => {
                let who = connection.identity().clone();
                let until = turn.now().saturating_add(self.console.config.linger);
                connection.end_session(reason.clone(), self.console.log.head(), until);
                self.audit(Audited::ObserverLeft { who, why: reason }, turn);
            }
            Role::Guest { .. } | Role::Leaving { .. } => connection.standing.go(),
        }
    }

    /// As [`end_session`](Self::end_session); a connection whose client has closed it is gone.
    pub(super) fn finish(&mut self, id: ConnectionId, reason: EndReason, turn: &mut Turn<'_>) {
        if reason == EndReason::ClientClosed
            && let Some(connection) = self.connections.get_mut(id)
        {
            connection.standing.go();
        }
        self.end_session(id, reason, turn);
    }

    /// A limit comes up.
    pub(super) fn warn(&mut self, limit: Limit, remaining: Duration, turn: &mut Turn<'_>) {
        self.console.counters.warnings.add(1);
        self.audit(Audited::Warned { limit }, turn);
        let name = &self.console.name;
        let lease = self.session.holder().map(Holder::lease);
        if let Some(connection) = lease.and_then(|lease| self.connections.of_lease(lease)) {
            connection.tell(|framing, out| framing.warn(name, limit, remaining, out));
        }
    }

    /// A leaving client that has seen what it was to see is told why it leaves.
    pub(super) fn say_goodbye(&mut self, id: ConnectionId, turn: &mut Turn<'_>) {
        let is_open = self.session.is_open();
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if let Some((why, until)) = connection.has_drained() {
            let resume = connection.outbox.resume_offset();
            let epoch = self.console.log.epoch();
            let name = &self.console.name;
            connection.outbox.stop_showing(&self.console.counters);
            connection.tell(|framing, out| framing.farewell(name, &why, resume, epoch, out));
            connection.standing.has_left();
            if !(connection.outlives_sessions() && is_open && connection.inbox.is_open()) {
                connection.standing.close(until);
            }
            // An error shows again when the connection is served next.
            let _ = self.send_once(id, turn);
        }
        if let Some(connection) = self.connections.get_mut(id) {
            // A service that shuts down waits until what it said is taken, and not for its clients
            // to close.
            connection.finish_output(is_open);
        }
    }

    /// A leaving client has not read what was left for it in time. The reason still reaches it, if
    /// its socket has room for that.
    pub(super) fn say_last_words(&mut self, id: ConnectionId, turn: &mut Turn<'_>) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.prepare_last_words();
        }
        // What was begun has to be finished, or the reason would be taken for a part of it.
        let _ = self.send_once(id, turn);
        self.say_goodbye(id, turn);
        if let Some(connection) = self.connections.get_mut(id) {
            connection.standing.go();
        }
    }
}

/// A holder as others are told of it.
pub(super) fn held(holder: &Holder, now: Duration) -> Held {
    Held {
        by: holder.identity().to_string(),
        held_for: now.saturating_sub(holder.since()),
        idle_for: holder.idle_for(now),
    }
}
