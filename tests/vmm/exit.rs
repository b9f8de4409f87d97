//! How the process ends.

use std::process::ExitCode;

use vm_console::signals;

/// For `--help`; the variants below are where it comes from.
pub(crate) const CODES: &str = "\
Exit codes:
  0    the guest switched the machine off, or this terminal left with --exit-on-leave
  1    the guest cannot go on
  2    something given on the command line cannot be used; one line says what and why
  101  a part of this program panicked
  A signal ends the machine in order, and then this process: a shell shows 128 + its number.
  SIGUSR1 prints the boot log's accounting and ends nothing.";

/// Why the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    PoweredOff,
    LeftForGood,
    GuestFailed,
    Unusable,
    Panicked,
    Signal(i32),
}

impl Exit {
    /// Ends this process if a signal asked for it, else gives the exit code.
    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::PoweredOff | Self::LeftForGood => 0,
            Self::GuestFailed => 1,
            Self::Unusable => 2,
            Self::Panicked => 101,
            Self::Signal(signal) => signals::die_by(signal),
        })
    }
}
