//! What the owner asks of the service, and what becomes of it.

use std::sync::Arc;

use crossbeam_channel::Sender;

use super::kernel::ConsoleId;
use crate::console::Console;
use crate::port::GuestPort;
use crate::protocol::Status;
use crate::session::{EndReason, Refused};
use crate::transport::Listener;
use crate::transport::stdio::FdClient;

pub(super) enum Command {
    Add(ConsoleId, Box<Added>),
    Remove(ConsoleId),
    Listen(ConsoleId, Listener),
    Attach(ConsoleId, Box<FdClient>, Sender<Outcome>),
    Disconnect(ConsoleId, EndReason),
    BootLog(ConsoleId, bool),
    Status(ConsoleId, Sender<Status>),
    ShutDown,
}

/// A console that is to be served.
pub(super) struct Added {
    pub(super) console: Console,
    pub(super) port: Arc<dyn GuestPort>,
    pub(super) listeners: Vec<Listener>,
}

impl Command {
    /// The console that it is for, once that was added.
    pub(super) fn console(&self) -> Option<ConsoleId> {
        match self {
            Self::Add(..) | Self::ShutDown => None,
            Self::Remove(id)
            | Self::Listen(id, _)
            | Self::Attach(id, ..)
            | Self::Disconnect(id, _)
            | Self::BootLog(id, _)
            | Self::Status(id, _) => Some(*id),
        }
    }
}

/// What became of an attach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There was no session.
    Refused(Refused),
    /// There was one, and it is over.
    Ended(EndReason),
}
