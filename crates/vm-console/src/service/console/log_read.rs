//! Reading the log over a control socket, and how the console stands.

use super::ServedConsole;
use super::asked::{Asked, GONE, Reply, fail};
use crate::audit::Audited;
use crate::log::Read;
use crate::protocol::{ErrorCode, LogData, LogRequest, ServerFrame, Status};
use crate::service::kernel::ConnectionId;
use crate::service::turn::Turn;

/// Most bytes in the answer to one log read.
const LOG_READ: usize = 64 << 10;

impl ServedConsole {
    pub(super) fn log_read(
        &mut self,
        id: ConnectionId,
        request: LogRequest,
        asked: Asked,
        turn: &mut Turn<'_>,
    ) -> Reply {
        let LogRequest {
            id: read,
            start,
            max,
            log: named,
        } = request;
        let connection = self.connections.get(id).ok_or(GONE)?;
        let who = connection.identity().clone();
        if !self.may_read(&who) {
            let text = "no right to read the log, or it is off";
            return fail(ErrorCode::NotPermitted, text);
        }
        let start = self.place(start, named, asked)?;
        let log = &self.console.log;
        let mut cursor = log.cursor(start);
        let wanted = cursor.offset();
        let mut bytes = vec![0; LOG_READ.min(max as usize)];
        let mut filled = 0;
        let mut begins = wanted;
        while filled < bytes.len() {
            match cursor.read(&mut bytes[filled..]) {
                Read::Bytes(n) => filled += n,
                Read::Gap { to, .. } if filled == 0 => begins = to,
                Read::Gap { .. } | Read::UpToDate | Read::Ended(_) => break,
            }
        }
        bytes.truncate(filled);
        let data = LogData {
            id: read,
            asked: wanted,
            start: begins,
            next: begins + filled as u64,
            oldest: log.oldest(),
            head: log.head(),
            epoch: log.epoch(),
            bytes,
        };
        self.console.counters.log_reads.add(1);
        let (from, to) = (data.start, data.next);
        self.audit(Audited::LogRead { who, from, to }, turn);
        Ok(Some(ServerFrame::LogData(data)))
    }

    /// How the console stands.
    pub(in crate::service) fn status(&self, turn: &Turn<'_>) -> Status {
        let log = &self.console.log;
        let mut counters: Vec<_> = self.console.counters().iter().collect();
        let accounting = log.accounting();
        counters.push(("output bytes written".into(), accounting.written));
        counters.push(("output bytes overwritten".into(), accounting.overwritten));
        Status {
            console: self.console.name.to_string(),
            powered: self.session.is_powered(),
            boot_log: self.session.boot_log_is_on(),
            holder: self.held(turn),
            observers: self.connections.observers() as u32,
            oldest: log.oldest(),
            head: log.head(),
            epoch: log.epoch(),
            log: log.id(),
            counters,
            details: None,
        }
    }

    pub(in crate::service) fn set_boot_log(&mut self, on: bool, turn: &mut Turn<'_>) {
        let ended = self.session.set_boot_log(turn.now(), on);
        self.session_over(ended, turn);
        if !on {
            // What was printed before is nobody's to see any more.
            for (_, connection) in self.connections.iter_mut() {
                connection.outbox.stop_replay();
            }
        }
    }
}
