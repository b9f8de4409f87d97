//! `top`: a screen of many consoles.
//!
//! | module | what |
//! |---|---|
//! | `model`, `tile`, `rate`, `grid` | what is on the screen |
//! | `keys` | what keys do to it |
//! | `tail`, `alerts` | lines and marks from output |
//! | `draw`, `tile_view`, `palette` | the screen, drawn |
//! | `listing`, `looks`, `asks`, `event` | where it comes from: the directory, logs, VMMs |
//! | `screen`, `attached` | the terminal, and who else has it |
//! | `app` | all of them together |

mod alerts;
mod app;
mod asks;
mod attached;
mod draw;
mod event;
mod grid;
mod keys;
mod listing;
mod looks;
mod model;
mod palette;
mod rate;
mod screen;
mod tail;
#[cfg(test)]
mod tests;
mod tile;
mod tile_view;

use std::io;

use super::Context;
use crate::output::Stop;
use alerts::Alerts;
use app::App;
use listing::Lister;
use model::Model;
use palette::Palette;

/// What `--help` says at its end.
const SAMPLING: &str = "\
A console whose new output has the pattern is marked until you have been to its tile: in red, and
counted in the first line; `n` goes there. What it had printed before is not searched. Of a console
that prints more than 16 KiB in a fifth of a second, only the newest 16 KiB are.

`?` shows the keys.";

#[derive(Debug, clap::Args)]
#[command(after_help = SAMPLING)]
pub(crate) struct Arguments {
    /// Only those whose id or name matches: a part of it, or with * and ? all of it
    #[arg(default_value = "", hide_default_value = true)]
    pattern: String,
    /// Mark consoles that print what this regular expression matches
    #[arg(long, value_name = "RE", default_value = alerts::DEFAULT)]
    alert: String,
    /// Do not ring the terminal's bell when a console is marked
    #[arg(long)]
    no_bell: bool,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<(), Stop> {
    let alerts = Alerts::new(&arguments.alert)?;
    let model = Model::new(alerts, arguments.pattern.clone());
    let lister = Lister::new(context.directory.clone());
    let palette = Palette {
        is_coloured: context.colour.applies_to(&io::stdout()),
    };
    App::start(context, model, lister, !arguments.no_bell)?.run(palette)
}
