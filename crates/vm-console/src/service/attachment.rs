//! The owner's handle to a client that it attached.

use crossbeam_channel::Receiver;

use super::command::Outcome;

/// A client that the owner has attached. Dropping it changes nothing for the client.
#[derive(Clone, Debug)]
pub struct Attachment {
    pub(super) outcome: Receiver<Outcome>,
}

impl Attachment {
    /// Waits until the attach was refused or the session has ended. `None` if the service ended out
    /// of order in the midst of the session: its thread panicked, or was stopped.
    #[must_use]
    pub fn wait(&self) -> Option<Outcome> {
        self.outcome.recv().ok()
    }

    /// The channel on which the outcome arrives, once; use it to wait for several channels
    /// together.
    #[must_use]
    pub fn outcome(&self) -> &Receiver<Outcome> {
        &self.outcome
    }
}
