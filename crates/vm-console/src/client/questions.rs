//! What a client can ask from version 3 of the protocol on. Older services are not asked: the error
//! is [`ClientError::OldService`].

use std::time::Duration;

use super::control::{ControlClient, unexpected};
use super::error::ClientError;
use crate::log::Start;
use crate::protocol::{
    Admission, AttachRequest, Boots, ClientFrame, LineTimes, LogNews, LogRequest, LogWait,
    MachineState, Observer, ServerFrame, SysRq,
};

impl ControlClient {
    /// What [`attach`](Self::attach) with this request would come to now. Nothing happens by it.
    ///
    /// # Errors
    /// As [`attach`](Self::attach): [`ClientError::Refused`] says why it would be refused.
    pub fn would_admit(&mut self, request: &AttachRequest) -> Result<Admission, ClientError> {
        match self.ask(&ClientFrame::Admission(request.clone()))? {
            ServerFrame::Admission(admission) => Ok(admission),
            other => Err(unexpected(other)),
        }
    }

    /// The boots that the log knows, and its marks.
    ///
    /// # Errors
    /// No right to read the log.
    pub fn boots(&mut self) -> Result<Boots, ClientError> {
        match self.ask(&ClientFrame::Boots)? {
            ServerFrame::Boots(boots) => Ok(boots),
            other => Err(unexpected(other)),
        }
    }

    /// The times of the lines that end after the offset `after`, oldest first; no more than `max`
    /// of them, nor than fit into one answer. To go on, ask for those after the last one's end,
    /// until there are none.
    ///
    /// # Errors
    /// No right to read the log.
    pub fn line_times(&mut self, after: u64, max: u32) -> Result<LineTimes, ClientError> {
        match self.ask(&ClientFrame::LineTimes { after, max })? {
            ServerFrame::LineTimes(times) => Ok(times),
            other => Err(unexpected(other)),
        }
    }

    /// As [`read_log`](Self::read_log), but waits for output if there is none at `start`, for as
    /// long as `patience` and no longer than 60 s. It also returns when the machine is not, or no
    /// longer, as `known`: begin with [`status`](Self::status) and go on with
    /// [`LogNews::machine`]. So nothing is missed between two calls.
    ///
    /// No other request is carried out on this connection meanwhile.
    ///
    /// # Errors
    /// No right to read the log.
    pub fn wait_log(
        &mut self,
        start: Start,
        max: u32,
        known: MachineState,
        patience: Duration,
    ) -> Result<LogNews, ClientError> {
        let wait = LogWait {
            read: LogRequest {
                id: 0,
                start,
                log: None,
                max,
            },
            patience,
            known,
        };
        match self.ask(&ClientFrame::LogWait(wait))? {
            ServerFrame::LogNews(news) => Ok(news),
            other => Err(unexpected(other)),
        }
    }

    /// Who observes. The one that has been there longest comes first.
    ///
    /// # Errors
    /// As for every request: see [`ClientError`].
    pub fn observers(&mut self) -> Result<Vec<Observer>, ClientError> {
        match self.ask(&ClientFrame::Observers)? {
            ServerFrame::Observers(observers) => Ok(observers),
            other => Err(unexpected(other)),
        }
    }

    /// Sends the guest a BREAK and a key for each of `keys`, or one BREAK if there are none, with
    /// nobody's input in between. It needs no session. If somebody else holds the console, it takes
    /// `force`; the holder stays.
    ///
    /// # Errors
    /// [`ClientError::Refused`] as for an attach; [`ErrorCode::NoRoom`] if the guest does not read
    /// its input; [`ErrorCode::Malformed`] if the keys are not [valid](SysRq::is_valid).
    ///
    /// [`ErrorCode::NoRoom`]: crate::protocol::ErrorCode::NoRoom
    /// [`ErrorCode::Malformed`]: crate::protocol::ErrorCode::Malformed
    pub fn sysrq(&mut self, keys: &str, force: bool) -> Result<(), ClientError> {
        let keys = keys.to_owned();
        self.ask(&ClientFrame::SysRq(SysRq { force, keys }))
            .map(drop)
    }
}
