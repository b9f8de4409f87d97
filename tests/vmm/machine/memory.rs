//! Guest RAM: one region from address 0.

use kvm_bindings::kvm_userspace_memory_region;
use kvm_ioctls::VmFd;
use vm_memory::{GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion};

/// Guest RAM as this VMM maps it.
pub(crate) type Ram = GuestMemoryMmap<()>;

/// RAM stops below the hole where PCs have their devices, so that it is one region.
pub(crate) const MAX_MIB: u64 = 3 * 1024;

/// Maps `mib` mebibytes of RAM; untouched pages cost nothing.
pub(crate) fn allocate(mib: u64) -> Result<Ram, String> {
    let bytes =
        usize::try_from(mib << 20).map_err(|_| "more than this host can address".to_owned())?;
    Ram::from_ranges(&[(GuestAddress(0), bytes)]).map_err(|e| e.to_string())
}

/// Makes `ram` the memory of `vm`. The caller keeps `ram` alive until `vm` and its vCPUs are gone.
#[allow(unsafe_code)]
pub(crate) fn give_to(vm: &VmFd, ram: &Ram) -> Result<(), kvm_ioctls::Error> {
    for (slot, region) in (0..).zip(ram.iter()) {
        let host = ram
            .get_host_address(region.start_addr())
            .expect("the start of a mapped region has a host address");
        let slot = kvm_userspace_memory_region {
            slot,
            flags: 0,
            guest_phys_addr: region.start_addr().0,
            memory_size: region.len(),
            userspace_addr: host as u64,
        };
        // SAFETY: the range is a live mapping of exactly this length, which `Machine` owns and
        // drops after the VM and its vCPU; nothing in this process holds Rust references into it,
        // vm-memory's accesses are volatile.
        unsafe { vm.set_user_memory_region(slot)? };
    }
    Ok(())
}
