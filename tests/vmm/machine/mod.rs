//! One vCPU, RAM, KVM's interrupt controllers, and our port at 0x3f8 on IRQ 4.

mod coalesced;
mod linux;
mod memory;
mod real_mode;

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use kvm_bindings::{
    KVM_IRQCHIP_IOAPIC, KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE, KVM_PIT_SPEAKER_DUMMY,
    kvm_fpu, kvm_irqchip, kvm_lapic_state, kvm_mp_state, kvm_pit_config, kvm_pit_state2, kvm_sregs,
};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};
use vm_uart::bus::coalesced::DataRegister;
use vmm_sys_util::eventfd::EventFd;
use vmm_sys_util::signal::{Killable, SIGRTMIN};

pub(crate) use linux::{DEFAULT_CMDLINE, Entry, Linux};
pub(crate) use memory::{MAX_MIB, Ram, allocate};

use self::coalesced::Coalesced;
use crate::guest::{Ending, SerialIo};
use crate::messages::say;
use crate::power::{self, Halt, PowerSwitch, Request};

const COM1: u16 = 0x3f8;
const COM1_LAST: u16 = 0x3ff;
const COM1_IRQ: u32 = 4;
/// The keyboard controller's command port; 0xfe pulses the reset line.
const KEYBOARD_CONTROLLER: u16 = 0x64;
const PULSE_RESET: u8 = 0xfe;
/// CMOS data: 0 rather than an empty bus's 0xff, whose bit 7 Linux would take for an update that
/// never ends.
const CMOS_DATA: u16 = 0x71;
/// Where QEMU's PCs have the ACPI register whose SLP_EN bit powers off.
const POWER: u16 = 0x604;
const SLP_EN: u16 = 0x2000;

/// What runs in the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Boot {
    /// `guest/guest.asm`.
    RealMode,
    /// A kernel that has been loaded into the machine's RAM.
    Linux(Entry),
}

/// A machine that is ready to start.
pub(crate) struct Machine {
    // In this order: the vCPU and the VM go before the memory that they use.
    vcpu: VcpuFd,
    vm: Arc<VmFd>,
    kvm: Kvm,
    ram: Ram,
}

impl Machine {
    /// A machine with `ram` whose IRQ 4 rises with each write to `irq4`.
    pub(crate) fn new(kvm: Kvm, ram: Ram, irq4: &EventFd) -> Result<Self, kvm_ioctls::Error> {
        let vm = kvm.create_vm()?;
        // Where Intel's hosts keep what real mode needs; any place below 4 GiB that is not RAM
        // does.
        vm.set_identity_map_address(0xfffb_c000)?;
        vm.set_tss_address(0xfffb_d000)?;
        vm.create_irq_chip()?;
        vm.create_pit2(kvm_pit_config {
            flags: KVM_PIT_SPEAKER_DUMMY,
            ..kvm_pit_config::default()
        })?;
        vm.register_irqfd(irq4, COM1_IRQ)?;
        memory::give_to(&vm, &ram)?;
        let vcpu = vm.create_vcpu(0)?;
        let vm = Arc::new(vm);
        Ok(Self { vcpu, vm, kvm, ram })
    }

    /// Starts the vCPU on its own thread, which calls `enter` first. `reload` puts the guest into RAM
    /// at each boot; `ended` is told why the vCPU no longer runs.
    pub(crate) fn start<P: SerialIo + DataRegister + 'static>(
        mut self,
        port: Arc<P>,
        rules: Rules,
        enter: impl FnOnce() -> Result<(), String> + Send + 'static,
        reload: impl Fn(&Ram) -> Result<Boot, String> + Send + 'static,
        ended: impl FnOnce(Ending) + Send + 'static,
    ) -> io::Result<RunningVcpu> {
        // KVM_RUN returns at any signal that has a handler. The flag itself says nothing: what for
        // is known by the switch.
        signal_hook::flag::register(SIGRTMIN(), Arc::default())?;
        let port: Arc<dyn SerialIo> =
            match (rules.coalesce).then(|| Coalesced::new(&self.vm, &self.vcpu, port.clone())) {
                Some(Ok(coalesced)) => Arc::new(coalesced),
                Some(Err(why)) => {
                    say(format_args!("without coalesced port I/O: {why}"));
                    port
                }
                None => port,
            };
        let switch = rules.switch.clone();
        let thread = thread::Builder::new()
            .name("vcpu0".to_owned())
            .spawn(move || {
                let power_on =
                    enter().and_then(|()| PowerOnState::save(&self).map_err(|e| e.to_string()));
                ended(match power_on {
                    Ok(power_on) => power::live(
                        || self.boot(&power_on, &reload, &*port, &rules.switch),
                        &*port,
                        &rules.switch,
                        rules.stays,
                    ),
                    Err(why) => Ending::Failed(why),
                });
            })?;
        Ok(RunningVcpu { thread, switch })
    }

    /// From power-on until the vCPU stands still.
    fn boot(
        &mut self,
        power_on: &PowerOnState,
        reload: &dyn Fn(&Ram) -> Result<Boot, String>,
        port: &dyn SerialIo,
        switch: &PowerSwitch,
    ) -> Result<Halt, String> {
        let boot = reload(&self.ram)?;
        power_on.restore(self).map_err(|e| e.to_string())?;
        self.enter(boot).map_err(|e| e.to_string())?;
        run_vcpu(&mut self.vcpu, port, switch)
    }

    fn enter(&self, boot: Boot) -> Result<(), kvm_ioctls::Error> {
        match boot {
            Boot::RealMode => real_mode::enter(&self.vcpu),
            Boot::Linux(entry) => linux::enter(&self.kvm, &self.vcpu, &self.ram, entry),
        }
    }
}

/// How a machine is run.
pub(crate) struct Rules {
    /// THR writes go by way of KVM's ring where the host has one.
    pub(crate) coalesce: bool,
    /// A guest that switches the machine off can be started again.
    pub(crate) stays: bool,
    pub(crate) switch: Arc<PowerSwitch>,
}

/// Loads the guest that comes with this VMM.
pub(crate) fn load_real_mode(ram: &Ram) -> Result<Boot, String> {
    real_mode::load(ram).map(|()| Boot::RealMode)
}

/// A vCPU's thread.
pub(crate) struct RunningVcpu {
    thread: JoinHandle<()>,
    switch: Arc<PowerSwitch>,
}

impl RunningVcpu {
    /// Asks the vCPU for something, wherever it is.
    pub(crate) fn ask(&self, request: Request) {
        self.switch.ask(request, || {
            !self.thread.is_finished() && self.thread.kill(SIGRTMIN()).is_ok()
        });
    }

    /// Stops the vCPU wherever it is, and waits for its thread.
    pub(crate) fn stop(self) {
        self.ask(Request::End);
        drop(self.thread.join()); // a panic there has been reported by its hook
    }
}

fn run_vcpu(vcpu: &mut VcpuFd, port: &dyn SerialIo, switch: &PowerSwitch) -> Result<Halt, String> {
    while !switch.has_request() {
        match vcpu.run() {
            Ok(VcpuExit::IoOut(address @ COM1..=COM1_LAST, data)) => {
                port.write((address - COM1) as u8, data);
            }
            Ok(VcpuExit::IoIn(address @ COM1..=COM1_LAST, data)) => {
                port.read((address - COM1) as u8, data);
            }
            Ok(VcpuExit::IoOut(KEYBOARD_CONTROLLER, [PULSE_RESET])) => {
                finish_access(vcpu);
                return Ok(Halt::Reset);
            }
            Ok(VcpuExit::IoOut(POWER, &[low, high]))
                if u16::from_le_bytes([low, high]) & SLP_EN != 0 =>
            {
                return Ok(Halt::PoweredOff);
            }
            Ok(VcpuExit::IoIn(KEYBOARD_CONTROLLER | CMOS_DATA, data)) => data.fill(0),
            // Nobody lives there: reads float high, writes are lost.
            Ok(VcpuExit::IoIn(_, data) | VcpuExit::MmioRead(_, data)) => data.fill(0xff),
            Ok(VcpuExit::IoOut(..) | VcpuExit::MmioWrite(..) | VcpuExit::Intr) => {}
            // A triple fault resets a PC.
            Ok(VcpuExit::Shutdown) => return Ok(Halt::Reset),
            Ok(VcpuExit::FailEntry(reason, _)) => {
                return Err(format!(
                    "the host's CPU refuses to enter the guest (reason {reason:#x}); \
                     a kernel needs hardware virtualisation"
                ));
            }
            Ok(VcpuExit::InternalError) => {
                return Err(
                    "KVM cannot run the guest's code; a kernel needs hardware virtualisation"
                        .to_owned(),
                );
            }
            Ok(other) => {
                return Err(format!(
                    "the guest left KVM in a way that nothing here answers: {other:?}"
                ));
            }
            Err(e) if matches!(e.errno(), EINTR | EAGAIN) => {}
            Err(e) => return Err(format!("KVM_RUN: {e}")),
        }
    }
    finish_access(vcpu);
    Ok(Halt::Asked)
}

const EINTR: i32 = rustix::io::Errno::INTR.raw_os_error();
const EAGAIN: i32 = rustix::io::Errno::AGAIN.raw_os_error();

/// Lets KVM complete the port access that is under way, without running the guest any further.
fn finish_access(vcpu: &mut VcpuFd) {
    vcpu.set_kvm_immediate_exit(1);
    drop(vcpu.run()); // EINTR, by design
    vcpu.set_kvm_immediate_exit(0);
}

/// vCPU and interrupt controllers as they are before the first instruction, for resets.
struct PowerOnState {
    sregs: kvm_sregs,
    fpu: kvm_fpu,
    mp_state: kvm_mp_state,
    lapic: kvm_lapic_state,
    pit: kvm_pit_state2,
    chips: [kvm_irqchip; 3],
}

impl PowerOnState {
    fn save(machine: &Machine) -> Result<Self, kvm_ioctls::Error> {
        let chip = |chip_id| -> Result<kvm_irqchip, kvm_ioctls::Error> {
            let mut chip = kvm_irqchip {
                chip_id,
                ..kvm_irqchip::default()
            };
            machine.vm.get_irqchip(&mut chip)?;
            Ok(chip)
        };
        Ok(Self {
            sregs: machine.vcpu.get_sregs()?,
            fpu: machine.vcpu.get_fpu()?,
            mp_state: machine.vcpu.get_mp_state()?,
            lapic: machine.vcpu.get_lapic()?,
            pit: machine.vm.get_pit2()?,
            chips: [
                chip(KVM_IRQCHIP_PIC_MASTER)?,
                chip(KVM_IRQCHIP_PIC_SLAVE)?,
                chip(KVM_IRQCHIP_IOAPIC)?,
            ],
        })
    }

    fn restore(&self, machine: &Machine) -> Result<(), kvm_ioctls::Error> {
        machine.vcpu.set_sregs(&self.sregs)?;
        machine.vcpu.set_fpu(&self.fpu)?;
        machine.vcpu.set_mp_state(self.mp_state)?;
        machine.vcpu.set_lapic(&self.lapic)?;
        machine.vm.set_pit2(&self.pit)?;
        self.chips
            .iter()
            .try_for_each(|chip| machine.vm.set_irqchip(chip))
    }
}
