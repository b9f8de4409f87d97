//! Waiting for output over a control socket, without an observer's place.
//!
//! A wait is put back in its connection. Whatever may bring what it waits for, the doorbell or a look
//! at output that flows, leads to a turn of sending, in which it is looked at; its deadline is the
//! connection's. It is then a request like any other again, and costs no turn before.

use std::time::Duration;

use super::ServedConsole;
use super::asked::{Asked, Failure, GONE, Reply};
use super::log_read::LOG_READ;
use crate::audit::Audited;
use crate::log::Start;
use crate::protocol::{LogNews, LogWait, MachineState, ServerFrame};
use crate::service::connection::Wait;
use crate::service::kernel::ConnectionId;
use crate::service::turn::Turn;

/// The longest wait. A client that still wants to wait asks again.
const PATIENCE: Duration = Duration::from_secs(60);

/// Fewer bytes than this are no full answer, whatever the client wants: it could ask for each byte
/// by itself.
const FEW: u64 = 4096;

impl ServedConsole {
    pub(super) fn begin_log_wait(
        &mut self,
        id: ConnectionId,
        number: u32,
        request: LogWait,
        turn: &mut Turn<'_>,
    ) -> Result<(), Failure> {
        let connection = self.connections.get(id).ok_or(GONE)?;
        let who = connection.identity().clone();
        let follows_from = connection.follows_from;
        self.demand_right_to_read(&who)?;
        let start = self.place(
            request.read.start,
            request.read.log,
            Asked::Numbered(number),
        )?;
        let from = self.console.log.locate(start).offset;
        if follows_from != Some(from) {
            self.audit(Audited::Following { who, from }, turn);
        }
        let now = turn.now();
        let until = now.saturating_add(request.patience.min(PATIENCE));
        let wait = Wait {
            number,
            request,
            from,
            until,
        };
        let is_over = until <= now || self.scene().ends(&wait);
        if let Some(connection) = self.connections.get_mut(id) {
            connection.follows_from = Some(from);
            connection.wire.wait_for_output(wait);
            if is_over {
                connection.wire.end_wait();
            }
        }
        Ok(())
    }

    /// Ends all waits for what is there. They are answered afterwards: an answer has those that come
    /// later wait for the next look.
    pub(super) fn end_log_waits(&mut self) {
        let scene = self.scene();
        for (_, connection) in self.connections.iter_mut() {
            if connection.wire.wait().is_some_and(|wait| scene.ends(wait)) {
                connection.wire.end_wait();
            }
        }
    }

    fn scene(&self) -> Scene {
        Scene {
            head: self.console.log.head(),
            machine: MachineState {
                epoch: self.console.log.epoch(),
                powered: self.session.is_powered(),
            },
            boot_log_is_on: self.session.boot_log_is_on(),
            looks_again: self.flow.looks_again(),
        }
    }

    pub(super) fn log_news(&mut self, id: ConnectionId, wait: &Wait, turn: &mut Turn<'_>) -> Reply {
        let connection = self.connections.get(id).ok_or(GONE)?;
        self.demand_right_to_read(connection.identity())?;
        let read = wait.request.read;
        let data = self.read_log(read.id, Start::Offset(wait.from), read.max);
        self.console.counters.log_waits.add(1);
        self.flow.answered(turn.now(), data.bytes.len() as u64);
        if let Some(connection) = self.connections.get_mut(id) {
            connection.follows_from = Some(data.next);
        }
        Ok(Some(ServerFrame::LogNews(LogNews {
            powered: self.session.is_powered(),
            data,
        })))
    }
}

/// What a wait may end for, its deadline aside.
struct Scene {
    head: u64,
    machine: MachineState,
    boot_log_is_on: bool,
    /// Output is looked for at a later moment.
    looks_again: bool,
}

impl Scene {
    fn ends(&self, wait: &Wait) -> bool {
        let LogWait { read, known, .. } = wait.request;
        let bytes = self.head.saturating_sub(wait.from);
        let full = (LOG_READ as u64).min(read.max.into()).max(FEW);
        !self.boot_log_is_on
            || known != self.machine
            || bytes >= full
            || bytes > 0 && !self.looks_again
    }
}
