//! What the guest runs on: a machine in KVM, or a script in this process.

use std::path::PathBuf;
use std::sync::Arc;

use crossbeam_channel::Sender;
use kvm_ioctls::Kvm;
use vm_console::protocol::PowerAction;
use vm_console::{ConsoleLine, GuestPort};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::arguments::GuestArguments;
use crate::event::Event;
use crate::machine::{self, Boot, Linux, Machine, Ram, Rules, RunningVcpu};
use crate::messages::say;
use crate::port;
use crate::power::{PowerSwitch, Request};
use crate::sandbox::Entry;
use crate::scripted::{self, RunningScript};

/// What the guest will run on: checked, and not yet running.
pub(crate) enum Hardware {
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
pub(crate) struct Kernel {
    file: PathBuf,
    initrd: Option<PathBuf>,
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
    pub(crate) fn prepare(arguments: &GuestArguments) -> Result<Self, String> {
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

    pub(crate) fn announce(&self) {
        if let Self::Scripted { why } = self {
            say(format_args!("{why}: running the scripted guest"));
        }
    }

    /// Puts the port between the guest and `line`. The machine is on, or `starts_off`.
    pub(crate) fn connect(self, line: ConsoleLine, starts_off: bool) -> Guest {
        let switch = Arc::new(PowerSwitch::new(!starts_off));
        let kind = match self {
            Self::Kvm {
                machine,
                irq4,
                kernel,
                coalesce,
            } => Kind::Kvm {
                machine,
                kernel,
                coalesce,
                port: Arc::new(port::with_irqfd(irq4, line)),
            },
            Self::Scripted { .. } => {
                let interrupt = Arc::new(scripted::Interrupt::new(switch.clone()));
                Kind::Scripted {
                    port: Arc::new(port::new(
                        scripted::InterruptPin(Arc::clone(&interrupt)),
                        line,
                    )),
                    interrupt,
                }
            }
        };
        Guest { kind, switch }
    }
}

/// A guest with its port, not yet running.
pub(crate) struct Guest {
    kind: Kind,
    switch: Arc<PowerSwitch>,
}

enum Kind {
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
    pub(crate) fn port(&self) -> Arc<dyn GuestPort> {
        match &self.kind {
            Kind::Kvm { port, .. } => port.clone(),
            Kind::Scripted { port, .. } => port.clone(),
        }
    }

    /// With `stays`, the guest can be started again after it has switched the machine off.
    pub(crate) fn start(
        self,
        stays: bool,
        entry: Entry,
        events: &Sender<Event>,
    ) -> std::io::Result<RunningGuest> {
        let enter = || entry.enter().map_err(|e| e.to_string());
        let events = events.clone();
        let ended = move |ending| {
            let _ = events.send(Event::Guest(ending)); // it is ending anyway if nobody listens
        };
        let switch = self.switch.clone();
        let kind = match self.kind {
            Kind::Kvm {
                machine,
                kernel,
                coalesce,
                port,
            } => {
                let reload = move |ram: &Ram| match &kernel {
                    None => machine::load_real_mode(ram),
                    Some(kernel) => kernel.load(ram),
                };
                let rules = Rules {
                    coalesce,
                    stays,
                    switch: self.switch,
                };
                RunningKind::Kvm(machine.start(port, rules, enter, reload, ended)?)
            }
            Kind::Scripted { port, interrupt } => RunningKind::Scripted(scripted::start(
                port,
                interrupt,
                self.switch,
                stays,
                enter,
                ended,
            )?),
        };
        Ok(RunningGuest { kind, switch })
    }
}

/// A guest on its thread.
pub(crate) struct RunningGuest {
    kind: RunningKind,
    switch: Arc<PowerSwitch>,
}

enum RunningKind {
    Kvm(RunningVcpu),
    Scripted(RunningScript),
}

impl RunningGuest {
    /// Presses a button of the machine. Start does nothing to a machine that is on, and the others
    /// do nothing to one that is off.
    pub(crate) fn press(&self, button: PowerAction) {
        match button {
            PowerAction::Start => self.switch.on(),
            PowerAction::Stop => self.ask(Request::Off),
            PowerAction::Restart => self.ask(Request::Reset),
            // Its guests have no handler for one, so the console says that there is none.
            PowerAction::Nmi => {}
        }
    }

    fn ask(&self, request: Request) {
        match &self.kind {
            RunningKind::Kvm(vcpu) => vcpu.ask(request),
            RunningKind::Scripted(script) => script.ask(request),
        }
    }

    /// Ends the guest's thread.
    pub(crate) fn stop(self) {
        match self.kind {
            RunningKind::Kvm(vcpu) => vcpu.stop(),
            RunningKind::Scripted(script) => script.stop(),
        }
    }
}
