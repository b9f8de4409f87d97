//! Booting a Linux bzImage by the 64-bit boot protocol (Documentation/arch/x86/boot.rst in the
//! kernel's source).
//!
//! Entering long mode needs a host with hardware virtualisation. The machine that this project is
//! built on has none, so the unit tests stop at what lies in RAM. The whole of it has been run
//! under QEMU's emulation of AMD-V, with Debian's 6.1 as host and as guest: it boots, finds a
//! 16550A, drives it by IRQ 4, and reboots.

use std::ffi::CString;
use std::fmt::Display;
use std::fs::File;
use std::io;
use std::path::Path;

use kvm_bindings::{KVM_MAX_CPUID_ENTRIES, Msrs, kvm_msr_entry, kvm_regs, kvm_segment, kvm_sregs};
use kvm_ioctls::{Kvm, VcpuFd};
use linux_loader::configurator::linux::LinuxBootConfigurator;
use linux_loader::configurator::{BootConfigurator, BootParams};
use linux_loader::loader::bootparam::{XLF_KERNEL_64, boot_e820_entry, boot_params};
use linux_loader::loader::{BzImage, KernelLoader};
use rustix::fs::{Mode, OFlags};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, ReadVolatile};

use super::memory::Ram;
use crate::refusal;

/// What a kernel is told unless the user says otherwise: a serial console, and none of the hardware
/// that is not here.
pub(crate) const DEFAULT_CMDLINE: &str = "console=ttyS0 reboot=k panic=1 acpi=off noapic pci=off";

// Where things lie below 1 MiB; the kernel itself starts at HIGH_MEMORY.
const GDT: u64 = 0x500;
const ZERO_PAGE: u64 = 0x7000;
const STACK: u64 = 0x8ff0;
const PML4: u64 = 0x9000;
const PDPT: u64 = 0xa000;
const PAGE_DIRECTORIES: u64 = 0xb000; // four of them, up to 0xf000
const CMDLINE: u64 = 0x2_0000;
const CMDLINE_MAX: usize = 2048;
const LOW_MEMORY_END: u64 = 0x9_fc00; // where a PC has its extended BIOS data
const HIGH_MEMORY: u64 = 0x10_0000;
/// The 64-bit entry point, from the start of the loaded kernel.
const ENTRY_64: u64 = 0x200;

const E820_RAM: u32 = 1;
/// "Undefined" type of boot loader.
const LOADER_OTHER: u8 = 0xff;

/// A kernel, and what it is given.
#[derive(Clone, Debug)]
pub(crate) struct Linux<'a> {
    pub(crate) kernel: &'a Path,
    pub(crate) initrd: Option<&'a Path>,
    pub(crate) cmdline: &'a str,
}

/// Where a loaded kernel is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry(u64);

impl Linux<'_> {
    /// Puts kernel, initrd, command line and boot parameters into `ram`.
    pub(crate) fn load(&self, ram: &Ram) -> Result<Entry, String> {
        let unusable =
            |wrong: &dyn Display| refusal::of("--kernel", self.kernel, wrong, "give a bzImage");
        let mut file = open("--kernel", self.kernel)?;
        let loaded =
            BzImage::load(ram, None, &mut file, Some(GuestAddress(HIGH_MEMORY))).map_err(|e| {
                // The loader names itself in front of every step.
                let all = e.to_string();
                let last = all.rsplit(": ").next().unwrap_or(&all);
                unusable(&format_args!("not a bzImage that can be loaded ({last})"))
            })?;
        let header = loaded
            .setup_header
            .ok_or_else(|| unusable(&"it has no setup header"))?;
        if header.version < 0x020c || header.xloadflags & XLF_KERNEL_64 == 0 {
            return Err(unusable(&"it has no 64-bit entry point"));
        }
        let needed = loaded.kernel_load.0 + u64::from(header.init_size);
        if needed > ram_end(ram) {
            let mib = needed.div_ceil(1 << 20);
            let wrong = format!("it needs {mib} MiB of RAM");
            return Err(refusal::of(
                "--kernel",
                self.kernel,
                wrong,
                "raise --memory",
            ));
        }

        let mut params = boot_params {
            hdr: header,
            ..boot_params::default()
        };
        params.hdr.type_of_loader = LOADER_OTHER;
        params.hdr.cmd_line_ptr = CMDLINE as u32;
        self.load_cmdline(ram)?;
        if let Some(path) = self.initrd {
            let (address, size) =
                load_initrd(ram, path, needed, u64::from(header.initrd_addr_max))?;
            params.hdr.ramdisk_image = address;
            params.hdr.ramdisk_size = size;
        }
        let map = memory_map(ram);
        params.e820_entries = map.len() as u8;
        params.e820_table[..map.len()].copy_from_slice(&map);
        let params = BootParams::new(&params, GuestAddress(ZERO_PAGE));
        LinuxBootConfigurator::write_bootparams(&params, ram).map_err(|e| e.to_string())?;
        Ok(Entry(loaded.kernel_load.0 + ENTRY_64))
    }

    fn load_cmdline(&self, ram: &Ram) -> Result<(), String> {
        let text =
            CString::new(self.cmdline).map_err(|_| "--cmdline holds a 0 byte; leave it out")?;
        let text = text.as_bytes_with_nul();
        if text.len() > CMDLINE_MAX {
            let (given, most) = (text.len() - 1, CMDLINE_MAX - 1);
            return Err(format!("--cmdline has {given} bytes; give at most {most}"));
        }
        ram.write_slice(text, GuestAddress(CMDLINE))
            .map_err(|e| e.to_string())
    }
}

/// Without waiting, as a FIFO that nobody writes to would have it.
fn open(option: &str, path: &Path) -> Result<File, String> {
    let unusable = |e: &dyn Display| refusal::of(option, path, e, "choose another path");
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file =
        rustix::fs::open(path, flags, Mode::empty()).map_err(|e| unusable(&io::Error::from(e)))?;
    let file = File::from(file);
    match file.metadata() {
        Ok(data) if data.is_file() => Ok(file),
        Ok(_) => Err(unusable(&"this is no regular file")),
        Err(e) => Err(unusable(&e)),
    }
}

fn ram_end(ram: &Ram) -> u64 {
    ram.last_addr().0 + 1
}

/// As high as RAM and the kernel's limit allow, above the kernel.
fn load_initrd(ram: &Ram, path: &Path, above: u64, last: u64) -> Result<(u32, u32), String> {
    let unusable = |e: &dyn Display| refusal::of("--initrd", path, e, "choose another path");
    let mut file = open("--initrd", path)?;
    let size = file.metadata().map_err(|e| unusable(&e))?.len();
    let address = ram_end(ram)
        .min(last + 1)
        .checked_sub(size)
        .map(|a| a & !0xfff)
        .filter(|&a| a >= above)
        .ok_or_else(|| {
            let wrong = format!("its {size} bytes do not fit into RAM beside the kernel");
            refusal::of("--initrd", path, wrong, "raise --memory")
        })?;
    let memory = ram
        .get_slice(GuestAddress(address), size as usize)
        .map_err(|e| e.to_string())?;
    file.read_exact_volatile(&mut memory.offset(0).map_err(|e| e.to_string())?)
        .map_err(|e| unusable(&e))?;
    Ok((address as u32, size as u32))
}

fn memory_map(ram: &Ram) -> [boot_e820_entry; 2] {
    let usable = |addr, end: u64| boot_e820_entry {
        addr,
        size: end - addr,
        r#type: E820_RAM,
    };
    [usable(0, LOW_MEMORY_END), usable(HIGH_MEMORY, ram_end(ram))]
}

/// Long mode, flat segments, the first 4 GiB mapped to themselves, RSI at the boot parameters.
pub(crate) fn enter(
    kvm: &Kvm,
    vcpu: &VcpuFd,
    ram: &Ram,
    entry: Entry,
) -> Result<(), kvm_ioctls::Error> {
    set_cpuid(kvm, vcpu)?;
    set_msrs(vcpu)?;
    let tables = write_page_tables(ram).and_then(|()| write_gdt(ram));
    tables.expect("RAM that holds a kernel holds its page tables");
    let mut sregs = vcpu.get_sregs()?;
    long_mode(&mut sregs);
    vcpu.set_sregs(&sregs)?;
    vcpu.set_regs(&kvm_regs {
        rip: entry.0,
        rsi: ZERO_PAGE,
        rsp: STACK,
        rbp: STACK,
        rflags: 2, // bit 1 is always 1; interrupts off
        ..kvm_regs::default()
    })
}

/// What the host's CPU offers, told as the one CPU of a virtual machine.
fn set_cpuid(kvm: &Kvm, vcpu: &VcpuFd) -> Result<(), kvm_ioctls::Error> {
    let mut cpuid = kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)?;
    for leaf in cpuid.as_mut_slice() {
        match leaf.function {
            // APIC id 0, one logical processor, "runs under a hypervisor"
            1 => {
                leaf.ebx = leaf.ebx & 0x0000_ffff | 1 << 16;
                leaf.ecx |= 1 << 31;
            }
            // x2APIC id 0
            0x0b | 0x1f => leaf.edx = 0,
            _ => {}
        }
    }
    vcpu.set_cpuid2(&cpuid)
}

fn set_msrs(vcpu: &VcpuFd) -> Result<(), kvm_ioctls::Error> {
    const IA32_MISC_ENABLE: u32 = 0x1a0;
    const FAST_STRING: u64 = 1;
    const MTRR_DEF_TYPE: u32 = 0x2ff;
    const MTRR_ON_WRITE_BACK: u64 = 1 << 11 | 6;
    let msr = |index, data| kvm_msr_entry {
        index,
        data,
        ..kvm_msr_entry::default()
    };
    let msrs = Msrs::from_entries(&[
        msr(IA32_MISC_ENABLE, FAST_STRING),
        msr(MTRR_DEF_TYPE, MTRR_ON_WRITE_BACK),
    ])
    .expect("two entries are within the bound");
    vcpu.set_msrs(&msrs).map(drop)
}

/// 4 GiB in pages of 2 MiB: one PML4 entry, four PDPT entries, four full page directories.
fn write_page_tables(ram: &Ram) -> Result<(), vm_memory::GuestMemoryError> {
    const PRESENT_WRITABLE: u64 = 3;
    const LARGE: u64 = 1 << 7;
    ram.write_obj(PDPT | PRESENT_WRITABLE, GuestAddress(PML4))?;
    for gib in 0..4 {
        let directory = PAGE_DIRECTORIES + gib * 0x1000;
        ram.write_obj(directory | PRESENT_WRITABLE, GuestAddress(PDPT + gib * 8))?;
        for page in 0..512 {
            let maps = gib << 30 | page << 21;
            ram.write_obj(
                maps | LARGE | PRESENT_WRITABLE,
                GuestAddress(directory + page * 8),
            )?;
        }
    }
    Ok(())
}

// The protocol fixes the selectors: __BOOT_CS is 0x10, __BOOT_DS 0x18.
const BOOT_CS: u16 = 0x10;
const BOOT_DS: u16 = 0x18;
const CODE: u8 = 0xb; // execute, read, accessed
const DATA: u8 = 0x3; // read, write, accessed

fn write_gdt(ram: &Ram) -> Result<(), vm_memory::GuestMemoryError> {
    let flat = |kind: u8, long: bool| {
        let size = if long { 0xa } else { 0xc }; // granularity with L, or with D
        0x0000_9000_0000_ffff | u64::from(kind) << 40 | (size << 4 | 0xf) << 48
    };
    for (slot, descriptor) in (0..).zip([0, 0, flat(CODE, true), flat(DATA, false)]) {
        ram.write_obj::<u64>(descriptor, GuestAddress(GDT + slot * 8))?;
    }
    Ok(())
}

fn long_mode(sregs: &mut kvm_sregs) {
    const CR0_PE: u64 = 1;
    const CR0_ET: u64 = 1 << 4;
    const CR0_PG: u64 = 1 << 31;
    const CR4_PAE: u64 = 1 << 5;
    const EFER_LME: u64 = 1 << 8;
    const EFER_LMA: u64 = 1 << 10;
    let flat = |selector, type_, l, db| kvm_segment {
        base: 0,
        limit: 0xffff_ffff,
        selector,
        type_,
        present: 1,
        s: 1,
        l,
        db,
        g: 1,
        ..kvm_segment::default()
    };
    sregs.cs = flat(BOOT_CS, CODE, 1, 0);
    for segment in [
        &mut sregs.ds,
        &mut sregs.es,
        &mut sregs.fs,
        &mut sregs.gs,
        &mut sregs.ss,
    ] {
        *segment = flat(BOOT_DS, DATA, 0, 1);
    }
    sregs.gdt.base = GDT;
    sregs.gdt.limit = 4 * 8 - 1;
    sregs.cr0 = CR0_PE | CR0_ET | CR0_PG;
    sregs.cr3 = PML4;
    sregs.cr4 = CR4_PAE;
    sregs.efer = EFER_LME | EFER_LMA;
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tempfile::NamedTempFile;

    use super::*;
    use crate::machine::memory::allocate;

    const KERNEL_BYTES: usize = 5000;
    const INIT_SIZE: u32 = 3 << 20;

    /// A file that is a bzImage as far as a boot loader can see.
    fn bzimage(change: impl FnOnce(&mut Vec<u8>)) -> NamedTempFile {
        let mut image = vec![0; 5 * 512];
        let mut put = |offset: usize, bytes: &[u8]| {
            image[offset..offset + bytes.len()].copy_from_slice(bytes);
        };
        put(0x1f1, &[4]); // setup sectors after the first
        put(0x202, b"HdrS");
        put(0x206, &0x020f_u16.to_le_bytes());
        put(0x211, &[1]); // LOADED_HIGH
        put(0x214, &0x10_0000_u32.to_le_bytes()); // code32_start
        put(0x22c, &0x7fff_ffff_u32.to_le_bytes()); // initrd_addr_max
        put(0x236, &XLF_KERNEL_64.to_le_bytes());
        put(0x260, &INIT_SIZE.to_le_bytes());
        image.extend((0..KERNEL_BYTES).map(|i| i as u8));
        change(&mut image);
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(&image).unwrap();
        file
    }

    fn load(
        kernel: &NamedTempFile,
        initrd: Option<&NamedTempFile>,
        mib: u64,
    ) -> Result<(Ram, Entry), String> {
        let ram = allocate(mib).unwrap();
        let linux = Linux {
            kernel: kernel.path(),
            initrd: initrd.map(NamedTempFile::path),
            cmdline: DEFAULT_CMDLINE,
        };
        linux.load(&ram).map(|entry| (ram, entry))
    }

    #[test]
    fn a_kernel_finds_itself_its_command_line_and_its_memory() {
        let (ram, entry) = load(&bzimage(|_| {}), None, 16).unwrap();
        assert_eq!(entry, Entry(0x10_0200));
        let mut kernel = vec![0; KERNEL_BYTES];
        ram.read_slice(&mut kernel, GuestAddress(0x10_0000))
            .unwrap();
        assert!(
            kernel
                .iter()
                .zip(0_usize..)
                .all(|(&byte, i)| byte == i as u8)
        );

        let params: boot_params = ram.read_obj(GuestAddress(ZERO_PAGE)).unwrap();
        let (command_line, header) = ({ params.hdr.cmd_line_ptr }, { params.hdr.header });
        assert_eq!(header, u32::from_le_bytes(*b"HdrS"));
        let mut text = vec![0; DEFAULT_CMDLINE.len() + 1];
        ram.read_slice(&mut text, GuestAddress(command_line.into()))
            .unwrap();
        assert_eq!(text, [DEFAULT_CMDLINE.as_bytes(), b"\0"].concat());

        let map: Vec<_> = params.e820_table[..params.e820_entries.into()]
            .iter()
            .map(|entry| ({ entry.addr }, { entry.size }, { entry.r#type }))
            .collect();
        assert_eq!(map, [(0, 0x9_fc00, 1), (0x10_0000, 15 << 20, 1)]);
    }

    #[test]
    fn the_initrd_lies_above_the_kernel_at_a_page_and_whole() {
        let mut initrd = NamedTempFile::new().unwrap();
        initrd.write_all(&[7; 10_001]).unwrap();
        let (ram, _) = load(&bzimage(|_| {}), Some(&initrd), 16).unwrap();
        let params: boot_params = ram.read_obj(GuestAddress(ZERO_PAGE)).unwrap();
        let (address, size) = (params.hdr.ramdisk_image, params.hdr.ramdisk_size);
        assert_eq!((size, address % 4096), (10_001, 0));
        assert!(address >= 0x10_0000 + INIT_SIZE && address + size <= 16 << 20);
        let mut content = vec![0; 10_001];
        ram.read_slice(&mut content, GuestAddress(address.into()))
            .unwrap();
        assert!(content.iter().all(|&byte| byte == 7));
    }

    #[test]
    fn what_does_not_fit_or_cannot_be_entered_is_refused() {
        let refusal = |kernel: &NamedTempFile, mib| load(kernel, None, mib).unwrap_err();
        assert!(refusal(&bzimage(|_| {}), 3).contains("needs 4 MiB"));
        assert!(refusal(&bzimage(|image| image[0x236] = 0), 16).contains("64-bit entry"));
        assert!(refusal(&bzimage(|image| image[0x202] = 0), 16).contains("not a bzImage"));
        let mut initrd = NamedTempFile::new().unwrap();
        initrd.write_all(&vec![0; 13 << 20]).unwrap();
        assert!(
            load(&bzimage(|_| {}), Some(&initrd), 16)
                .unwrap_err()
                .contains("do not fit")
        );
    }

    /// Walks the tables as the CPU does.
    fn translate(ram: &Ram, address: u64) -> u64 {
        let entry = |table: u64, shift: u32| -> u64 {
            let entry: u64 = ram
                .read_obj(GuestAddress(
                    (table & !0xfff) + (address >> shift & 511) * 8,
                ))
                .unwrap();
            assert_eq!(entry & 3, 3, "present and writable");
            entry
        };
        let large = entry(entry(entry(PML4, 39), 30), 21);
        assert_eq!(large & 1 << 7, 1 << 7);
        (large & !0x1f_ffff) + (address & 0x1f_ffff)
    }

    #[test]
    fn the_first_4_gib_are_mapped_to_themselves() {
        let ram = allocate(16).unwrap();
        write_page_tables(&ram).unwrap();
        for address in [
            0,
            0x7000,
            0x10_0200,
            0x3fff_ffff,
            0x4000_0000,
            0xfee0_0000,
            0xffff_ffff,
        ] {
            assert_eq!(translate(&ram, address), address);
        }
    }

    #[test]
    fn the_descriptors_say_what_the_segment_registers_hold() {
        let ram = allocate(16).unwrap();
        write_gdt(&ram).unwrap();
        let mut sregs = kvm_sregs::default();
        long_mode(&mut sregs);
        for segment in [sregs.cs, sregs.ds, sregs.ss] {
            let descriptor: u64 = ram
                .read_obj(GuestAddress(GDT + u64::from(segment.selector)))
                .unwrap();
            let bit = |n: u32| (descriptor >> n & 1) as u8;
            assert_eq!((descriptor >> 40 & 0xf) as u8, segment.type_);
            assert_eq!(
                (bit(44), bit(47), bit(53), bit(54), bit(55)),
                (segment.s, segment.present, segment.l, segment.db, segment.g)
            );
            assert_eq!((descriptor & 0xffff, descriptor >> 48 & 0xf), (0xffff, 0xf));
        }
    }
}
