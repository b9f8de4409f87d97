//! What clients of a control socket ask about the log beside its bytes: boots, marks, line times.

use super::ServedConsole;
use super::asked::{GONE, Reply};
use crate::protocol::{Boots, LineTimes, ServerFrame};
use crate::service::kernel::ConnectionId;

impl ServedConsole {
    pub(super) fn boots(&self, id: ConnectionId) -> Reply {
        let connection = self.connections.get(id).ok_or(GONE)?;
        self.demand_right_to_read(connection.identity())?;
        Ok(Some(ServerFrame::Boots(Boots::from(&self.console.log))))
    }

    pub(super) fn line_times(&self, id: ConnectionId, after: u64, max: u32) -> Reply {
        let connection = self.connections.get(id).ok_or(GONE)?;
        self.demand_right_to_read(connection.identity())?;
        let times = LineTimes::of(&self.console.log, after, max);
        Ok(Some(ServerFrame::LineTimes(times)))
    }
}
