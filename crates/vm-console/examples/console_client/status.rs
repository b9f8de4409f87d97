//! `status`: who holds the console, and every counter.

use std::io::{self, Write};

use vm_console::protocol::Status;

use crate::exit::Stop;

pub(crate) fn print(status: &Status, out: impl Write) -> Result<(), Stop> {
    write(status, out).map_err(|error| Stop::by_output(&error))
}

fn write(status: &Status, mut out: impl Write) -> io::Result<()> {
    let power = if status.powered { "on" } else { "off" };
    writeln!(
        out,
        "{}: power {power}, boot {}, output {} to {}",
        status.console, status.epoch, status.oldest, status.head
    )?;
    match &status.holder {
        None => writeln!(out, "free")?,
        Some(held) => {
            write!(
                out,
                "held by {} for {} s, ",
                held.by,
                held.held_for.as_secs()
            )?;
            match held.idle_for {
                None => writeln!(out, "no input yet")?,
                Some(idle) => writeln!(out, "last input {} s ago", idle.as_secs())?,
            }
        }
    }
    writeln!(out, "{} observers", status.observers)?;
    for (name, value) in status.counters.iter().filter(|(_, value)| *value != 0) {
        writeln!(out, "{value:>14}  {name}")?;
    }
    out.flush()
}
