//! The owner's say in who may do what.

use super::Identity;

/// Something that a client may be allowed to do. The two are separate: an auditor may read the log and not type, an
/// operator may type without being shown what was printed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    /// Hold the console: type, send BREAK, ask for stop and restart.
    Attach,
    /// See what the machine has printed: replay at attach, reading the log, observing.
    ReadLog,
}

/// Decides who may do what. Implemented by the owner; called on the service's thread at each attach and each log read,
/// so it must answer at once (look up, do not ask a server).
pub trait Authorizer: Send + Sync {
    /// Whether `who` has `right` on the console named `console`.
    fn permits(&self, console: &str, who: &Identity, right: Right) -> bool;
}

/// Permits everything: whoever can connect may attach and read. The mode and the owner of the socket are the gate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Everyone;

impl Authorizer for Everyone {
    fn permits(&self, _console: &str, _who: &Identity, _right: Right) -> bool {
        true
    }
}

impl<F> Authorizer for F
where
    F: Fn(&str, &Identity, Right) -> bool + Send + Sync,
{
    fn permits(&self, console: &str, who: &Identity, right: Right) -> bool {
        self(console, who, right)
    }
}
