//! How connections are taken out.

use super::ServedConsole;
use crate::service::kernel::ConnectionId;
use crate::service::turn::Turn;
use crate::session::EndReason;
use crate::transport::accept::Release;

impl ServedConsole {
    /// Takes out who is gone.
    pub(super) fn reap(&mut self, turn: &mut Turn<'_>) {
        while let Some(id) = self.connections.gone() {
            self.remove_connection(id, turn);
        }
    }

    pub(super) fn remove_connection(&mut self, id: ConnectionId, turn: &mut Turn<'_>) {
        // It may have lost its descriptor and not its session.
        let connection = self.connections.get(id);
        if connection.is_some_and(|connection| connection.standing.has_session()) {
            let why = EndReason::Error("its descriptor cannot be watched".into());
            self.end_session(id, why, turn);
        }
        let Some(mut connection) = self.connections.remove(id) else {
            return;
        };
        connection.outbox.stop_showing(&self.console.counters);
        connection.unwatch(turn);
        while let Some(passed) = self.connections.passed_by(id) {
            self.finish(passed, EndReason::ClientClosed, turn);
            self.remove_connection(passed, turn);
        }
        if let Some(slot) = connection.slot {
            let how = if connection.standing.peer_left() {
                Release::Left
            } else {
                Release::LetGo
            };
            // The descriptor first: the listener may need it.
            drop(connection);
            self.listeners.release(slot, how, turn);
        }
        // A descriptor is free now: whoever waited for one may try again.
        self.listeners.resume(turn);
    }
}
