//! The table of measured rows: see the crate's documentation.

// The print macros panic when their reader is gone.
#![deny(clippy::print_stdout, clippy::print_stderr)]

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use vm_serial_bench::{cloud, hostile, measure, plot, report, rows};

/// Measures the serial port and its console, peers beside them in the same run.
#[derive(Parser)]
#[command(name = "vm-serial-bench")]
struct Arguments {
    /// Lists the rows with their descriptions, and measures nothing.
    #[arg(long)]
    list: bool,
    /// Writes the rows as a JSON array.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draws the rows in ns/byte as an SVG.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Passes a row, each ours and then the peer.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: u16,
    /// Prints the memory of one console among so many, for the rows that start a process for it.
    #[arg(long, hide = true, value_name = "N")]
    memory_of: Option<usize>,
    /// Plays all hostile clients against the sockets in this directory until the input ends, for the
    /// rows that start a process for it.
    #[arg(long, hide = true, value_name = "DIRECTORY")]
    attack: Option<PathBuf>,
    /// Rows to measure, by name or by the start of a name; all if none is given.
    #[arg(value_name = "ROW")]
    rows: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our lines has seen enough.
        Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be there to read it, and the exit code says it as well.
            let _ = writeln!(io::stderr(), "vm-serial-bench: {error}");
            ExitCode::from(2)
        }
    }
}

fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let mut out = io::stdout();
    if let Some(count) = arguments.memory_of {
        let bytes = rows::memory_of(count).map_err(|measure::Skipped(why)| why)?;
        writeln!(out, "{bytes}")?;
        return Ok(());
    }
    if let Some(directory) = &arguments.attack {
        let deeds = hostile::attack(directory, &mut io::stdin())?;
        writeln!(out, "{}", serde_json::to_string(&deeds)?)?;
        return Ok(());
    }
    let all = rows::all();
    if let Some(unknown) = arguments
        .rows
        .iter()
        .find(|name| !all.iter().any(|row| row.name.starts_with(name.as_str())))
    {
        return Err(format!("no row starts with `{unknown}`; --list names them").into());
    }
    let chosen = all.iter().filter(|row| {
        arguments.rows.is_empty()
            || arguments
                .rows
                .iter()
                .any(|name| row.name.starts_with(name.as_str()))
    });
    if arguments.list {
        for row in chosen {
            writeln!(out, "{:<22} {} [{}]", row.name, row.what, row.unit)?;
        }
        return Ok(());
    }
    let machine = measure::machine();
    writeln!(out, "{machine}; {} passes a row", arguments.runs)?;
    report::heading(&mut out)?;
    let mut measured = Vec::new();
    for row in chosen {
        let row = row.measure(arguments.runs.into(), &machine);
        report::line(&mut out, &row)?;
        measured.push(row);
    }
    let load = cloud::Load {
        guests: 1000.0,
        bytes_per_second: 10_000.0,
    };
    if let Some(host) = cloud::Host::from_rows(&measured, load) {
        writeln!(out, "\n{host}")?;
    }
    if let Some(path) = &arguments.json {
        report::json(path, &measured)?;
    }
    if let Some(path) = &arguments.plot {
        plot::svg(path, &measured)?;
    }
    Ok(())
}
