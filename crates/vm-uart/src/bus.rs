//! Turns bus accesses into register accesses.
//!
//! A bus delivers an address, a width and some bytes; the chip has registers of one byte. These
//! modules define the meaning of each access, so that no VMM has to decide it in its exit handler.
//! No access can panic: where there is no register, a read gives 0xff and a write has no effect.

#[cfg(feature = "kvm")]
pub mod coalesced;
pub mod mmio;
pub mod pio;
#[cfg(feature = "vm-device")]
pub mod vm_device;

use crate::irq::InterruptLine;
use crate::line::Line;
use crate::port::SerialPort;

/// Something with eight byte-wide registers: a [`SerialPort`] or a [`NullUart`](crate::NullUart).
pub trait Registers {
    /// Reads the register at `offset`.
    fn read(&mut self, offset: u8) -> u8;

    /// Writes the register at `offset`.
    fn write(&mut self, offset: u8, value: u8);

    /// Reads one register many times.
    fn read_string(&mut self, offset: u8, data: &mut [u8]) {
        for byte in data {
            *byte = self.read(offset);
        }
    }

    /// Writes one register many times.
    fn write_string(&mut self, offset: u8, data: &[u8]) {
        for &byte in data {
            self.write(offset, byte);
        }
    }
}

impl<I: InterruptLine, L: Line> Registers for SerialPort<I, L> {
    #[inline]
    fn read(&mut self, offset: u8) -> u8 {
        SerialPort::read(self, offset)
    }

    #[inline]
    fn write(&mut self, offset: u8, value: u8) {
        SerialPort::write(self, offset, value);
    }

    fn read_string(&mut self, offset: u8, data: &mut [u8]) {
        SerialPort::read_string(self, offset, data);
    }

    fn write_string(&mut self, offset: u8, data: &[u8]) {
        SerialPort::write_string(self, offset, data);
    }
}

impl<R: Registers + ?Sized> Registers for &mut R {
    #[inline]
    fn read(&mut self, offset: u8) -> u8 {
        (**self).read(offset)
    }

    #[inline]
    fn write(&mut self, offset: u8, value: u8) {
        (**self).write(offset, value);
    }

    fn read_string(&mut self, offset: u8, data: &mut [u8]) {
        (**self).read_string(offset, data);
    }

    fn write_string(&mut self, offset: u8, data: &[u8]) {
        (**self).write_string(offset, data);
    }
}

/// Width of one access on the bus, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Width {
    /// 1 byte.
    Byte = 1,
    /// 2 bytes.
    Word = 2,
    /// 4 bytes.
    Dword = 4,
    /// 8 bytes: memory-mapped only; the x86 has no such port access.
    Qword = 8,
}

impl Width {
    /// The width of so many bytes, if a bus has it.
    #[must_use]
    pub const fn from_bytes(bytes: usize) -> Option<Self> {
        match bytes {
            1 => Some(Self::Byte),
            2 => Some(Self::Word),
            4 => Some(Self::Dword),
            8 => Some(Self::Qword),
            _ => None,
        }
    }

    /// The width in bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self as usize
    }
}
