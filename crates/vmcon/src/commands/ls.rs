//! `ls`: the consoles of this host.

mod look;
mod table;
mod watch;

use std::io::{self, IsTerminal};
use std::time::Duration;

use super::Context;
use crate::failure::{Code, Failure};
use crate::output::{Stop, print, print_json, width};
use look::Found;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only those whose id or name matches: a part of it, or with * and ? all of it
    pattern: Option<String>,
    /// An array of objects for programs; with --watch one in each line
    #[arg(long)]
    pub(crate) json: bool,
    /// Look again and again, so long apart [default: 1s]
    #[arg(short, long, value_name = "TIME", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "1s", value_parser = humantime::parse_duration)]
    watch: Option<Duration>,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<(), Stop> {
    let coloured = context.colour.applies_to(&io::stdout());
    let look = || look::look(&context.directory, arguments.pattern.as_deref());
    let show = |found: &[Found]| {
        if arguments.json {
            print_json(&found.iter().map(Found::to_json).collect())
        } else {
            print(table::render(found, width(), coloured))
        }
    };
    match arguments.watch {
        None => {
            let found = look()?;
            if let Some(pattern) = &arguments.pattern
                && found.is_empty()
            {
                if arguments.json {
                    show(&found)?;
                }
                let text = format!("no instance matches {pattern:?}");
                return Err(Failure::new(Code::NoMatch, text).into());
            }
            show(&found)
        }
        Some(every) if arguments.json || !io::stdout().is_terminal() => loop {
            show(&look()?)?;
            std::thread::sleep(every);
        },
        Some(every) => watch::watch(every, || Ok(table::render(&look()?, width(), coloured))),
    }
}
