//! What clients of a control socket ask about the log beside its bytes: boots, marks, line times.

use super::ServedConsole;
use super::asked::{GONE, Reply};
use crate::protocol::{Boots, LineTimes, ServerFrame};
use crate::service::kernel::ConnectionId;

/// Most times in one answer: some 10 µs of work.
const LINE_TIMES: usize = 1024;

impl ServedConsole {
    pub(super) fn boots(&self, id: ConnectionId) -> Reply {
        let connection = self.connections.get(id).ok_or(GONE)?;
        self.demand_right_to_read(connection.identity())?;
        let log = &self.console.log;
        Ok(Some(ServerFrame::Boots(Boots {
            oldest: log.oldest(),
            head: log.head(),
            epoch: log.epoch(),
            boots: log.known_boots().iter().map(Into::into).collect(),
            marks: log.marks().iter().map(Into::into).collect(),
        })))
    }

    pub(super) fn line_times(&self, id: ConnectionId, after: u64, max: u32) -> Reply {
        let connection = self.connections.get(id).ok_or(GONE)?;
        self.demand_right_to_read(connection.identity())?;
        let log = &self.console.log;
        Ok(Some(ServerFrame::LineTimes(LineTimes {
            before: log.time_at(after),
            times: log.line_times(after, LINE_TIMES.min(max as usize)),
        })))
    }
}
