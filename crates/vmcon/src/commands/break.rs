//! `break`: BREAK without a session.

use super::Context;
use crate::output::Stop;
use crate::target::Target;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Whose guest
    console: Target,
    /// Even if somebody else holds the console; nobody is disconnected
    #[arg(short, long)]
    force: bool,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<(), Stop> {
    let console = context.find(&arguments.console)?;
    let done = console.connect()?.sysrq("", arguments.force);
    Ok(done.map_err(|error| console.refused(error, "--force sends it all the same"))?)
}
