//! The console of this machine: boot log, ways in, and the service on its thread.

use std::io::stdin;
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use vm_console::service::{ConsoleHandle, Outcome, Service, ServiceHandle};
use vm_console::session::EndReason;
use vm_console::text_log::{TextLog, TextLogHandle};
use vm_console::transport::Listener;
use vm_console::transport::pty::Pty;
use vm_console::transport::stdio::FdClient;
use vm_console::transport::tcp::{TcpConnector, TcpSocket};
use vm_console::transport::terminal::{Terminal, TerminalRestorer};
use vm_console::transport::unix::UnixSocket;
use vm_console::{BootLog, Console as Parts, ConsoleConfig, ConsoleLine, GuestPort, LogConfig};

use crate::arguments::Arguments;
use crate::event::Event;
use crate::exit::Exit;
use crate::messages::{self, say};
use crate::refusal;
use crate::sandbox::Entry;

/// How long a client may keep the end of the process waiting when that end was asked for from
/// outside: whoever sends SIGTERM waits too, and sends SIGKILL at last.
const HURRY: Duration = Duration::from_secs(1);

/// The sockets and the text log, opened before anything else so that a bad path is known at once.
/// The sockets' files go with them.
pub(crate) struct Outlets {
    listeners: Vec<Listener>,
    text_log: Option<TextLog>,
    socket: PathBuf,
}

impl Outlets {
    pub(crate) fn open(arguments: &Arguments) -> Result<Self, String> {
        let socket = arguments.socket_path();
        let mut listeners = vec![Listener::raw(bind("--socket", &socket)?)];
        if let Some(path) = &arguments.control_socket {
            if *path == socket {
                let (wrong, remedy) = ("this is the --socket", "choose another path");
                return Err(refusal::of("--control-socket", path, wrong, remedy));
            }
            listeners.push(Listener::control(bind("--control-socket", path)?));
        }
        if let Some(link) = &arguments.pty {
            // Its error names the link.
            let pty = Pty::open(link).map_err(|e| format!("--pty: {e}"))?;
            listeners.push(Listener::pty(pty));
        }
        if let Some(address) = arguments.tcp {
            // The error names the address, the step and the reason.
            let socket = TcpSocket::bind(address)
                .map_err(|e| format!("--tcp {e}; choose another address"))?;
            say(format_args!(
                "console: socat -,raw,echo=0 TCP:{}",
                socket.address()
            ));
            listeners.push(Listener::tcp(socket));
        }
        if let Some(address) = arguments.tcp_connect {
            let connector =
                TcpConnector::new(address).map_err(|e| format!("--tcp-connect: {e}"))?;
            listeners.push(Listener::connecting(connector));
        }
        let text_log = match &arguments.text_log {
            Some(path) => {
                let opened = TextLog::append_to(path);
                Some(
                    opened
                        .map_err(|e| refusal::text_log(path, &e))?
                        .with_times(),
                )
            }
            None => None,
        };
        Ok(Self {
            listeners,
            text_log,
            socket,
        })
    }
}

fn bind(option: &str, path: &Path) -> Result<UnixSocket, String> {
    UnixSocket::bind(path).map_err(|e| refusal::socket(option, path, &e))
}

/// A log and a console on it, served by nobody yet.
pub(crate) struct Prepared {
    console: Parts,
}

/// The machine's console, being served.
pub(crate) struct Console {
    service: ServiceHandle,
    thread: Option<JoinHandle<()>>,
    handle: ConsoleHandle,
    log: BootLog,
    text_log: Option<TextLogHandle>,
    socket: PathBuf,
    /// Held for its `Drop`: gives the terminal back on every return.
    terminal: Option<Terminal>,
}

impl Console {
    /// Makes the log, and the console's end of the port.
    pub(crate) fn prepare(arguments: &Arguments) -> Result<(ConsoleLine, Prepared), String> {
        let mut config = LogConfig::default();
        if let Some(size) = arguments.log_size {
            config.tail = size;
        }
        let file = arguments.log_file.as_deref();
        let (writer, _) = match file {
            None => BootLog::in_memory(config),
            Some(path) => BootLog::open_or_create_file(path, config),
        }
        .map_err(|e| refusal::log(file, &e))?;
        let (line, console) =
            Parts::new(ConsoleConfig::named("vmm"), writer).map_err(|e| format!("console: {e}"))?;
        Ok((line, Prepared { console }))
    }
}

impl Prepared {
    /// Serves the console in `port`, to this terminal first.
    pub(crate) fn start(
        self,
        outlets: Outlets,
        port: Arc<dyn GuestPort>,
        arguments: &Arguments,
        entry: Entry,
        events: &Sender<Event>,
    ) -> Result<Console, String> {
        let log = self.console.log().clone();
        let (service, thread) =
            Service::spawn_with(|| entry.enter()).map_err(|e| format!("console service: {e}"))?;
        say(format_args!("console: {}", how_to_attach(&outlets.socket)));
        // The terminal comes before the listeners' first client: the service answers in the order
        // of our commands.
        let handle = service
            .add(self.console, port, Vec::new())
            .map_err(|e| format!("console: {e}"))?;
        let mut console = Console {
            service,
            thread: Some(thread),
            handle,
            log,
            text_log: None,
            socket: outlets.socket,
            terminal: None,
        };
        if let Some(text) = outlets.text_log {
            let begun = console.handle.log_text(text);
            console.text_log = Some(begun.map_err(|e| format!("--text-log: {e}"))?);
        }
        if !arguments.detached {
            console.attach_terminal(events)?;
        }
        for listener in outlets.listeners {
            console.handle.listen(listener);
        }
        Ok(console)
    }
}

fn how_to_attach(socket: &Path) -> String {
    format!("socat -,raw,echo=0 UNIX:{}", socket.display())
}

impl Console {
    /// Standard input and output become the console's client.
    fn attach_terminal(&mut self, events: &Sender<Event>) -> Result<(), String> {
        messages::flush();
        // First the terminal, which is to be given back as it is now: the client may not block.
        self.terminal =
            Terminal::raw(stdin()).map_err(|e| format!("the terminal cannot be made raw: {e}"))?;
        let client = FdClient::stdio().map_err(|e| format!("standard input and output: {e}"))?;
        if let Some(terminal) = &self.terminal {
            restore_at_panic(terminal.restorer());
            messages::terminal_is_raw(true);
            say("Enter ~ . leaves, Enter ~ ? lists the keys");
            messages::flush();
        }
        let attachment = self.handle.attach(client.with_escapes());
        let events = events.clone();
        thread::Builder::new()
            .name("terminal".to_owned())
            .spawn(move || {
                let why = match attachment.wait() {
                    Some(Outcome::Ended(reason)) => reason,
                    Some(Outcome::Refused(why)) => EndReason::Error(why.to_string()),
                    None => return, // the service is gone, and so are we
                };
                // If nobody listens any more, the machine is ending anyway.
                let _ = events.send(Event::TerminalLeft(why));
            })
            .map_err(|e| format!("cannot start a thread: {e}"))?;
        Ok(())
    }

    /// What puts the terminal back at a signal; `None` if there is none to put back.
    pub(crate) fn terminal(&self) -> Option<TerminalRestorer> {
        self.terminal.as_ref().map(Terminal::restorer)
    }

    /// Standard input is no client any more: gives the terminal back, and says how things stand.
    pub(crate) fn terminal_left(&mut self, why: &EndReason, goes_on: bool) {
        self.give_terminal_back();
        say(format_args!("left the console: {why}"));
        if goes_on {
            self.say_accounting();
            say(format_args!(
                "the machine goes on; {}",
                how_to_attach(&self.socket)
            ));
        }
    }

    fn give_terminal_back(&mut self) {
        if self.terminal.take().is_some() {
            messages::terminal_is_raw(false);
            messages::end_line(); // the guest's prompt stands on it
        }
    }

    /// What has become of every byte that the guest sent.
    pub(crate) fn say_accounting(&self) {
        let now = self.log.accounting();
        say(format_args!(
            "log: {} bytes written = {} kept + {} overwritten",
            now.written, now.kept, now.overwritten
        ));
    }

    /// Ends it when the guest no longer runs.
    pub(crate) fn end(mut self, exit: Exit) {
        if matches!(exit, Exit::PoweredOff | Exit::LeftForGood) {
            self.handle.power_off();
        }
        self.service.shut_down();
        if let Some(thread) = self.thread.take()
            && (!matches!(exit, Exit::Signal(_)) || finishes_within(&thread, HURRY))
        {
            drop(thread.join()); // a panic there has been reported by its hook
        } else {
            say("a client does not read its last output; not waiting for it");
        }
        self.give_terminal_back();
        let text_log = self.text_log.as_ref();
        if text_log.is_some_and(|text| !text.wait_finished(HURRY)) {
            say("the disk of the text log is slow; its last lines are missing");
        }
        self.say_accounting();
    }
}

fn finishes_within(thread: &JoinHandle<()>, time: Duration) -> bool {
    let deadline = Instant::now() + time;
    while !thread.is_finished() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(2));
    }
    thread.is_finished()
}

/// A panic in any thread first gives the terminal back, so that its message can be read.
fn restore_at_panic(terminal: TerminalRestorer) {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |what| {
        terminal.restore();
        messages::terminal_is_raw(false);
        report(what);
    }));
}
