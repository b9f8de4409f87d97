//! The guest that comes with this VMM: `guest/guest.asm`, in real mode.

use kvm_bindings::kvm_regs;
use kvm_ioctls::VcpuFd;
use vm_memory::{Bytes, GuestAddress};

use super::memory::Ram;

/// `guest/guest.asm`, assembled; `tests/guest_image.rs` holds the two together.
const IMAGE: &[u8] = include_bytes!("../../guest/guest.bin");
const LOAD_ADDRESS: u64 = 0x1000;

/// Puts the image where it runs. Called before each start, since the guest changes its own data.
pub(crate) fn load(ram: &Ram) -> Result<(), String> {
    ram.write_slice(IMAGE, GuestAddress(LOAD_ADDRESS))
        .map_err(|e| format!("the guest does not fit into RAM: {e}"))
}

/// CS:IP = 0000:1000, all else as after a reset.
pub(crate) fn enter(vcpu: &VcpuFd) -> Result<(), kvm_ioctls::Error> {
    let mut sregs = vcpu.get_sregs()?;
    sregs.cs.base = 0;
    sregs.cs.selector = 0;
    vcpu.set_sregs(&sregs)?;
    vcpu.set_regs(&kvm_regs {
        rip: LOAD_ADDRESS,
        rflags: 2, // bit 1 is always 1
        ..kvm_regs::default()
    })
}
