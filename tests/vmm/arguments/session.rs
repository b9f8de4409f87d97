//! Who may have the console, and for how long.

use std::time::Duration;

use clap::Args;
use vm_console::session::SessionPolicy;

use super::values::{number, time};

#[derive(Debug, Args)]
#[command(next_help_heading = "Session rules")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(crate) struct SessionArguments {
    /// A session ends after so long without input, such as 90s or 1h30m; 0 for never [default: 10m]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) idle_limit: Option<Duration>,

    /// A session ends after so long, whatever happens; 0 for never [default: 1h]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) absolute_limit: Option<Duration>,

    /// Its holder is warned so long before; 0 for no warning [default: 1m]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) warn_before: Option<Duration>,

    /// Output keeps a session from being idle too
    #[arg(long)]
    pub(crate) output_counts: bool,

    /// The limits hold for standard input and output too
    #[arg(long, conflicts_with = "detached")]
    pub(crate) terminal_limits: bool,

    /// No session without access to the boot log
    #[arg(long)]
    pub(crate) require_boot_log: bool,

    /// Users that may have the console [default: all that can connect]
    #[arg(long, value_name = "UID,...", value_parser = number::<u32>, value_delimiter = ',')]
    pub(crate) may_attach: Option<Vec<u32>>,

    /// Users that may see earlier output, and watch [default: all that can connect]
    #[arg(long, value_name = "UID,...", value_parser = number::<u32>, value_delimiter = ',')]
    pub(crate) may_read_log: Option<Vec<u32>>,

    /// Most clients that watch at one time [default: 16]
    #[arg(long, value_name = "COUNT", value_parser = number::<usize>)]
    pub(crate) max_observers: Option<usize>,

    /// Most connections at one time [default: 64]
    #[arg(long, value_name = "COUNT", value_parser = number::<usize>)]
    pub(crate) max_connections: Option<usize>,

    /// Time to read the rest of the output when a session is over [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) linger: Option<Duration>,

    /// The carrier (DCD) drops with the session, so that the guest hangs up
    #[arg(long)]
    pub(crate) carrier: bool,
}

impl SessionArguments {
    pub(crate) fn policy(&self) -> SessionPolicy {
        let default = SessionPolicy::default();
        SessionPolicy {
            idle_limit: self.idle_limit.unwrap_or(default.idle_limit),
            absolute_limit: self.absolute_limit.unwrap_or(default.absolute_limit),
            warn_before: self.warn_before.unwrap_or(default.warn_before),
            output_counts: self.output_counts,
            requires_boot_log: self.require_boot_log,
        }
    }
}
