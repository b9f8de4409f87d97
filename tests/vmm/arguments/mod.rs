//! The command line: a group of arguments in each file.

mod boot_log;
mod flow;
mod guest;
mod machine;
mod session;
mod sockets;
mod values;

use std::path::PathBuf;

use clap::Parser;

pub(crate) use self::boot_log::LogArguments;
pub(crate) use self::flow::FlowArguments;
pub(crate) use self::guest::GuestArguments;
pub(crate) use self::machine::MachineArguments;
pub(crate) use self::session::SessionArguments;
pub(crate) use self::sockets::SocketArguments;
use crate::exit;

/// A small virtual machine whose serial port is our 16550A, with one exclusive console client and a
/// boot log.
///
/// Without arguments it runs a tiny real-mode guest; your terminal is the console's first client.
/// Where there is no /dev/kvm, a scripted guest takes its place. Enter ~ . leaves the console,
/// Enter ~ ? lists the other keys.
#[derive(Debug, Parser)]
#[command(name = "vmm", version, after_help = exit::CODES)]
pub(crate) struct Arguments {
    /// Run six machines at once, to try vmcon on, in this directory or in a new one
    #[arg(long, value_name = "DIRECTORY", num_args = 0..=1, exclusive = true)]
    #[expect(
        clippy::option_option,
        reason = "not given, given, and given with a value"
    )]
    pub(crate) demo: Option<Option<PathBuf>>,

    #[command(flatten)]
    pub(crate) guest: GuestArguments,
    #[command(flatten)]
    pub(crate) sockets: SocketArguments,
    #[command(flatten)]
    pub(crate) log: LogArguments,
    #[command(flatten)]
    pub(crate) session: SessionArguments,
    #[command(flatten)]
    pub(crate) flow: FlowArguments,
    #[command(flatten)]
    pub(crate) machine: MachineArguments,
}

impl Arguments {
    /// Parses the process's arguments; what is wrong with them is told in one line.
    pub(crate) fn parse_line() -> Result<Self, String> {
        Self::try_parse().map_err(|e| {
            if !e.use_stderr() {
                e.exit(); // help and version
            }
            // The first paragraph says what is wrong; usage and hints follow it.
            let text = e.to_string();
            let cause: Vec<_> = text
                .lines()
                .map(str::trim)
                .take_while(|line| !line.is_empty())
                .collect();
            let cause = cause.join(" ");
            let cause = cause.trim_start_matches("error: ");
            format!("{cause}; --help lists what can be given")
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        super::Arguments::command().debug_assert();
    }
}
