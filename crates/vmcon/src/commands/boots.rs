//! `boots`: the boots that a console's log knows.

mod lines;
mod table;

use std::io;

use super::Context;
use crate::failure::Failure;
use crate::open_log;
use crate::output::{Stop, print, print_json, width};
use crate::target::Target;
use lines::Lines;

/// List the boots of a machine that its log knows, the oldest first.
///
/// KEPT is how much of a boot's output can still be read, of how much it has printed.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Whose
    console: Target,
    /// An array of objects for programs
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<(), Stop> {
    let console = context.find(&arguments.console)?;
    let of_console = |failure: Failure| failure.of(console.name());
    let mut source = open_log::open(&console)?;
    let boots = source.boots().map_err(|error| of_console(error.into()))?;
    let mut found = Vec::new();
    for boot in boots.boots {
        let lines = Lines::of(&mut *source, &boot).map_err(|error| of_console(error.into()))?;
        found.push((boot, lines));
    }
    if arguments.json {
        return print_json(&found.iter().map(table::to_json).collect());
    }
    let coloured = context.colour.applies_to(&io::stdout());
    print(table::render(&found, width(), coloured))
}
