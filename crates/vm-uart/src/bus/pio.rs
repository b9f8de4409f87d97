//! Port I/O: eight byte ports in a row.
//!
//! | access | meaning |
//! |---|---|
//! | one byte | the register at that port |
//! | string of bytes (`rep outsb`, `rep insb`; KVM: `count` > 1) | as many accesses to the one port, in order |
//! | word or dword | split by the bus into byte accesses to successive ports, lowest first, as on ISA |
//! | string of words or dwords | each element split likewise |
//! | beyond the eighth port, also with the upper part of a wide access | reads 0xff, writes vanish |
//! | empty | nothing |
//! | a last element cut short | treated like a narrower access |
//!
//! KVM gives the width in `kvm_run.io.size`. A VMM that only sees a slice, as in kvm-ioctls'
//! `VcpuExit`, passes [`Width::Byte`]: no driver makes wide accesses to this chip, and many use
//! string instructions.
//!
//! ```
//! use vm_uart::SerialPort;
//! use vm_uart::bus::{Width, pio};
//!
//! let mut port = SerialPort::new((), ());
//! pio::write(&mut port, 7, Width::Byte, &[0x5a]); // out 0x3ff, 0x5a
//! let mut data = [0; 2];
//! pio::read(&mut port, 6, Width::Word, &mut data); // in ax, 0x3fe
//! assert_eq!(data, [0xb0, 0x5a]);
//! ```

use super::{Registers, Width};

/// The guest reads. `offset` is the port, counted from the first of the eight; `data` is the buffer
/// that the exit wants filled.
#[inline]
pub fn read<R: Registers + ?Sized>(registers: &mut R, offset: u64, width: Width, data: &mut [u8]) {
    match (register(offset, 0), width, data) {
        (Some(register), Width::Byte, [byte]) => *byte = registers.read(register),
        (Some(register), Width::Byte, data) => registers.read_string(register, data),
        (_, _, data) => {
            for element in data.chunks_mut(width.bytes()) {
                for (byte, lane) in element.iter_mut().zip(0..) {
                    *byte = register(offset, lane).map_or(0xff, |offset| registers.read(offset));
                }
            }
        }
    }
}

/// The guest writes. `offset` is the port, counted from the first of the eight; `data` are the
/// bytes that the exit brought.
#[inline]
pub fn write<R: Registers + ?Sized>(registers: &mut R, offset: u64, width: Width, data: &[u8]) {
    match (register(offset, 0), width, data) {
        (Some(register), Width::Byte, &[byte]) => registers.write(register, byte),
        (Some(register), Width::Byte, data) => registers.write_string(register, data),
        _ => {
            for element in data.chunks(width.bytes()) {
                for (&byte, lane) in element.iter().zip(0..) {
                    if let Some(offset) = register(offset, lane) {
                        registers.write(offset, byte);
                    }
                }
            }
        }
    }
}

/// The register that byte `lane` of an access at `offset` reaches.
#[inline]
fn register(offset: u64, lane: u64) -> Option<u8> {
    let port = offset.checked_add(lane)?;
    (port < u64::from(crate::registers::REGISTERS)).then_some(port as u8)
}
