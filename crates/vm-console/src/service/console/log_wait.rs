//! Waiting for output over a control socket, without an observer's place.
//!
//! A wait is put back in its connection. Whatever may bring what it waits for leads to a turn of
//! sending, where it is looked at: the doorbell, a look at output that flows, or its deadline. It is
//! then a request like any other again, and costs no turn before.

use std::time::Duration;

use super::ServedConsole;
use super::asked::{Asked, Failure, GONE, Reply};
use super::log_read::LOG_READ;
use crate::audit::Audited;
use crate::log::Start;
use crate::protocol::{LogNews, LogWait, ServerFrame};
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
        let until = turn.now().saturating_add(request.patience.min(PATIENCE));
        if let Some(connection) = self.connections.get_mut(id) {
            connection.follows_from = Some(from);
            connection.wire.wait_for_output(Wait {
                number,
                request,
                from,
                until,
            });
        }
        Ok(())
    }

    /// Ends all waits for what is there. They are answered afterwards: an answer has those that come
    /// later wait for the next look.
    pub(super) fn end_log_waits(&mut self, turn: &mut Turn<'_>) {
        self.each_connection(turn, |served, id, turn| served.end_log_wait(id, turn));
    }

    /// Ends the wait of a connection if what it waits for is there.
    pub(super) fn end_log_wait(&mut self, id: ConnectionId, turn: &Turn<'_>) {
        let connection = self.connections.get(id);
        let wait = connection.and_then(|connection| connection.wire.wait());
        if wait.is_some_and(|wait| self.has_come(wait, turn))
            && let Some(connection) = self.connections.get_mut(id)
        {
            connection.wire.end_wait();
        }
    }

    fn has_come(&self, wait: &Wait, turn: &Turn<'_>) -> bool {
        let log = &self.console.log;
        let LogWait { read, known, .. } = wait.request;
        let bytes = log.head().saturating_sub(wait.from);
        let full = (LOG_READ as u64).min(read.max.into()).max(FEW);
        !self.session.boot_log_is_on()
            || known.powered != self.session.is_powered()
            || known.epoch != log.epoch()
            || bytes >= full
            || bytes > 0 && !self.flow.looks_again()
            || wait.until <= turn.now()
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
