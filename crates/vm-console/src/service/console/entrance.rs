//! How clients come in: through listeners, or handed over by the owner.

use std::fmt;

use super::ServedConsole;
use crate::audit::Audited;
use crate::drop_limit::Dropper;
use crate::escape::Escape;
use crate::protocol::AttachRequest;
use crate::rate::TokenBucket;
use crate::service::command::Caller;
use crate::service::connection::{Connection, Wire};
use crate::service::kernel::{ConnectionId, Readiness};
use crate::service::turn::Turn;
use crate::session::{EndReason, Identity, Transport};
use crate::transport::Kind;
use crate::transport::accept::{Accepted, Came, Release, Unreachable};
use crate::transport::closer::{costs_too_much, has_too_many};
use crate::transport::quota::TOO_MANY;
use crate::transport::stdio::FdClient;
use crate::transport::stream::Stream;

/// Clients accepted before others get their turn.
const ACCEPTS_A_TURN: usize = 16;

impl ServedConsole {
    pub(super) fn on_listener(&mut self, slot: usize, ready: Readiness, turn: &mut Turn<'_>) {
        for _ in 0..ACCEPTS_A_TURN {
            let Some((came, kind)) = self.listeners.accept(slot) else {
                return;
            };
            match came {
                Came::Client(accepted) => self.admit(slot, kind, accepted, turn),
                Came::Lost => {}
                Came::Nobody if ready.hung_up => {
                    // Somebody shut it down, and it would say so again and again.
                    return self.close_listener(slot, "it was shut down", turn);
                }
                Came::Nobody => return,
                Came::Left => {
                    if let Some(id) = self.connections.of_slot(slot) {
                        self.hang_up(id, turn);
                    }
                    return;
                }
                Came::Unreachable(peer) => return self.peer_is_unreachable(&peer, turn),
                Came::Dead(error) => return self.close_listener(slot, &error, turn),
                Came::Exhausted(error) => {
                    self.listeners.pause(slot, turn);
                    self.console.counters.listener_pauses.add(1);
                    let name = &self.console.name;
                    turn.warn(|| format!("console {name}: cannot accept a client: {error}"));
                    return self.audit(Audited::ListenerPaused, turn);
                }
            }
            if turn.is_over() {
                return;
            }
        }
    }

    /// Told once, and not at each try: it may be for days that nobody listens there.
    fn peer_is_unreachable(&mut self, peer: &Unreachable, turn: &mut Turn<'_>) {
        self.console.counters.unreachable_peers.add(1);
        let name = &self.console.name;
        let Unreachable {
            address,
            error,
            is_first,
        } = peer;
        if *is_first {
            turn.warn(|| {
                format!("console {name}: cannot connect to {address}: {error}; goes on trying")
            });
        }
    }

    fn close_listener(&mut self, slot: usize, why: impl fmt::Display, turn: &mut Turn<'_>) {
        self.listeners.close(slot, turn);
        let name = &self.console.name;
        turn.warn(|| format!("console {name}: a listener is gone: {why}"));
    }

    fn admit(&mut self, slot: usize, kind: Kind, accepted: Accepted, turn: &mut Turn<'_>) {
        let Accepted {
            stream,
            transport,
            credentials,
            address,
            admitted,
            exclusive,
            settles,
        } = accepted;
        self.console.counters.connections.add(1);
        let (transport, wire) = match kind {
            Kind::Raw {
                force,
                read_only,
                newlines,
            } => {
                let request = AttachRequest {
                    force,
                    read_only,
                    replay: self.console.config.replay,
                    ..AttachRequest::default()
                };
                let wire = self.raw(None, Some(request)).with_newlines(newlines);
                (transport, wire)
            }
            Kind::Control => (Transport::Control, Wire::control()),
        };
        let mut identity = Identity::new(transport, "");
        if let Some(credentials) = credentials {
            identity = identity.with_credentials(credentials);
        }
        if let Some(address) = address {
            identity = identity.with_address(address);
        }
        let uid = credentials.map(|peer| peer.uid);
        let refusal = if uid.is_some() && has_too_many(uid) {
            if stream.has_unread() && costs_too_much(uid) {
                self.listeners.may_not_close(slot, turn);
            }
            Some(TOO_MANY)
        } else if !admitted {
            Some("not permitted")
        } else if !self.make_room(None, turn) {
            Some("too many connections")
        } else {
            None
        };
        if let Some(why) = refusal {
            self.turn_away(stream, &wire, why);
            if exclusive {
                self.listeners.release(slot, Release::LetGo, turn);
            }
            return;
        }
        let id = self.add_connection(identity, stream, wire, turn);
        let (name, log) = (&self.console.name, &self.console.log);
        if let Some(connection) = self.connections.get_mut(id) {
            connection.slot = exclusive.then_some(slot);
            if !settles.is_zero() {
                let until = turn.now().saturating_add(settles);
                connection.outbox.pace.be_quiet_until(until);
            }
            connection.tell(|framing, out| framing.greet(name, log.head(), log.epoch(), out));
        }
        self.attach_on_arrival(id, turn);
    }

    /// Coming in on a raw connection is an attach, which may have to wait for a search in the log.
    pub(super) fn attach_on_arrival(&mut self, id: ConnectionId, turn: &mut Turn<'_>) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let Wire::Raw { attach, .. } = &mut connection.wire else {
            return;
        };
        let Some(request) = attach.take() else {
            return;
        };
        if self.has_found(Some(request.replay)) {
            let may_read = self
                .connections
                .get(id)
                .is_some_and(|connection| self.may_read(connection.identity()));
            // Told to the connection by the attach itself, whichever way it goes.
            let _ = self.attach(id, &request, may_read, turn);
        } else if let Some(connection) = self.connections.get_mut(id)
            && let Wire::Raw { attach, .. } = &mut connection.wire
        {
            *attach = Some(request);
            connection.outbox.pace.wait_for_room();
        }
    }

    /// Whether one more connection may be taken in. If there are too many, the one without a session
    /// that has asked for nothing for longest has to go, but not `except`: silent connections must
    /// not keep out whoever wants the console.
    pub(super) fn make_room(&mut self, except: Option<ConnectionId>, turn: &mut Turn<'_>) -> bool {
        if self.connections.len() < self.console.config.max_connections {
            return true;
        }
        let Some(id) = self.connections.dispensable(except) else {
            return false;
        };
        self.console.counters.connections_turned_away.add(1);
        let name = &self.console.name;
        if let Some(connection) = self.connections.get_mut(id) {
            connection.tell(|framing, out| framing.turn_away(name, "too many connections", out));
        }
        // It is told if there is room for that, and not waited for.
        let _ = self.send_once(id, turn);
        self.remove_connection(id, turn);
        true
    }

    /// One line, at once, and no more: there is no state for it.
    fn turn_away(&mut self, mut stream: Box<dyn Stream>, wire: &Wire, why: &str) {
        self.console.counters.connections_turned_away.add(1);
        let mut line = Vec::new();
        let framing = wire.framing();
        framing.turn_away(&self.console.name, why, &mut line);
        // The first bytes on a new connection always find room.
        let _ = stream.write(&line);
    }

    /// Attaches what the owner hands over.
    pub(in crate::service) fn attach_files(
        &mut self,
        files: FdClient,
        caller: Caller,
        turn: &mut Turn<'_>,
    ) {
        let FdClient {
            stream,
            identity,
            escape,
            force,
            read_only,
            replay,
            has_limits,
            newlines,
        } = files;
        let request = AttachRequest {
            force,
            read_only,
            replay: replay.unwrap_or(self.console.config.replay),
            ..AttachRequest::default()
        };
        let wire = self.raw(escape, Some(request)).with_newlines(newlines);
        let id = self.add_connection(identity, stream, wire, turn);
        if let Some(connection) = self.connections.get_mut(id) {
            connection.report_to(caller);
            connection.has_limits = has_limits;
        }
        self.attach_on_arrival(id, turn);
    }

    pub(super) fn add_connection(
        &mut self,
        identity: Identity,
        stream: Box<dyn Stream>,
        wire: Wire,
        turn: &Turn<'_>,
    ) -> ConnectionId {
        let (config, now) = (&self.console.config, turn.now());
        let bucket = config.rate_limit.map(|limit| TokenBucket::new(limit, now));
        let dropper = config.drop_limit.map(|limit| Dropper::new(limit, now));
        let connection = Connection::new(identity, stream, wire, bucket, dropper, now);
        self.connections.add(connection)
    }

    /// What a client speaks that sends and is sent bytes.
    pub(super) fn raw(&self, escape: Option<Escape>, attach: Option<AttachRequest>) -> Wire {
        Wire::Raw {
            escape,
            newlines: None,
            notices: self.console.config.notices,
            attach,
        }
    }

    /// Ends the session for a reason of the owner's.
    pub(in crate::service) fn disconnect(&mut self, reason: EndReason, turn: &mut Turn<'_>) {
        let ended = self.session.end(turn.now(), reason);
        self.session_over(ended, turn);
    }
}
