//! `man`: the manual, a page for each command.

use std::path::{Path, PathBuf};

use clap::CommandFactory;

use crate::failure::{Code, Failure};
use crate::output::{Stop, print};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Write all pages into this directory, as vmcon.1, vmcon-ls.1, ...; otherwise the first page
    /// goes to standard output: vmcon man | man -l -
    directory: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Stop> {
    let mut command = crate::arguments::Arguments::command();
    command.build();
    match &arguments.directory {
        None => print(String::from_utf8_lossy(&page(command)?)),
        Some(directory) => Ok(write_all(&command, directory)?),
    }
}

fn page(command: clap::Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(|error| Failure::new(Code::Failed, error))?;
    Ok(page)
}

/// The pages of a command and of those below it.
fn write_all(command: &clap::Command, directory: &Path) -> Result<(), Failure> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let path = directory.join(format!("{name}.1"));
    // Pages name each other so.
    let named = command.clone().name(name.to_owned());
    std::fs::write(&path, page(named)?)
        .map_err(|error| Failure::new(Code::Failed, format_args!("{}: {error}", path.display())))?;
    for below in command
        .get_subcommands()
        .filter(|below| !below.is_hide_set() && below.get_name() != "help")
    {
        write_all(below, directory)?;
    }
    Ok(())
}
