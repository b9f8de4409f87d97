//! A small client for a control socket: `console_client SOCKET attach|status|log|break`.
//!
//! | module | what it shows |
//! |---|---|
//! | `attach` | a session at a terminal, which is given back on every way out |
//! | `log` | reading the log without a session |
//! | `status` | who holds the console, and every counter |
//! | `greeting` | recognizing a control socket before a byte is sent |
//! | `exit` | exit codes, and messages that cannot panic |

// The print macros panic if their reader is gone.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod attach;
mod exit;
mod greeting;
mod log;
mod status;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use vm_console::Start;
use vm_console::client::ControlClient;
use vm_console::protocol::AttachRequest;

use exit::Stop;

/// Talk to a virtual machine's serial console.
#[derive(Parser)]
#[command(after_help = exit::CODES)]
struct Arguments {
    /// The console's control socket.
    socket: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Attach this terminal. `Enter ~ .` and end of input leave, `~B` sends BREAK.
    Attach {
        /// Take the console from whoever holds it.
        #[arg(long)]
        force: bool,
        /// Only watch. End of input does not leave.
        #[arg(long)]
        read_only: bool,
        /// Show only so many of the last lines first, instead of everything that is kept.
        #[arg(long, value_name = "N")]
        lines: Option<u64>,
        /// The name to go by.
        #[arg(long, default_value = "")]
        name: String,
    },
    /// Tell who holds the console, and every counter.
    Status,
    /// Print the log: exact bytes, but to a terminal without what would make it type an answer.
    Log {
        /// From this offset on.
        #[arg(long, value_name = "OFFSET")]
        start: Option<u64>,
        /// Exact bytes to a terminal, too.
        #[arg(long)]
        raw: bool,
    },
    /// Send BREAK: attaches for a moment.
    Break {
        /// Take the console from whoever holds it.
        #[arg(long)]
        force: bool,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    exit::code(run(arguments))
}

fn run(arguments: Arguments) -> Result<(), Stop> {
    let path = &arguments.socket;
    match arguments.command {
        Command::Attach {
            force,
            read_only,
            lines,
            name,
        } => attach::attach(
            path,
            &AttachRequest {
                force,
                read_only,
                replay: lines.map_or(Start::Oldest, Start::Lines),
                name,
                ..AttachRequest::default()
            },
        ),
        Command::Status => status::print(&connect(path)?.status()?, io::stdout().lock()),
        Command::Log { start, raw } => {
            let start = start.map_or(Start::Oldest, Start::Offset);
            log::print(&mut connect(path)?, start, raw)
        }
        Command::Break { force } => {
            let mut client = connect(path)?;
            client.attach(&AttachRequest {
                force,
                replay: Start::Now,
                ..AttachRequest::default()
            })?;
            client
                .typist()
                .map_err(Stop::failed)?
                .send_break()
                .map_err(Stop::failed)?;
            client.detach()?;
            Ok(())
        }
    }
}

fn connect(path: &Path) -> Result<ControlClient, Stop> {
    Ok(ControlClient::from_stream(greeting::greeted(path)?)?)
}
