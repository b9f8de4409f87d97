//! `power`: the machine beside the console.

use vm_console::protocol::PowerAction;

use super::Context;
use crate::output::Stop;
use crate::target::Target;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to do with the machine
    action: Action,
    /// Whose
    console: Target,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Action {
    /// Power it off; whoever holds the console is disconnected
    Stop,
    /// Power it on
    Start,
    /// Reset it; sessions go on
    Restart,
    /// Send a non-maskable interrupt: a Linux guest may crash-dump
    Nmi,
}

impl From<Action> for PowerAction {
    fn from(action: Action) -> Self {
        match action {
            Action::Stop => Self::Stop,
            Action::Start => Self::Start,
            Action::Restart => Self::Restart,
            Action::Nmi => Self::Nmi,
        }
    }
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<(), Stop> {
    let console = context.find(&arguments.console)?;
    let action = arguments.action.into();
    let done = console.connect()?.power(action);
    Ok(done.map_err(|error| console.failed(error))?)
}
