//! A small client for a control socket: `console_client SOCKET attach|status|log|break`.

use std::error::Error;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use vm_console::Start;
use vm_console::client::{ClientError, ControlClient, Typist};
use vm_console::escape::{Escape, Typed};
use vm_console::protocol::{AttachRequest, ServerFrame};
use vm_console::replay_guard::ReplayGuard;
use vm_console::transport::stdio::Terminal;

/// Talk to a virtual machine's serial console.
#[derive(Parser)]
struct Arguments {
    /// The console's control socket.
    socket: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Attach this terminal. `Enter ~ .` leaves, `~B` sends BREAK.
    Attach {
        /// Take the console from whoever holds it.
        #[arg(long)]
        force: bool,
        /// Only watch.
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
    /// Print the log.
    Log {
        /// From this offset on.
        #[arg(long)]
        start: Option<u64>,
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
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let mut client = ControlClient::connect(&arguments.socket)
        .map_err(|error| format!("{}: {error}", arguments.socket.display()))?;
    match arguments.command {
        Command::Attach {
            force,
            read_only,
            lines,
            name,
        } => {
            let replay = lines.map_or(Start::Oldest, Start::Lines);
            let request = AttachRequest {
                force,
                read_only,
                replay,
                name,
                ..AttachRequest::default()
            };
            attach(&mut client, &request)
        }
        Command::Status => status(&mut client),
        Command::Log { start } => log(&mut client, start.map_or(Start::Oldest, Start::Offset)),
        Command::Break { force } => {
            let replay = Start::Now;
            client.attach(&AttachRequest {
                force,
                replay,
                ..AttachRequest::default()
            })?;
            client.typist()?.send_break()?;
            client.detach()?;
            Ok(())
        }
    }
}

fn attach(client: &mut ControlClient, request: &AttachRequest) -> Result<(), Box<dyn Error>> {
    client.attach(request)?;
    let terminal = Terminal::raw(io::stdin())?;
    let typist = client.typist()?;
    std::thread::spawn(move || type_along(typist));
    let end = show(client);
    drop(terminal);
    match end? {
        Some(text) => eprintln!("\nsession over: {text}"),
        None => eprintln!("\nthe console service is gone"),
    }
    Ok(())
}

fn type_along(mut typist: Typist) -> io::Result<()> {
    let mut escape = Escape::default();
    let mut buffer = [0; 4096];
    loop {
        let count = io::stdin().read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        let mut typed = Vec::new();
        escape.feed(&buffer[..count], |what| typed.push(what));
        let mut bytes = Vec::new();
        for what in typed {
            if let Typed::Byte(byte) = what {
                bytes.push(byte);
                continue;
            }
            typist.type_bytes(&std::mem::take(&mut bytes))?;
            match what {
                Typed::Byte(_) => {}
                Typed::Leave => typist.detach()?,
                Typed::Break => typist.send_break()?,
                Typed::Help => eprint!("\r\n~. leave   ~B send BREAK   ~~ a tilde\r\n"),
            }
        }
        typist.type_bytes(&bytes)?;
    }
}

fn show(client: &mut ControlClient) -> Result<Option<String>, ClientError> {
    let mut out = io::stdout().lock();
    while let Some(frame) = client.next_frame()? {
        match frame {
            ServerFrame::Output(output) => {
                out.write_all(&output.bytes)?;
                out.flush()?;
            }
            ServerFrame::Gap { from, to } => {
                eprint!("\r\n[{} bytes of output lost]\r\n", to - from);
            }
            ServerFrame::Warning(warning) => {
                eprint!(
                    "\r\n[the session ends in {} s]\r\n",
                    warning.remaining.as_secs()
                );
            }
            ServerFrame::Boot { epoch, .. } => eprint!("\r\n[boot {epoch}]\r\n"),
            ServerFrame::Error { text, .. } => eprint!("\r\n[{text}]\r\n"),
            ServerFrame::Ended(end) => return Ok(Some(end.text)),
            _ => {}
        }
    }
    Ok(None)
}

fn status(client: &mut ControlClient) -> Result<(), Box<dyn Error>> {
    let status = client.status()?;
    let power = if status.powered { "on" } else { "off" };
    println!(
        "{}: power {power}, boot {}, output {} to {}",
        status.console, status.epoch, status.oldest, status.head
    );
    match status.holder {
        Some(held) => println!(
            "held by {} for {} s, last input {} s ago",
            held.by,
            held.held_for.as_secs(),
            held.idle_for.as_secs()
        ),
        None => println!("free"),
    }
    println!("{} observers", status.observers);
    for (name, value) in status.counters.iter().filter(|(_, value)| *value != 0) {
        println!("{value:>14}  {name}");
    }
    Ok(())
}

fn log(client: &mut ControlClient, start: Start) -> Result<(), Box<dyn Error>> {
    let mut guard = ReplayGuard::default();
    let mut out = io::stdout().lock();
    let mut from = start;
    loop {
        let data = client.read_log(from, u32::MAX)?;
        if data.start > data.asked {
            eprintln!("[{} bytes lost]", data.start - data.asked);
        }
        let mut shown = Vec::new();
        guard.filter(&data.bytes, &mut shown);
        out.write_all(&shown)?;
        if data.next >= data.head {
            return Ok(out.flush()?);
        }
        from = Start::Offset(data.next);
    }
}
