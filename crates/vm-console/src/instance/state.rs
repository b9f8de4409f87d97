//! How a machine stands, in one word.

use std::fmt;

use super::Liveness;

/// How a machine stands, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MachineState {
    /// Its VMM lives, and it is powered on.
    Running,
    /// Its VMM lives, and it is powered off. Its log can be read, and nobody can attach.
    Stopped,
    /// Its VMM has ended. Its log can be read from the file.
    Gone,
}

impl MachineState {
    /// From the two facts. Whether it is powered on is known by its VMM alone:
    /// [`Status::powered`](crate::protocol::Status::powered), asked for over the control socket of
    /// a live instance.
    #[must_use]
    pub fn of(liveness: Liveness, powered: bool) -> Self {
        match (liveness, powered) {
            (Liveness::Gone, _) => Self::Gone,
            (Liveness::Live, true) => Self::Running,
            (Liveness::Live, false) => Self::Stopped,
        }
    }

    /// The word, as it is shown and as scripts match it: `running`, `stopped`, `gone`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Gone => "gone",
        }
    }
}

impl fmt::Display for MachineState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
