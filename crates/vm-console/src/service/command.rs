//! The owner's commands to the service, and the result of an attach.

use std::fmt;

use crossbeam_channel::Sender;

use super::guest_port::Port;
use super::kernel::ConsoleId;
use crate::console::Console;
use crate::protocol::Status;
use crate::serving::Promise;
use crate::session::{EndReason, Refused};
use crate::text_log::Waker;
use crate::transport::Listener;
use crate::transport::stdio::FdClient;

pub(super) enum Command {
    Add(ConsoleId, Box<Added>),
    Remove(ConsoleId),
    Listen(ConsoleId, Listener),
    TextLog(ConsoleId, Waker),
    Attach(ConsoleId, Box<FdClient>, Caller),
    Disconnect(ConsoleId, EndReason),
    BootLog(ConsoleId, bool),
    Status(ConsoleId, Sender<Status>),
    ShutDown,
}

/// A console to serve.
pub(super) struct Added {
    pub(super) console: Console,
    pub(super) promise: Promise,
    pub(super) port: Port,
    pub(super) listeners: Vec<Listener>,
}

impl Command {
    /// The console that it is for; `None` if it is for the service.
    pub(super) fn console(&self) -> Option<ConsoleId> {
        match self {
            Self::Add(..) | Self::ShutDown => None,
            Self::Remove(id)
            | Self::Listen(id, _)
            | Self::TextLog(id, _)
            | Self::Attach(id, ..)
            | Self::Disconnect(id, _)
            | Self::BootLog(id, _)
            | Self::Status(id, _) => Some(*id),
        }
    }
}

/// Who waits for the outcome of an attach. If the attach is never carried out, it is refused there.
pub(super) struct Caller(Option<Sender<Outcome>>);

impl Caller {
    pub(super) fn new(outcome: Sender<Outcome>) -> Self {
        Self(Some(outcome))
    }

    /// The attach is carried out, so the outcome is told there.
    pub(super) fn into_sender(mut self) -> Option<Sender<Outcome>> {
        self.0.take()
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        if let Some(outcome) = self.0.take() {
            // Whoever asked may not care any more.
            let _ = outcome.send(Outcome::Refused(Refused::ShuttingDown));
        }
    }
}

/// The result of an attach by the owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The attach was refused. With [`ShuttingDown`](Refused::ShuttingDown) the console is not
    /// served any more: it was removed, or the service has ended.
    Refused(Refused),
    /// The session began, and it has ended.
    Ended(EndReason),
}

/// The service serves no further console: it was told to shut down, or has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceEnded;

impl fmt::Display for ServiceEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the console service was shut down or has ended; start another one")
    }
}

impl std::error::Error for ServiceEnded {}
