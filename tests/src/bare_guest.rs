//! Real-mode guests of a few instructions under KVM, whose serial port is any device model: tests
//! compare answers with them, and benchmarks run ours and its peers in the same loop.

use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd};
use std::sync::Arc;

use kvm_bindings::{KVM_MP_STATE_RUNNABLE, kvm_mp_state, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion};
use vmm_sys_util::eventfd::EventFd;

/// The first port of the serial device under test.
pub const COM1: u16 = 0x3f8;

/// Writing anything to this port ends the run: with the interrupt controller in the kernel, `hlt`
/// does not exit.
pub const DONE: u16 = 0xf4;

/// Programs of vCPU n are loaded here plus n times [`CODE_STEP`].
const CODE: u64 = 0x1000;
const CODE_STEP: u64 = 0x3000;
const ANSWERS: u64 = 0xa000;
const MEMORY: usize = 0x1_0000;

/// What answers at [`COM1`].
pub trait Device {
    /// A read of the register at `offset`.
    fn read(&mut self, offset: u8) -> u8;
    /// A write to the register at `offset`.
    fn write(&mut self, offset: u8, value: u8);
    /// Called at each exit before it is handled, with its port.
    fn before_access(&mut self, _port: u16, _is_write: bool) {}
    /// A read elsewhere than at [`COM1`]: a port, or guest-physical memory that is none.
    fn read_elsewhere(&mut self, _address: u64, data: &mut [u8]) {
        data.fill(0xff);
    }
    /// A write elsewhere.
    fn write_elsewhere(&mut self, _address: u64, _data: &[u8]) {}
}

/// Exits of one run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exits {
    /// Returns to user space for an access to the serial port.
    pub serial: u64,
}

/// One access of a guest to the serial port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads the register at this offset.
    Read(u8),
    /// Writes this value to the register at this offset.
    Write(u8, u8),
}

/// A guest program and the bytes that it sends.
pub struct Program {
    /// Machine code, loaded at 0x1000.
    pub code: Vec<u8>,
    /// How many bytes it writes to THR.
    pub bytes: usize,
}

/// `bursts` times: one read of LSR, then `burst` writes of THR, as drivers that poll do. Unrolled
/// as far as a short jump reaches: where guests are emulated, a loop's own instruction costs almost
/// as much as an exit.
#[must_use]
pub fn polled(burst: usize, bursts: u16) -> Program {
    let mut body = vec![0xba, 0xfd, 0x03, 0xec]; // mov dx, COM1 + 5; in al, dx
    body.extend([0xba, 0xf8, 0x03]); // mov dx, COM1
    body.extend(std::iter::repeat_n(0xee, burst)); // out dx, al
    let copies = [8, 4, 2, 1]
        .into_iter()
        .find(|&copies| bursts.is_multiple_of(copies) && body.len() * usize::from(copies) < 120);
    let copies = copies.unwrap_or(1);
    let mut code = vec![0xb9];
    code.extend((bursts / copies).to_le_bytes()); // mov cx, bursts / copies
    let again = code.len();
    code.extend(body.repeat(copies.into()));
    let back = code.len() + 2 - again;
    code.extend([0xe2, 0u8.wrapping_sub(back as u8)]); // loop again
    code.extend([0xe6, DONE as u8, 0xf4]); // out DONE, al; hlt
    Program {
        code,
        bytes: burst * usize::from(bursts),
    }
}

/// Makes `accesses` in order, then ends; what was read is in [`Guest::answers`]. At most 1,500
/// accesses fit.
#[must_use]
pub fn script(accesses: &[Access]) -> Program {
    let mut code = vec![0x31, 0xc0, 0x8e, 0xc0, 0xbf]; // xor ax, ax; mov es, ax; mov di, ANSWERS
    code.extend((ANSWERS as u16).to_le_bytes());
    let mut bytes = 0;
    for &access in accesses {
        let (Access::Read(offset) | Access::Write(offset, _)) = access;
        code.push(0xba);
        code.extend((COM1 + u16::from(offset)).to_le_bytes()); // mov dx, COM1 + offset
        match access {
            Access::Read(_) => code.extend([0xec, 0xaa]), // in al, dx; stosb
            Access::Write(_, value) => code.extend([0xb0, value, 0xee]), // mov al, value; out dx, al
        }
        bytes += usize::from(matches!(access, Access::Write(0, _)));
    }
    code.extend([0xe6, DONE as u8, 0xf4]); // out DONE, al; hlt
    Program { code, bytes }
}

/// Writes `bytes` times to THR without ever reading, then halts with interrupts off: nothing exits
/// any more.
#[must_use]
pub fn write_and_halt(bytes: u16) -> Program {
    let mut code = vec![0xfa, 0xb9]; // cli; mov cx, bytes
    code.extend(bytes.to_le_bytes());
    code.extend([0xba, 0xf8, 0x03]); // mov dx, COM1
    code.extend([0x88, 0xc8, 0xee]); // again: mov al, cl; out dx, al
    code.extend([0xe2, 0xfb, 0xf4]); // loop again; hlt
    Program {
        code,
        bytes: bytes.into(),
    }
}

/// Writes `value` `burst` times to THR when the word in memory at 0x500 is `turn`, then makes it
/// `next`; `rounds` times. Two such guests on two vCPUs take turns without ever exiting, and the
/// order of their bytes is known.
#[must_use]
pub fn take_turns(value: u8, burst: usize, turn: u8, next: u8, rounds: u16) -> Program {
    let mut code = vec![0x31, 0xc0, 0x8e, 0xd8, 0xb9]; // xor ax, ax; mov ds, ax; mov cx, rounds
    code.extend(rounds.to_le_bytes());
    code.extend([0xba, 0xf8, 0x03]); // mov dx, COM1
    let wait = code.len();
    code.extend([0x80, 0x3e, 0x00, 0x05, turn]); // cmp byte [0x500], turn
    code.extend([0x75, 0xf9]); // jne wait
    code.extend([0xb0, value]); // mov al, value
    code.extend(std::iter::repeat_n(0xee, burst)); // out dx, al
    code.extend([0xc6, 0x06, 0x00, 0x05, next]); // mov byte [0x500], next
    let back = code.len() + 2 - wait;
    code.extend([0xe2, 0u8.wrapping_sub(back as u8)]); // loop wait
    code.extend([0xe6, DONE as u8, 0xf4]); // out DONE, al; hlt
    Program {
        code,
        bytes: burst * usize::from(rounds),
    }
}

/// Interrupt-driven, as Linux's tty path: the handler loops on IIR, and for THRE reads LSR and
/// writes 16 bytes; `bursts` times, then it takes ETBEI away and the main loop ends.
#[must_use]
pub fn interrupt_driven(bursts: u16) -> Program {
    // FIFO on; DTR, RTS and OUT2; then ETBEI, and it begins.
    by_interrupt(bursts, &[(2, 0x01), (4, 0x0b), (1, 0x02)])
}

/// As [`interrupt_driven`], at a port that such a program has set up before: as a driver that has
/// more to send.
#[must_use]
pub fn interrupt_driven_again(bursts: u16) -> Program {
    by_interrupt(bursts, &[(1, 0x02)])
}

/// `begin`: registers and the values with which the program begins.
fn by_interrupt(bursts: u16, begin: &[(u16, u8)]) -> Program {
    let mut code = Vec::new();
    let out = |code: &mut Vec<u8>, port: u16, value: u8| {
        code.push(0xba);
        code.extend(port.to_le_bytes());
        code.extend([0xb0, value, 0xee]);
    };
    // The handler's address goes into the vector of IRQ 4 (8 + 4), at 0:0x30; patched below.
    code.extend([0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, 0x00, 0x80]); // cli; ds = ss = 0; sp = 0x8000
    let vector = code.len() + 4;
    code.extend([0xc7, 0x06, 0x30, 0x00, 0, 0]); // mov word [0x30], handler
    code.extend([0xc7, 0x06, 0x32, 0x00, 0, 0]); // mov word [0x32], 0
    for (port, value) in [
        (0x20, 0x11),
        (0x21, 0x08),
        (0x21, 0x04),
        (0x21, 0x01),
        (0x21, 0xef),
    ] {
        out(&mut code, port, value);
    }
    code.push(0xbd);
    code.extend(bursts.to_le_bytes()); // mov bp, bursts
    for (offset, value) in begin {
        out(&mut code, COM1 + offset, *value);
    }
    code.push(0xfb); // sti
    let wait = code.len();
    code.push(0xf4); // hlt
    code.extend([0x09, 0xed]); // or bp, bp
    let back = code.len() + 2 - wait;
    code.extend([0x75, 0u8.wrapping_sub(back as u8)]); // jnz wait
    code.extend([0xe6, DONE as u8, 0xf4]); // out DONE, al; hlt
    let handler = CODE as u16 + code.len() as u16;
    code[vector..vector + 2].copy_from_slice(&handler.to_le_bytes());
    let look = code.len();
    code.extend([0xba, 0xfa, 0x03, 0xec]); // mov dx, COM1 + 2; in al, dx
    code.extend([0xa8, 0x01]); // test al, 1
    let to_end = code.len() + 1;
    code.extend([0x75, 0]); // jnz end
    code.extend([0x09, 0xed]); // or bp, bp
    let to_stop = code.len() + 1;
    code.extend([0x74, 0]); // jz stop
    code.push(0x4d); // dec bp
    code.extend([0xba, 0xfd, 0x03, 0xec, 0xba, 0xf8, 0x03]); // in al, LSR; mov dx, COM1
    code.extend([0xee; 16]);
    let back = code.len() + 2 - look;
    code.extend([0xeb, 0u8.wrapping_sub(back as u8)]); // jmp look
    let stop = code.len();
    code[to_stop] = (stop - to_stop - 1) as u8;
    out(&mut code, COM1 + 1, 0);
    let back = code.len() + 2 - look;
    code.extend([0xeb, 0u8.wrapping_sub(back as u8)]); // jmp look
    let end = code.len();
    code[to_end] = (end - to_end - 1) as u8;
    out(&mut code, 0x20, 0x20); // EOI
    code.push(0xcf); // iret
    Program {
        code,
        bytes: 16 * usize::from(bursts),
    }
}

/// 64 KiB of memory, the interrupt controllers in the kernel and an irqfd on IRQ 4.
pub struct Guest {
    /// The VM, shared with a coalesced ring.
    pub vm: Arc<VmFd>,
    /// Raises IRQ 4.
    pub irq: EventFd,
    /// The vCPUs, each to be run by one thread.
    pub vcpus: Vec<Vcpu>,
    memory: Arc<GuestMemoryMmap>,
}

/// One vCPU.
pub struct Vcpu {
    fd: VcpuFd,
    code: u64,
    memory: Arc<GuestMemoryMmap>,
}

impl Guest {
    /// Sets a guest with `vcpus` vCPUs up.
    ///
    /// # Errors
    ///
    /// Why there is no KVM here.
    pub fn new(vcpus: u64) -> Result<Self, String> {
        let failed =
            |what: &'static str| move |error: kvm_ioctls::Error| format!("{what}: {error}");
        let kvm = Kvm::new().map_err(failed("cannot open /dev/kvm"))?;
        let vm = kvm.create_vm().map_err(failed("cannot create a VM"))?;
        let memory = GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(0), MEMORY)])
            .map_err(|e| e.to_string())?;
        for (slot, region) in (0..).zip(memory.iter()) {
            let address = memory
                .get_host_address(region.start_addr())
                .map_err(|e| e.to_string())?;
            let region = kvm_userspace_memory_region {
                slot,
                guest_phys_addr: region.start_addr().0,
                memory_size: region.len(),
                userspace_addr: address as u64,
                flags: 0,
            };
            // SAFETY: the range is the mapping just made; every vCPU that can run on it holds it
            // alive.
            unsafe { vm.set_user_memory_region(region) }
                .map_err(failed("cannot give the VM memory"))?;
        }
        vm.create_irq_chip()
            .map_err(failed("cannot create the interrupt controllers"))?;
        let irq = EventFd::new(vmm_sys_util::eventfd::EFD_NONBLOCK).map_err(|e| e.to_string())?;
        vm.register_irqfd(&irq, 4)
            .map_err(failed("cannot bind the irqfd"))?;
        let memory = Arc::new(memory);
        let vcpus = (0..vcpus)
            .map(|id| {
                let fd = vm.create_vcpu(id)?;
                // Without an INIT and SIPI from vCPU 0, the others wait for ever.
                fd.set_mp_state(kvm_mp_state {
                    mp_state: KVM_MP_STATE_RUNNABLE,
                })?;
                Ok(Vcpu {
                    fd,
                    code: CODE + id * CODE_STEP,
                    memory: Arc::clone(&memory),
                })
            })
            .collect::<Result<_, _>>()
            .map_err(failed("cannot create a vCPU"))?;
        Ok(Self {
            vm: Arc::new(vm),
            irq,
            vcpus,
            memory,
        })
    }

    /// A second descriptor of the first vCPU, for the coalesced ring.
    ///
    /// # Errors
    ///
    /// If descriptors are exhausted.
    pub fn second_vcpu_descriptor(&self) -> Result<VcpuFd, String> {
        // SAFETY: the descriptor is open as long as the borrow lasts: it belongs to `self`.
        let fd = unsafe { BorrowedFd::borrow_raw(self.vcpus[0].fd.as_raw_fd()) };
        let fd = fd.try_clone_to_owned().map_err(|e| e.to_string())?;
        // SAFETY: a fresh duplicate of a vCPU's descriptor, given away.
        unsafe { self.vm.create_vcpu_from_rawfd(fd.into_raw_fd()) }.map_err(|e| e.to_string())
    }

    /// The guest's memory: how a test and a program tell each other how far they are.
    #[must_use]
    pub fn memory(&self) -> Arc<GuestMemoryMmap> {
        Arc::clone(&self.memory)
    }

    /// The first `count` bytes that a [`script`] read.
    ///
    /// # Errors
    ///
    /// If `count` is more than there is room for.
    pub fn answers(&self, count: usize) -> Result<Vec<u8>, String> {
        let mut answers = vec![0; count];
        self.memory
            .read_slice(&mut answers, GuestAddress(ANSWERS))
            .map_err(|e| e.to_string())?;
        Ok(answers)
    }
}

impl Vcpu {
    /// Runs `program` to its end.
    ///
    /// # Errors
    ///
    /// What the vCPU did instead.
    pub fn run(&mut self, program: &Program, device: &mut impl Device) -> Result<Exits, String> {
        self.memory
            .write_slice(&program.code, GuestAddress(self.code))
            .map_err(|e| e.to_string())?;
        let mut sregs = self.fd.get_sregs().map_err(|e| e.to_string())?;
        sregs.cs.base = 0;
        sregs.cs.selector = 0;
        self.fd.set_sregs(&sregs).map_err(|e| e.to_string())?;
        let mut regs = self.fd.get_regs().map_err(|e| e.to_string())?;
        regs.rip = self.code;
        regs.rflags = 2;
        self.fd.set_regs(&regs).map_err(|e| e.to_string())?;
        let mut exits = Exits::default();
        loop {
            match self.fd.run().map_err(|e| e.to_string())? {
                VcpuExit::IoOut(port @ COM1..=0x3ff, data) => {
                    exits.serial += 1;
                    device.before_access(port, true);
                    for &value in data {
                        device.write((port - COM1) as u8, value);
                    }
                }
                VcpuExit::IoIn(port @ COM1..=0x3ff, data) => {
                    exits.serial += 1;
                    device.before_access(port, false);
                    for value in data {
                        *value = device.read((port - COM1) as u8);
                    }
                }
                VcpuExit::IoOut(DONE, _) => {
                    device.before_access(DONE, true);
                    return Ok(exits);
                }
                VcpuExit::IoOut(port, data) => device.write_elsewhere(port.into(), data),
                VcpuExit::IoIn(port, data) => device.read_elsewhere(port.into(), data),
                VcpuExit::MmioWrite(address, data) => device.write_elsewhere(address, data),
                VcpuExit::MmioRead(address, data) => device.read_elsewhere(address, data),
                other => return Err(format!("the guest left its program: {other:?}")),
            }
        }
    }
}
