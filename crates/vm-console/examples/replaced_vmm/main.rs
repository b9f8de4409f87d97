//! A VMM that replaces itself, as for an update, and keeps the ways into its console.
//!
//! ```text
//! mkdir /tmp/vm && cargo run -p vm-console --example replaced_vmm -- /tmp/vm
//! ```
//!
//! It reads commands: `print TEXT` has the guest print a line, `stop` ends the service, `replace`
//! starts this program again in its place (`exec`), and `quit` ends it. Between `stop` and
//! `replace`, connect to `/tmp/vm/raw` or open `/tmp/vm/pty`: whoever waits there is served by the
//! next process, and sees the log from its beginning.

mod handover;

use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use vm_console::service::{ConsoleHandle, Service, ServiceHandle};
use vm_console::text_log::{TextLog, TextLogHandle};
use vm_console::transport::pty::{KeptPty, Pty};
use vm_console::transport::tcp::TcpSocket;
use vm_console::transport::unix::{Peers, UnixSocket};
use vm_console::transport::{KeptSocket, Listener};
use vm_console::{BootLog, Console, ConsoleConfig, ConsoleImage, ConsoleLine, LogConfig, Start};
use vm_uart::SerialPort;

use handover::{Handover, State, memfd};

const PATIENCE: Duration = Duration::from_secs(20);
/// Comes after `replace` in place of the first start's arguments.
const REPLACES: &str = "--replaces";

type Outcome<T> = Result<T, Box<dyn Error>>;

struct WaysIn {
    raw: UnixSocket,
    control: UnixSocket,
    tcp: TcpSocket,
    pty: Pty,
}

/// The owner's hold on the ways in, while the service has them and when it has not.
struct Kept {
    raw: KeptSocket,
    control: KeptSocket,
    tcp: KeptSocket,
    pty: KeptPty,
}

impl WaysIn {
    fn open(dir: &Path) -> Outcome<Self> {
        Ok(Self {
            raw: UnixSocket::bind(dir.join("raw"))?,
            control: UnixSocket::bind(dir.join("control"))?,
            tcp: TcpSocket::bind("127.0.0.1:0".parse()?)?,
            pty: Pty::open(dir.join("pty"))?,
        })
    }

    fn keep(&self) -> io::Result<Kept> {
        Ok(Kept {
            raw: self.raw.keep()?,
            control: self.control.keep()?,
            tcp: self.tcp.keep()?,
            pty: self.pty.keep(),
        })
    }

    fn listeners(self) -> Vec<Listener> {
        vec![
            Listener::raw(self.raw),
            Listener::control(self.control),
            Listener::tcp(self.tcp),
            Listener::pty(self.pty),
        ]
    }
}

type Port = Arc<Mutex<SerialPort<(), ConsoleLine>>>;

struct Vmm {
    dir: PathBuf,
    commands: OwnedFd,
    /// Another descriptor of the text log's file.
    text_file: OwnedFd,
    kept: Kept,
    service: ServiceHandle,
    thread: JoinHandle<()>,
    console: ConsoleHandle,
    port: Port,
    text: TextLogHandle,
}

impl Vmm {
    /// Begins with a new machine.
    fn start(dir: &Path) -> Outcome<Self> {
        let (writer, _) = BootLog::in_file(memfd("log")?.into(), LogConfig::default())?;
        let made = Console::new(ConsoleConfig::named("vm-7"), writer)?;
        let commands = io::stdin().as_fd().try_clone_to_owned()?;
        let text = File::options()
            .create(true)
            .append(true)
            .open(dir.join("text"))?;
        Self::serve(
            dir,
            commands,
            WaysIn::open(dir)?,
            made,
            (text.into(), Start::Oldest),
        )
    }

    /// Goes on with the machine of the process that this one replaces.
    fn replace(dir: &Path, given: Handover) -> Outcome<Self> {
        let state = State::read(given.state)?;
        let (writer, _) = BootLog::in_file(given.log.into(), LogConfig::default())?;
        let image = ConsoleImage::from_bytes(&state.console)?;
        let made = Console::resume_in_place(ConsoleConfig::named("vm-7"), writer, &image)?;
        let peers = Peers::Anyone;
        let control = dir.join("control");
        let ways_in = WaysIn {
            raw: UnixSocket::adopt_with_file(given.raw, peers.clone(), dir.join("raw"))?,
            control: UnixSocket::adopt_with_file(given.control, peers, control)?,
            tcp: TcpSocket::adopt(given.tcp)?,
            pty: Pty::adopt(given.pty, dir.join("pty"))?,
        };
        let text = (given.text, Start::Offset(state.text_until));
        Self::serve(dir, given.commands, ways_in, made, text)
    }

    fn serve(
        dir: &Path,
        commands: OwnedFd,
        ways_in: WaysIn,
        (line, console): (ConsoleLine, Console),
        (text_file, text_start): (OwnedFd, Start),
    ) -> Outcome<Self> {
        let (service, thread) = Service::spawn()?;
        let kept = ways_in.keep()?;
        let address = ways_in.tcp.address();
        let port = Arc::new(Mutex::new(SerialPort::new((), line)));
        let console = service.add(console, port.clone(), ways_in.listeners())?;
        let text = TextLog::in_file(text_file.try_clone()?)?.starting_at(text_start);
        let text = console.log_text(text)?;
        let log = console.console().log();
        println!(
            "serves epoch {} from offset {} at {address}",
            log.epoch(),
            log.head()
        );
        Ok(Self {
            dir: dir.to_owned(),
            commands,
            text_file,
            kept,
            service,
            thread,
            console,
            port,
            text,
        })
    }

    fn print(&self, text: &str) -> Outcome<()> {
        let mut port = self.port.lock().map_err(|_| "the guest has panicked")?;
        port.write_string(0, text.as_bytes());
        port.write_string(0, b"\r\n");
        Ok(())
    }

    /// Ends the service. The guest stands still from here on, and clients that come wait.
    fn stop(self) -> Outcome<Stopped> {
        let image = {
            let port = self.port.lock().map_err(|_| "the guest has panicked")?;
            // A real VMM takes the chip's snapshot here too.
            self.console.console().export_in_place(port.line())
        };
        self.service.shut_down();
        self.thread.join().map_err(|_| "the service has panicked")?;
        if !self.text.wait_finished(PATIENCE) {
            return Err("the text log is not written".into());
        }
        let log = self.console.console().log().file().ok_or("no file")?;
        let log: OwnedFd = log.try_clone()?.into();
        println!("stopped");
        Ok(Stopped {
            dir: self.dir,
            commands: self.commands,
            text_file: self.text_file,
            kept: self.kept,
            log,
            state: State {
                text_until: self.text.written_until(),
                console: image.to_bytes(),
            },
        })
        // The port goes here, and with its line the log's writer. Only then may another one begin.
    }
}

struct Stopped {
    dir: PathBuf,
    commands: OwnedFd,
    text_file: OwnedFd,
    kept: Kept,
    log: OwnedFd,
    state: State,
}

impl Stopped {
    /// Starts the program anew in this process. Returns only if that fails.
    fn replace(self) -> Outcome<()> {
        let handover = Handover {
            commands: self.commands,
            raw: self.kept.raw.into(),
            control: self.kept.control.into(),
            tcp: self.kept.tcp.into(),
            pty: self.kept.pty.into_descriptors()?,
            log: self.log,
            text: self.text_file,
            state: self.state.write()?,
        };
        let socket = handover.send()?;
        let mut program = Command::new(std::env::current_exe()?);
        program.arg(self.dir).arg(REPLACES).stdin(socket);
        Err(program.exec().into())
    }
}

fn main() -> Outcome<()> {
    let mut arguments = std::env::args_os().skip(1);
    let dir = arguments.next().ok_or("usage: replaced_vmm DIRECTORY")?;
    let vmm = if arguments.next().is_some_and(|second| second == REPLACES) {
        Vmm::replace(Path::new(&dir), Handover::receive(io::stdin())?)?
    } else {
        Vmm::start(Path::new(&dir))?
    };
    let commands = File::from(vmm.commands.try_clone()?);
    let mut running = Some(vmm);
    let mut stopped = None;
    // A byte at a time: what comes after `replace` is for the next process.
    for command in BufReader::with_capacity(1, commands).lines() {
        let command = command?;
        match (command.as_str(), running.take(), stopped.take()) {
            ("stop", Some(vmm), _) => stopped = Some(vmm.stop()?),
            ("replace", Some(vmm), _) => vmm.stop()?.replace()?,
            ("replace", None, Some(ended)) => ended.replace()?,
            ("quit", Some(vmm), _) => return vmm.stop().map(drop),
            ("quit", None, _) => return Ok(()),
            (other, Some(vmm), _) => {
                match other.strip_prefix("print ") {
                    Some(text) => vmm.print(text)?,
                    None => eprintln!("not a command: {other}"),
                }
                running = Some(vmm);
            }
            (other, None, ended) => {
                eprintln!("stopped, so it cannot: {other}");
                stopped = ended;
            }
        }
    }
    Ok(())
}
