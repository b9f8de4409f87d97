//! The owner's rule for the rights of each client.

use super::Identity;

/// A right that a client may have. The two are separate: an auditor may read the log and not type,
/// and an operator may type without being shown earlier output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    /// The right to hold the console: to type, to send BREAK and SysRq, and to ask for stop, start,
    /// restart and an NMI.
    Attach,
    /// The right to see earlier output (a replay at attach, reads of the log), to follow it, and to
    /// observe.
    ReadLog,
}

/// Decides which client has which right. The owner implements it.
///
/// It is called on the service's thread, at each attach, log read, power request and SysRq. Every
/// console waits for its answer, so it must not wait for anything: look the answer up, and ask no
/// server.
pub trait Authorizer: Send + Sync {
    /// Whether `who` has `right` on the console named `console`.
    fn permits(&self, console: &str, who: &Identity, right: Right) -> bool;
}

/// Gives every client both rights, so the mode and the owner of a socket decide who gets in.
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
