//! The example VMM: one vCPU, RAM, and our 16550A at 0x3f8, IRQ 4, with its console.
//!
//! ```text
//! vmm                      a tiny real-mode guest in KVM; this terminal is the first client
//! vmm --no-kvm             the same session with a scripted guest in this process
//! vmm --demo               six machines at once, to try vmcon on
//! vmm --kernel bzImage     Linux; needs a host with hardware virtualisation
//! ```
//!
//! What a VMM author may want to copy:
//!
//! | module | what it shows |
//! |---|---|
//! | `port` | the port and its lock, an irqfd as an edge line |
//! | `machine` | the exit handler, coalesced port I/O, reset, and stopping a vCPU |
//! | `power` | stop, start and restart of a guest that runs on its own thread |
//! | `console` | log, sockets, standard input and output as a client, the service on its thread |
//! | `publication` | the machine among the consoles of its host |
//! | `sandbox` | seccomp filters for the threads of the console and the guest |
//! | `exit`, `messages` | the end of the process, and what it says: never in the guest's way |
//!
//! `--help` lists the exit codes. On every way out the terminal is given back, the sockets are
//! removed, and the boot log's accounting is printed. SIGUSR1 prints the accounting meanwhile.

#![deny(unsafe_code)]
// The print macros panic when their reader is gone.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod arguments;
mod console;
mod demo;
mod event;
mod exit;
mod guest;
mod hardware;
mod machine;
mod messages;
mod port;
mod power;
mod publication;
mod refusal;
mod sandbox;
mod scripted;

use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::time::Duration;

use crossbeam_channel::Receiver;
use signal_hook::consts::SIGUSR1;
use vm_console::signals::Signals;

use arguments::{Arguments, MachineArguments};
use console::{Console, Outlets};
use event::Event;
use exit::Exit;
use guest::Ending;
use hardware::{Hardware, RunningGuest};
use messages::say;
use publication::Publication;
use sandbox::{Confined, Entry};

fn main() -> ExitCode {
    messages::start();
    let result = Arguments::parse_line().and_then(|arguments| run(&arguments));
    let exit = result.unwrap_or_else(|cause| {
        say(cause);
        Exit::Unusable
    });
    messages::flush();
    exit.code()
}

fn run(arguments: &Arguments) -> Result<Exit, String> {
    if let Some(directory) = &arguments.demo {
        return demo::run(directory.clone());
    }
    // Whatever can be wrong with what we were given comes first: after this, nothing is refused.
    let hardware = Hardware::prepare(&arguments.guest)?;
    let mut outlets = Outlets::open(arguments)?;
    let publication = Publication::make(&arguments.machine)?;
    if let Some(publication) = &publication {
        outlets.serve(publication.control_listener()?);
    }
    let (events, arriving) = crossbeam_channel::unbounded();
    let (line, console) = Console::prepare(arguments, publication.as_ref(), &events)?;
    let service_entry = Entry::prepare(Confined::Service, arguments)?;
    let guest_entry = Entry::prepare(Confined::Guest, arguments)?;

    let signals = Signals::hold().map_err(|e| format!("cannot watch signals: {e}"))?;
    event::watch_panics(events.clone());
    hardware.announce();
    let guest = hardware.connect(line, arguments.machine.starts_off);
    let mut console = console.start(outlets, guest.port(), arguments, service_entry, &events)?;
    let answered = events.clone();
    signals
        .answer(console.terminal(), move |signal| {
            let _ = answered.send(Event::Signal(signal)); // it is ending anyway if nobody listens
        })
        .map_err(|e| format!("cannot watch signals: {e}"))?;
    let running = guest
        .start(arguments.machine.stays, guest_entry, &events)
        .map_err(|e| format!("cannot start a thread: {e}"))?;

    let waited = panic::catch_unwind(AssertUnwindSafe(|| {
        wait_for_end(&arguments.machine, &arriving, &running, &mut console)
    }));
    running.stop();
    let exit = waited.unwrap_or(Exit::Panicked);
    console.end(exit);
    // The machine is gone now, and whoever looks finds its log.
    drop(publication);
    Ok(exit)
}

/// Until something ends the machine.
fn wait_for_end(
    arguments: &MachineArguments,
    events: &Receiver<Event>,
    guest: &RunningGuest,
    console: &mut Console,
) -> Exit {
    let panic_after = arguments.panic_after.map(Duration::from_millis);
    let panics = panic_after.map_or_else(crossbeam_channel::never, crossbeam_channel::after);
    loop {
        let event = crossbeam_channel::select! {
            recv(events) -> event => event.expect("this function's caller holds a sender"),
            recv(panics) -> _ => panic!("as --panic-after asked for"),
        };
        match event {
            Event::Guest(Ending::PoweredOff | Ending::Stopped) => return Exit::PoweredOff,
            Event::Guest(Ending::Failed(cause)) => {
                say(format_args!("the guest cannot go on: {cause}"));
                return Exit::GuestFailed;
            }
            Event::Power(button) => guest.press(button),
            Event::TerminalLeft(why) => {
                console.terminal_left(&why, !arguments.exit_on_leave);
                if arguments.exit_on_leave {
                    return Exit::LeftForGood;
                }
            }
            Event::Signal(SIGUSR1) => console.say_accounting(),
            Event::Signal(signal) => return Exit::Signal(signal),
            Event::Panicked => return Exit::Panicked,
        }
    }
}
