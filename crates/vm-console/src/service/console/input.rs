//! What connections send, on its way to the guest.

use std::io;

use super::ServedConsole;
use crate::audit::Audited;
use crate::escape::Typed;
use crate::protocol::PowerAction;
use crate::service::connection::Wire;
use crate::service::kernel::ConnectionId;
use crate::service::turn::Turn;
use crate::session::EndReason;
use crate::transport::stream::Arrived;

/// Reads from one connection before others get their turn.
const READS_A_TURN: usize = 4;
/// Bytes read from a connection at a time.
const READ: usize = 4096;
/// Turns of reading that a connection whose peer is gone gets at once.
const LAST_READS: usize = 16;

const HELP: &str = "\r\n~. leave   ~B send BREAK   ~R reset   ~~ a tilde   ~? this\r\n";

impl ServedConsole {
    /// The peer is gone. What it sent before is still carried out, in bounded time; what it was to
    /// read is void.
    pub(super) fn hang_up(&mut self, id: ConnectionId, turn: &mut Turn<'_>) {
        let until = turn.now().saturating_add(self.console.config.linger);
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        connection.unwatch(turn);
        connection.standing.hang_up(until);
        if let Some(lease) = connection.standing.lease() {
            self.session.hang_up(lease);
        }
        self.hear_out(id, turn);
    }

    /// Carries out the rest of what a gone peer has sent, then lets the connection go.
    pub(super) fn hear_out(&mut self, id: ConnectionId, turn: &mut Turn<'_>) {
        for _ in 0..LAST_READS {
            let Some(connection) = self.connections.get_mut(id) else {
                return;
            };
            if !connection.standing.has_hung_up() {
                return;
            }
            // Nobody reads the answers, so they must not stand in the way, nor be waited for.
            connection.outbox.discard();
            connection.wire.end_wait();
            if connection.has_request_to_do() {
                self.requests(id, turn);
            } else if connection.may_be_read() {
                self.read(id, turn);
            } else {
                break;
            }
        }
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        // Its last request may have been one more wait.
        connection.wire.end_wait();
        if connection.has_request_to_do() || connection.may_be_read() {
            turn.want_another(self.id);
        } else if connection.inbox.is_empty() && !connection.listens() {
            self.finish(id, EndReason::ClientClosed, turn);
        }
    }

    pub(super) fn read(&mut self, id: ConnectionId, turn: &mut Turn<'_>) {
        let mut buffer = [0; READ];
        for _ in 0..READS_A_TURN {
            let Some(connection) = self.connections.get_mut(id) else {
                return;
            };
            if !connection.listens() {
                return;
            }
            match connection.stream().read(&mut buffer) {
                Ok(Arrived::Bytes(n)) => self.arrived(id, &mut buffer[..n], turn),
                Ok(Arrived::Nothing) => {
                    if connection.standing.has_hung_up() {
                        // After a hang-up, nothing now is nothing ever.
                        connection.inbox.close();
                    }
                    return;
                }
                Ok(Arrived::Later) => return,
                Ok(Arrived::End) => return self.input_ended(id, turn),
                Err(error) => return self.input_failed(id, &error, turn),
            }
        }
    }

    fn input_failed(&mut self, id: ConnectionId, error: &io::Error, turn: &mut Turn<'_>) {
        let until = turn.now().saturating_add(self.console.config.linger);
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        connection.inbox.close();
        if error.kind() != io::ErrorKind::QuotaExceeded {
            return self.finish(id, EndReason::ClientClosed, turn);
        }
        if connection.standing.has_session() || connection.standing.has_hung_up() {
            return self.finish(id, EndReason::Error(error.to_string()), turn);
        }
        let (name, why) = (&self.console.name, error.to_string());
        connection.tell(|framing, out| framing.turn_away(name, &why, out));
        connection.standing.close(until);
    }

    fn input_ended(&mut self, id: ConnectionId, turn: &mut Turn<'_>) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        connection.inbox.close();
        // A raw client that has closed only its own side still watches. Frames go both ways or not
        // at all.
        let watches = !connection.outlives_sessions()
            && connection.standing.has_session()
            && connection.stream().tells_when_closed();
        if watches {
            // It will never type again, so the console is free for the next who wants it.
            if let Some(lease) = connection.standing.lease() {
                self.session.hang_up(lease);
            }
        } else if connection.standing.is_closing() && connection.outbox.has_pending() {
            // It is still to be told why.
        } else if !connection.standing.is_leaving() && !connection.standing.has_hung_up() {
            self.finish(id, EndReason::ClientClosed, turn);
        }
    }

    fn arrived(&mut self, id: ConnectionId, bytes: &mut [u8], turn: &mut Turn<'_>) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if let Wire::Raw {
            newlines: Some(newlines),
            ..
        } = &mut connection.wire
        {
            newlines.replace(bytes);
        }
        match &mut connection.wire {
            Wire::Control { decoder, .. } => {
                decoder.feed(bytes);
                self.requests(id, turn);
            }
            Wire::Raw { escape: None, .. } => {
                self.type_bytes(id, bytes, turn);
            }
            Wire::Raw {
                escape: Some(escape),
                ..
            } => {
                let mut typed = Vec::new();
                escape.feed(bytes, |what| typed.push(what));
                for what in typed {
                    if what == Typed::Leave {
                        // What is typed after that is for nobody.
                        return self.leave(id, turn);
                    }
                    self.escaped(id, what, turn);
                }
            }
        }
    }

    fn escaped(&mut self, id: ConnectionId, what: Typed, turn: &mut Turn<'_>) {
        match what {
            Typed::Byte(byte) => {
                self.type_bytes(id, &[byte], turn);
            }
            Typed::Break => {
                self.type_break(id, turn);
            }
            Typed::Reset => {
                if let Err(failure) = self.power(id, PowerAction::Restart, turn)
                    && let Some(connection) = self.connections.get_mut(id)
                {
                    let text = format!("\r\n[{}]\r\n", failure.text);
                    connection.outbox.queue(|out| out.extend(text.as_bytes()));
                }
            }
            Typed::Help => {
                if let Some(connection) = self.connections.get_mut(id) {
                    connection.outbox.queue(|out| out.extend(HELP.as_bytes()));
                }
            }
            Typed::Leave => self.leave(id, turn),
        }
    }

    /// The client leaves by an escape. What it typed before still goes to the guest, as that of one
    /// that has hung up.
    fn leave(&mut self, id: ConnectionId, turn: &mut Turn<'_>) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.inbox.close();
        }
        self.hang_up(id, turn);
    }

    /// Types for a connection. Whether its session lets it.
    pub(super) fn type_bytes(
        &mut self,
        id: ConnectionId,
        bytes: &[u8],
        turn: &mut Turn<'_>,
    ) -> bool {
        let Some(connection) = self.connections.get_mut(id) else {
            return false;
        };
        let Some(lease) = connection.standing.lease() else {
            return false;
        };
        if bytes.is_empty() {
            // Nothing typed is no input.
            return true;
        }
        let counters = &self.console.counters;
        counters.input.add(bytes.len() as u64);
        if !self.session.input(turn.now(), lease) {
            counters.input_discarded.add(bytes.len() as u64);
            return false;
        }
        self.flow.typed(turn.now());
        let mut taken = 0;
        if connection.inbox.is_empty() && self.carrier.lets_input_in() {
            taken = self.port.line(turn.now(), |line| {
                let taken = line.queue_bytes(bytes);
                if taken < bytes.len() {
                    line.want_room();
                }
                taken
            });
        }
        connection.inbox.type_bytes(&bytes[taken..]);
        true
    }

    /// Types BREAK for a connection. Whether its session lets it.
    pub(super) fn type_break(&mut self, id: ConnectionId, turn: &mut Turn<'_>) -> bool {
        let Some(connection) = self.connections.get_mut(id) else {
            return false;
        };
        let lease = connection.standing.lease();
        if !lease.is_some_and(|lease| self.session.input(turn.now(), lease)) {
            return false;
        }
        self.console.counters.breaks.add(1);
        connection.inbox.type_break();
        let who = connection.identity().clone();
        self.audit(Audited::Break { who }, turn);
        self.pass_on(id, turn);
        true
    }

    /// Moves what did not fit before into the line's queue.
    fn pass_on(&mut self, id: ConnectionId, turn: &Turn<'_>) {
        let may = self.carrier.lets_input_in();
        if let Some(connection) = self.connections.get_mut(id)
            && may
            && !connection.inbox.is_empty()
            && connection.standing.lease().is_some()
        {
            let inbox = &mut connection.inbox;
            self.port.line(turn.now(), |line| inbox.pass_on(line));
        }
    }

    /// There may be room for input again: moves on what waits, and whatever waited behind it.
    pub(super) fn input_may_move(&mut self, id: ConnectionId, turn: &mut Turn<'_>) {
        self.pass_on(id, turn);
        self.requests(id, turn);
        self.hear_out(id, turn);
    }
}
