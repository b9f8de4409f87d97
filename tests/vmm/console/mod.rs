//! The console of this machine: boot log, ways in, and the service on its thread.

mod audit;
mod outlets;
mod rules;

use std::io::stdin;
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use vm_console::service::{ConsoleHandle, Outcome, Service, ServiceHandle};
use vm_console::session::EndReason;
use vm_console::text_log::TextLogHandle;
use vm_console::transport::stdio::FdClient;
use vm_console::transport::terminal::{Terminal, TerminalRestorer};
use vm_console::{BootLog, Console as Parts, ConsoleLine, GuestPort};

pub(crate) use self::outlets::Outlets;
use crate::arguments::Arguments;
use crate::event::Event;
use crate::exit::Exit;
use crate::messages::{self, say};
use crate::power::Buttons;
use crate::publication::Publication;
use crate::refusal;
use crate::sandbox::Entry;

/// How long a client may keep the end of the process waiting when that end was asked for from
/// outside: whoever sends SIGTERM waits too, and sends SIGKILL at last.
const HURRY: Duration = Duration::from_secs(1);

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
    audit: Option<JoinHandle<()>>,
    socket: PathBuf,
    /// Held for its `Drop`: gives the terminal back on every return.
    terminal: Option<Terminal>,
}

impl Console {
    /// Makes the log, and the console's end of the port. Whoever asks for stop, start or restart is
    /// heard by `events`.
    pub(crate) fn prepare(
        arguments: &Arguments,
        publication: Option<&Publication>,
        events: &Sender<Event>,
    ) -> Result<(ConsoleLine, Prepared), String> {
        let sizes = arguments.log.sizes();
        let file = arguments.log.log_file.as_deref();
        let opened = match (publication, file) {
            (Some(publication), _) => publication.boot_log(sizes),
            (None, None) => BootLog::in_memory(sizes),
            (None, Some(path)) => BootLog::open_or_create_file(path, sizes),
        };
        let (writer, _) =
            opened.map_err(|e| refusal::log(&arguments.log, publication.is_some(), &e))?;
        let mut config = rules::of(arguments);
        config.power = Some(Arc::new(Buttons(events.clone())));
        let (line, console) = Parts::new(config, writer).map_err(|e| format!("console: {e}"))?;
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
        if arguments.log.no_boot_log {
            handle.set_boot_log(false);
        }
        let audit = outlets.audit.map(|to| to.write(service.audit()));
        let audit = audit
            .transpose()
            .map_err(|e| format!("cannot start a thread: {e}"))?;
        let mut console = Console {
            service,
            thread: Some(thread),
            handle,
            log,
            text_log: None,
            audit,
            socket: outlets.socket,
            terminal: None,
        };
        if let Some(text) = outlets.text_log {
            let begun = console.handle.log_text(text);
            console.text_log = Some(begun.map_err(|e| format!("--text-log: {e}"))?);
        }
        if !arguments.sockets.detached {
            console.attach_terminal(arguments, events)?;
        }
        for listener in outlets.listeners {
            console.handle.listen(listener);
        }
        Ok(console)
    }
}

fn how_to_attach(socket: &Path) -> String {
    let address = socket.display().to_string();
    match address.strip_prefix('@') {
        Some(name) => format!("socat -,raw,echo=0 ABSTRACT-CONNECT:{name}"),
        None => format!("socat -,raw,echo=0 UNIX:{address}"),
    }
}

impl Console {
    /// Standard input and output become the console's client.
    fn attach_terminal(
        &mut self,
        arguments: &Arguments,
        events: &Sender<Event>,
    ) -> Result<(), String> {
        messages::flush();
        // First the terminal, which is to be given back as it is now: the client may not block.
        self.terminal =
            Terminal::raw(stdin()).map_err(|e| format!("the terminal cannot be made raw: {e}"))?;
        let client = FdClient::stdio().map_err(|e| format!("standard input and output: {e}"))?;
        let client = rules::of_terminal(client, arguments);
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
        if let Some(audit) = self.audit.take()
            && !finishes_within(&audit, HURRY)
        {
            say("the disk of the audit file is slow; its last lines are missing");
        }
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
