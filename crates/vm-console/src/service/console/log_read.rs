//! Reading the log over a control socket.

use super::ServedConsole;
use super::asked::{Asked, Failure, GONE, Reply, fail};
use crate::audit::Audited;
use crate::log::{Read, Start};
use crate::protocol::{ErrorCode, LogData, LogRequest, ServerFrame};
use crate::service::kernel::ConnectionId;
use crate::service::turn::Turn;
use crate::session::Identity;

/// Most bytes in the answer to one log read.
pub(super) const LOG_READ: usize = 64 << 10;

impl ServedConsole {
    pub(super) fn log_read(
        &mut self,
        id: ConnectionId,
        request: LogRequest,
        asked: Asked,
        turn: &mut Turn<'_>,
    ) -> Reply {
        let connection = self.connections.get(id).ok_or(GONE)?;
        let who = connection.identity().clone();
        self.demand_right_to_read(&who)?;
        let start = self.place(request.start, request.log, asked)?;
        let data = self.read_log(request.id, start, request.max);
        self.console.counters.log_reads.add(1);
        let (from, to) = (data.start, data.next);
        self.audit(Audited::LogRead { who, from, to }, turn);
        Ok(Some(ServerFrame::LogData(data)))
    }

    /// Fails unless `who` may see what the log holds.
    pub(super) fn demand_right_to_read(&self, who: &Identity) -> Result<(), Failure> {
        if self.may_read(who) {
            Ok(())
        } else {
            let text = "no right to read the log, or it is off";
            fail(ErrorCode::NotPermitted, text)
        }
    }

    /// At most `max` bytes from `start` on, for the request `id`.
    pub(super) fn read_log(&self, id: u32, start: Start, max: u32) -> LogData {
        let log = &self.console.log;
        let mut cursor = log.cursor(start);
        let asked = cursor.offset();
        let mut bytes = vec![0; LOG_READ.min(max as usize)];
        let mut filled = 0;
        let mut begins = asked;
        while filled < bytes.len() {
            match cursor.read(&mut bytes[filled..]) {
                Read::Bytes(n) => filled += n,
                Read::Gap { to, .. } if filled == 0 => begins = to,
                Read::Gap { .. } | Read::UpToDate | Read::Ended(_) => break,
            }
        }
        bytes.truncate(filled);
        LogData {
            id,
            asked,
            start: begins,
            next: begins + filled as u64,
            oldest: log.oldest(),
            head: log.head(),
            epoch: log.epoch(),
            bytes,
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
