//! The command line.

use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};
use vm_console::printable;

use crate::commands;
use crate::failure::{Code, EXIT_CODES, Failure};
use crate::output::Stop;
use crate::text::style::Colour;

/// The heading of the options that each command has, below its own in its help.
const EVERYWHERE: &str = "For every command";

/// Every serial console of this host, from a terminal.
///
/// CONSOLE is the id of an instance as `vmcon ls` shows it, or a path: of a control socket, of a
/// boot log, or of an instance's directory. A path has a slash in it: ./boot.log
#[derive(Debug, Parser)]
#[command(
    name = "vmcon",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    subcommand_required = true,
    after_help = EXIT_CODES
)]
pub(crate) struct Arguments {
    /// Where the instances of this host are
    #[arg(
        long,
        global = true,
        help_heading = EVERYWHERE,
        value_name = "DIR",
        env = "VMCON_DIR",
        default_value = vm_console::instance::DEFAULT_DIRECTORY
    )]
    pub(crate) dir: PathBuf,

    /// When to colour what is not the guest's
    #[arg(
        long,
        global = true,
        help_heading = EVERYWHERE,
        value_name = "WHEN",
        default_value = "auto"
    )]
    pub(crate) color: Colour,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the consoles of this host
    Ls(commands::ls::Arguments),
    /// Show what a guest has printed, whether its VMM lives or not
    Log(commands::log::Arguments),
    /// List the boots that a log knows
    Boots(commands::boots::Arguments),
    /// Open a console at this terminal, or for a script
    Attach(Box<commands::attach::Arguments>),
    /// Watch many consoles at once
    Top(commands::top::Arguments),
    /// Tell who holds a console, its limits and its counters
    Status(commands::status::Arguments),
    /// Stop, start or restart a machine, or send it an NMI
    Power(commands::power::Arguments),
    /// Type a text or a file at the guest's own pace
    Send(commands::send::Arguments),
    /// Send BREAK to a guest, without attaching
    Break(commands::r#break::Arguments),
    /// Send the Magic SysRq to a Linux guest: BREAK and a key
    Sysrq(commands::sysrq::Arguments),
    /// Print what a shell needs to complete command lines
    Completions(commands::completions::Arguments),
    /// Print the manual, or write its pages into a directory
    Man(commands::man::Arguments),
}

impl Arguments {
    /// Parses the process's arguments. What is wrong with them is told in one line that is fit for
    /// any terminal.
    pub(crate) fn parse_line() -> Result<Self, (Stop, bool)> {
        Self::try_parse().map_err(|error| {
            if !error.use_stderr()
                || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            {
                error.exit(); // help and version
            }
            (Failure::new(Code::Usage, cause(&error)).into(), false)
        })
    }
}

/// The first paragraph of an error, and what clap thinks was meant. The usage is left out.
fn cause(error: &clap::Error) -> String {
    /// Most bytes of a value, and of the whole, that are repeated.
    const VALUE: usize = 64;
    const WHOLE: usize = 1024;
    let mut text = error.to_string();
    if let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidValue)
        && given.len() > VALUE
    {
        text = text.replace(given, &format!("{}...", printable(given, VALUE)));
    }
    let (first, others) = text.split_once("\n\n").unwrap_or((&text, ""));
    let first = first.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    // As the standard library words it, which says nothing to whoever types.
    let first = first
        .replace("invalid digit found in string", "give a whole number")
        .replace("number too large to fit in target type", "it is too large")
        .replace("cannot parse integer from empty string", "give a number");
    let first = printable(first.trim_start_matches("error: "), WHOLE);
    let meant = others
        .lines()
        .find_map(|line| line.trim().strip_prefix("tip: "));
    match meant {
        Some(meant) => format!("{first}; {}", printable(meant, WHOLE)),
        None => format!("{first}; --help lists what can be given"),
    }
}

impl Command {
    /// Whether failures are wanted as JSON.
    pub(crate) fn wants_json(&self) -> bool {
        match self {
            Self::Ls(arguments) => arguments.json,
            Self::Status(arguments) => arguments.json,
            Self::Boots(arguments) => arguments.json,
            Self::Attach(_)
            | Self::Log(_)
            | Self::Top(_)
            | Self::Power(_)
            | Self::Break(_)
            | Self::Sysrq(_)
            | Self::Send(_)
            | Self::Completions(_)
            | Self::Man(_) => false,
        }
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
