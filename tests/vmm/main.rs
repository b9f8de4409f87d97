//! The example VMM: one vCPU, RAM, and our 16550A at 0x3f8, IRQ 4, with its console.
//!
//! ```text
//! vmm                      a tiny real-mode guest in KVM; this terminal is the first client
//! vmm --no-kvm             the same session with a scripted guest in this process
//! vmm --kernel bzImage     Linux; needs a host with hardware virtualisation
//! ```
//!
//! What a VMM author may want to copy:
//!
//! | module | what it shows |
//! |---|---|
//! | `port` | the port and its lock, an irqfd as an edge line |
//! | `machine` | the exit handler, coalesced port I/O, reset, and stopping a vCPU |
//! | `console` | log, sockets, standard input and output as a client, the service on its thread |
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
mod event;
mod exit;
mod guest;
mod machine;
mod messages;
mod port;
mod refusal;
mod sandbox;
mod scripted;

use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use kvm_ioctls::Kvm;
use signal_hook::consts::SIGUSR1;
use vm_console::signals::Signals;
use vm_console::{ConsoleLine, GuestPort};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use arguments::Arguments;
use console::{Console, Outlets};
use event::Event;
use exit::Exit;
use guest::Ending;
use machine::{Boot, Linux, Machine, Ram, RunningVcpu};
use messages::say;
use sandbox::{Confined, Entry};
use scripted::RunningScript;

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
    // Whatever can be wrong with what we were given comes first: after this, nothing is refused.
    let hardware = Hardware::prepare(arguments)?;
    let outlets = Outlets::open(arguments)?;
    let (line, console) = Console::prepare(arguments)?;
    let service_entry = Entry::prepare(Confined::Service, arguments)?;
    let guest_entry = Entry::prepare(Confined::Guest, arguments)?;

    let (events, arriving) = crossbeam_channel::unbounded();
    let signals = Signals::hold().map_err(|e| format!("cannot watch signals: {e}"))?;
    event::watch_panics(events.clone());
    hardware.announce();
    let guest = hardware.connect(line);
    let mut console = console.start(outlets, guest.port(), arguments, service_entry, &events)?;
    let answered = events.clone();
    signals
        .answer(console.terminal(), move |signal| {
            let _ = answered.send(Event::Signal(signal)); // it is ending anyway if nobody listens
        })
        .map_err(|e| format!("cannot watch signals: {e}"))?;
    let running = guest
        .start(guest_entry, &events)
        .map_err(|e| format!("cannot start a thread: {e}"))?;

    let waited = panic::catch_unwind(AssertUnwindSafe(|| {
        wait_for_end(arguments, &arriving, &mut console)
    }));
    running.stop();
    let exit = waited.unwrap_or(Exit::Panicked);
    console.end(exit);
    Ok(exit)
}

/// Until something ends the machine.
fn wait_for_end(arguments: &Arguments, events: &Receiver<Event>, console: &mut Console) -> Exit {
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

/// What the guest will run on: checked, and not yet running.
enum Hardware {
    Kvm {
        machine: Machine,
        irq4: EventFd,
        kernel: Option<Kernel>,
        coalesce: bool,
    },
    Scripted {
        why: String,
    },
}

/// The command line's kernel, to be loaded again at each reset.
struct Kernel {
    file: std::path::PathBuf,
    initrd: Option<std::path::PathBuf>,
    cmdline: String,
}

impl Kernel {
    fn load(&self, ram: &Ram) -> Result<Boot, String> {
        let linux = Linux {
            kernel: &self.file,
            initrd: self.initrd.as_deref(),
            cmdline: &self.cmdline,
        };
        linux.load(ram).map(Boot::Linux)
    }
}

impl Hardware {
    fn prepare(arguments: &Arguments) -> Result<Self, String> {
        let ram = machine::allocate(arguments.memory)
            .map_err(|e| format!("--memory {}: {e}; ask for less", arguments.memory))?;
        let kernel = arguments.kernel.as_ref().map(|file| Kernel {
            file: file.clone(),
            initrd: arguments.initrd.clone(),
            cmdline: arguments.cmdline.clone(),
        });
        if let Some(kernel) = &kernel {
            kernel.load(&ram)?;
        }
        let kvm = if arguments.as_if_without_kvm() {
            Err("not using /dev/kvm, as told".to_owned())
        } else {
            Kvm::new().map_err(|e| format!("/dev/kvm: {e}"))
        };
        match (kvm, kernel) {
            (Ok(kvm), kernel) => {
                let irq4 = EventFd::new(EFD_NONBLOCK).map_err(|e| format!("eventfd: {e}"))?;
                let machine = Machine::new(kvm, ram, &irq4).map_err(|e| {
                    format!("KVM refuses to make the machine: {e}; --no-kvm does without")
                })?;
                Ok(Self::Kvm {
                    machine,
                    irq4,
                    kernel,
                    coalesce: !arguments.no_coalesce,
                })
            }
            (Err(why), None) => Ok(Self::Scripted { why }),
            (Err(why), Some(_)) => Err(format!("--kernel needs KVM: {why}; leave --kernel out")),
        }
    }

    fn announce(&self) {
        if let Self::Scripted { why } = self {
            say(format_args!("{why}: running the scripted guest"));
        }
    }

    /// Puts the port between the guest and `line`.
    fn connect(self, line: ConsoleLine) -> Guest {
        match self {
            Self::Kvm {
                machine,
                irq4,
                kernel,
                coalesce,
            } => Guest::Kvm {
                machine,
                kernel,
                coalesce,
                port: Arc::new(port::with_irqfd(irq4, line)),
            },
            Self::Scripted { .. } => {
                let interrupt = Arc::default();
                Guest::Scripted {
                    port: Arc::new(port::new(
                        scripted::InterruptPin(Arc::clone(&interrupt)),
                        line,
                    )),
                    interrupt,
                }
            }
        }
    }
}

/// A guest with its port, not yet running.
enum Guest {
    Kvm {
        machine: Machine,
        kernel: Option<Kernel>,
        coalesce: bool,
        port: Arc<port::Port<port::Irq4>>,
    },
    Scripted {
        port: Arc<port::Port<scripted::InterruptPin>>,
        interrupt: Arc<scripted::Interrupt>,
    },
}

impl Guest {
    fn port(&self) -> Arc<dyn GuestPort> {
        match self {
            Self::Kvm { port, .. } => port.clone(),
            Self::Scripted { port, .. } => port.clone(),
        }
    }

    fn start(self, entry: Entry, events: &Sender<Event>) -> std::io::Result<RunningGuest> {
        let enter = || entry.enter().map_err(|e| e.to_string());
        let events = events.clone();
        let ended = move |ending| {
            let _ = events.send(Event::Guest(ending)); // it is ending anyway if nobody listens
        };
        Ok(match self {
            Self::Kvm {
                machine,
                kernel,
                coalesce,
                port,
            } => {
                let reload = move |ram: &Ram| match &kernel {
                    None => machine::load_real_mode(ram),
                    Some(kernel) => kernel.load(ram),
                };
                RunningGuest::Kvm(machine.start(port, coalesce, enter, reload, ended)?)
            }
            Self::Scripted { port, interrupt } => {
                RunningGuest::Scripted(scripted::start(port, interrupt, enter, ended)?)
            }
        })
    }
}

enum RunningGuest {
    Kvm(RunningVcpu),
    Scripted(RunningScript),
}

impl RunningGuest {
    fn stop(self) {
        match self {
            Self::Kvm(vcpu) => vcpu.stop(),
            Self::Scripted(script) => script.stop(),
        }
    }
}
