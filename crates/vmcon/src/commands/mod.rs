//! The commands, a file for each.

pub(crate) mod attach;
pub(crate) mod boots;
pub(crate) mod r#break;
pub(crate) mod completions;
pub(crate) mod log;
pub(crate) mod ls;
pub(crate) mod man;
pub(crate) mod power;
pub(crate) mod send;
pub(crate) mod status;
pub(crate) mod sysrq;
pub(crate) mod top;

use crate::arguments::{Arguments, Command};
use crate::failure::Failure;
use crate::output::Stop;
use crate::target::{Console, Target};
use crate::text::style::Colour;

/// What holds for every command.
#[derive(Debug)]
pub(crate) struct Context {
    /// Where the instances of this host are.
    pub(crate) directory: vm_console::instance::Directory,
    /// When to colour.
    pub(crate) colour: Colour,
}

impl Context {
    /// Finds what the command line names. Nobody is connected to.
    pub(crate) fn find(&self, target: &Target) -> Result<Console, Failure> {
        Console::find(&self.directory, target)
    }
}

pub(crate) fn run(arguments: Arguments) -> Result<(), Stop> {
    let context = Context {
        directory: vm_console::instance::Directory::new(arguments.dir),
        colour: arguments.color,
    };
    match arguments.command {
        Command::Ls(arguments) => ls::run(&context, &arguments),
        Command::Log(arguments) => log::run(&context, &arguments),
        Command::Boots(arguments) => boots::run(&context, &arguments),
        Command::Attach(arguments) => attach::run(&context, *arguments),
        Command::Top(arguments) => top::run(&context, &arguments),
        Command::Status(arguments) => status::run(&context, &arguments),
        Command::Power(arguments) => power::run(&context, &arguments),
        Command::Send(arguments) => send::run(&context, &arguments),
        Command::Break(arguments) => r#break::run(&context, &arguments),
        Command::Sysrq(arguments) => sysrq::run(&context, &arguments),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man(arguments) => man::run(&arguments),
    }
}

/// The name that this program's user goes by at a console.
pub(crate) fn user() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
    named.unwrap_or_default()
}
