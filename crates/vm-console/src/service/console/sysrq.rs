//! BREAK and keys as one piece, from anybody who may attach.

use super::ServedConsole;
use super::asked::{GONE, Reply, fail};
use super::refusal::refusal;
use crate::audit::Audited;
use crate::protocol::{ErrorCode, ServerFrame, SysRq};
use crate::service::kernel::ConnectionId;
use crate::service::turn::Turn;

impl ServedConsole {
    /// All of it goes into the line at once, or none of it: what waits outside of the line could get
    /// somebody else's input in between, or be typed long after the crash that it was for.
    pub(super) fn sysrq(&mut self, id: ConnectionId, request: SysRq, turn: &mut Turn<'_>) -> Reply {
        self.catch_up_with_machine(turn);
        let now = turn.now();
        let connection = self.connections.get(id).ok_or(GONE)?;
        let who = connection.identity().clone();
        let SysRq { force, keys } = request;
        let beside = match connection.standing.lease() {
            Some(lease) if self.session.input(now, lease) => None,
            Some(_) => return fail(ErrorCode::NotAttached, "the session is over"),
            None => match self.admission(&who).would_hold(&self.session, force, now) {
                Ok(holder) => holder.map(|holder| holder.identity().clone()),
                Err(why) => {
                    let refusal = refusal(&why, turn.time_of_day());
                    return Ok(Some(ServerFrame::Refused(refusal)));
                }
            },
        };
        if !self.carrier.lets_input_in() {
            let text = "input waits between two sessions; try again in half a second";
            return fail(ErrorCode::NoRoom, text);
        }
        let is_typed = self.port.line(now, |line| line.type_sysrq(keys.as_bytes()));
        if !is_typed {
            let text = "the guest does not read its input, and there is no room for more";
            return fail(ErrorCode::NoRoom, text);
        }
        self.flow.typed(now);
        self.console.counters.sysrqs.add(1);
        self.audit(Audited::SysRq { who, keys, beside }, turn);
        Ok(None)
    }
}
