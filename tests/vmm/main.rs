//! The example VMM: one vCPU, RAM, and our 16550A at 0x3f8, IRQ 4, with its console.
//!
//! ```text
//! vmm                                  a tiny real-mode guest in KVM; this terminal is the first client
//! vmm --no-kvm                         the same session with a scripted guest in this process
//! vmm --kernel bzImage [--initrd FILE] Linux; needs a host with hardware virtualisation
//! ```
//!
//! What a VMM author may want to copy:
//!
//! | module | what it shows |
//! |---|---|
//! | `port` | the port and its lock, an irqfd as an edge line |
//! | `machine` | the exit handler, coalesced port I/O, reset, and stopping a vCPU |
//! | `console` | log, sockets, standard input and output as a client, the service on its thread |
//!
//! It ends with exit code 0 if the guest switches the machine off, 1 if the guest cannot go on, 2 if it was given
//! something it cannot use, 101 after a panic, and 128 + N after signal N. On all of these the terminal is given back,
//! the sockets are removed, and the boot log's accounting is printed. SIGUSR1 prints the accounting meanwhile.

#![deny(unsafe_code)]

mod arguments;
mod console;
mod event;
mod guest;
mod machine;
mod messages;
mod port;
mod scripted;

use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use kvm_ioctls::Kvm;
use vm_console::{ConsoleLine, GuestPort};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use arguments::Arguments;
use console::{Console, Outlets};
use event::Event;
use guest::Ending;
use machine::{Boot, Linux, Machine, Ram, RunningVcpu};
use messages::say;
use scripted::RunningScript;

fn main() -> ExitCode {
    messages::show_reports();
    let result = Arguments::parse_line().and_then(|arguments| run(&arguments));
    result.unwrap_or_else(|cause| {
        say(cause);
        ExitCode::from(2)
    })
}

fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    // Whatever can be wrong with what we were given comes first: after this, nothing is refused any more.
    let hardware = Hardware::prepare(arguments)?;
    let outlets = Outlets::open(arguments)?;
    let (line, console) = Console::prepare(arguments)?;

    let (events, arriving) = crossbeam_channel::unbounded();
    event::watch_signals(events.clone()).map_err(|e| format!("cannot watch signals: {e}"))?;
    event::watch_panics(events.clone());
    hardware.announce();
    let guest = hardware.connect(line);
    let mut console = console.start(outlets, guest.port(), arguments, &events)?;
    let running = guest
        .start(&events)
        .map_err(|e| format!("cannot start a thread: {e}"))?;

    let waited = panic::catch_unwind(AssertUnwindSafe(|| {
        wait_for_end(arguments, &arriving, &mut console)
    }));
    running.stop();
    let code = match waited {
        Ok(code) => code,
        Err(_) => event::PANICKED,
    };
    console.end(code == event::POWERED_OFF);
    Ok(ExitCode::from(code))
}

/// Until something ends the machine; gives the exit code.
fn wait_for_end(arguments: &Arguments, events: &Receiver<Event>, console: &mut Console) -> u8 {
    let panic_after = arguments.panic_after.map(Duration::from_millis);
    let panics = panic_after.map_or_else(crossbeam_channel::never, crossbeam_channel::after);
    loop {
        let event = crossbeam_channel::select! {
            recv(events) -> event => event.expect("this function's caller holds a sender"),
            recv(panics) -> _ => panic!("as --panic-after asked for"),
        };
        match event {
            Event::Guest(Ending::PoweredOff | Ending::Stopped) => return event::POWERED_OFF,
            Event::Guest(Ending::Failed(cause)) => {
                say(format_args!("the guest cannot go on: {cause}"));
                return event::GUEST_FAILED;
            }
            Event::TerminalLeft(why) => {
                console.terminal_left(&why, !arguments.exit_on_leave);
                if arguments.exit_on_leave {
                    return event::POWERED_OFF;
                }
            }
            Event::AccountingWanted => console.say_accounting(),
            Event::Signal(number) => return 128 + number,
            Event::Panicked => return event::PANICKED,
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
            .map_err(|e| format!("{} MiB of RAM: {e}", arguments.memory))?;
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
            (Err(why), Some(_)) => Err(format!("{why}; --kernel needs it")),
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

    fn start(self, events: &Sender<Event>) -> std::io::Result<RunningGuest> {
        let events = events.clone();
        let ended = move |ending| {
            let _ = events.send(Event::Guest(ending)); // nobody listens any more: the machine is ending anyway
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
                RunningGuest::Kvm(machine.start(port, coalesce, reload, ended)?)
            }
            Self::Scripted { port, interrupt } => {
                RunningGuest::Scripted(scripted::start(port, interrupt, ended)?)
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
