//! What a test of the service sees of a connection.

use std::os::fd::RawFd;

use super::{Connection, Wire};

#[derive(Clone, Copy, Debug)]
pub(in crate::service) struct ConnectionState {
    pub(in crate::service) descriptor: RawFd,
    pub(in crate::service) holds: bool,
    pub(in crate::service) has_session: bool,
    /// Where the log is shown from, if it is.
    pub(in crate::service) shown_from: Option<u64>,
    /// Bytes of memory that wait to be sent.
    pub(in crate::service) outbox: usize,
    /// Characters that wait for the line.
    pub(in crate::service) inbox: usize,
    /// Bytes that wait to be a frame, or to be carried out.
    pub(in crate::service) undecoded: usize,
}

impl Connection {
    pub(in crate::service) fn state(&self) -> ConnectionState {
        ConnectionState {
            descriptor: self.stream.descriptors().0,
            holds: self.standing.lease().is_some(),
            has_session: self.standing.has_session(),
            shown_from: self.outbox.shown_from(),
            outbox: self.outbox.memory(),
            inbox: self.inbox.waiting(),
            undecoded: match &self.wire {
                Wire::Raw { .. } => 0,
                Wire::Control { decoder, .. } => decoder.pending(),
            },
        }
    }
}
