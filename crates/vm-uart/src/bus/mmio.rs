//! Memory-mapped I/O: eight registers at a distance of 1, 2, 4 or 8 bytes.
//!
//! Device trees call the distance `reg-shift` (its logarithm) and the access width `reg-io-width`.
//! Little endian.
//!
//! | access | meaning |
//! |---|---|
//! | one byte at a register | that register |
//! | 2, 4 or 8 bytes, registers adjacent (stride 1) | split into byte accesses to successive registers, lowest first, as on a byte-wide bus |
//! | 2, 4 or 8 bytes, stride 2, 4 or 8 | the one register addressed: its value in the lowest byte, the bytes above read 0 and what is written there is ignored |
//! | between two registers, beyond the last, or with the upper part of a split access there | reads 0xff, writes vanish |
//! | of any other length, or empty | reads 0xff, writes vanish |
//!
//! With a stride above 1 each register is the lowest byte of a wider word, and the bytes above it
//! read 0, as drivers that use `readl` on this chip expect. An access that is wider than the stride
//! (8 bytes at stride 4) still reaches one register only: reading a neighbour would have effects (a
//! read of RBR, IIR, LSR or MSR clears what it shows), and no known driver wants two registers at
//! once.
//!
//! ```
//! use vm_uart::{Config, InterruptGate, SerialPort};
//! use vm_uart::bus::mmio::{Mmio, Stride};
//!
//! let config = Config { interrupt_gate: InterruptGate::None, ..Config::default() };
//! let mut port = SerialPort::with_config(config, (), ());
//! let window = Mmio::new(Stride::Four); // reg-shift = <2>
//! window.write(&mut port, 7 * 4, &0x5a_u32.to_le_bytes());
//! let mut data = [0xee; 4];
//! window.read(&mut port, 7 * 4, &mut data);
//! assert_eq!(data, [0x5a, 0, 0, 0]);
//! ```

use super::{Registers, Width};
use crate::registers::REGISTERS;

/// Distance between two registers, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Stride {
    /// 1 byte: `reg-shift = <0>`.
    #[default]
    One = 1,
    /// 2 bytes: `reg-shift = <1>`.
    Two = 2,
    /// 4 bytes: `reg-shift = <2>`.
    Four = 4,
    /// 8 bytes: `reg-shift = <3>`.
    Eight = 8,
}

/// How the registers lie in a window of guest memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mmio {
    stride: Stride,
}

impl Mmio {
    /// Registers at this distance.
    #[must_use]
    pub const fn new(stride: Stride) -> Self {
        Self { stride }
    }

    /// Length of the window in bytes: 8 to 64.
    #[must_use]
    pub const fn size(self) -> u64 {
        REGISTERS as u64 * self.stride as u64
    }

    /// The guest reads `data.len()` bytes at `offset` from the start of the window.
    pub fn read<R: Registers + ?Sized>(self, registers: &mut R, offset: u64, data: &mut [u8]) {
        let Some(width) = Width::from_bytes(data.len()) else {
            data.fill(0xff);
            return;
        };
        if self.stride == Stride::One {
            return super::pio::read(registers, offset, width, data);
        }
        match (self.register(offset), data) {
            (Some(register), [lowest, above @ ..]) => {
                *lowest = registers.read(register);
                above.fill(0);
            }
            (_, data) => data.fill(0xff),
        }
    }

    /// The guest writes `data` at `offset` from the start of the window.
    pub fn write<R: Registers + ?Sized>(self, registers: &mut R, offset: u64, data: &[u8]) {
        let Some(width) = Width::from_bytes(data.len()) else {
            return;
        };
        if self.stride == Stride::One {
            super::pio::write(registers, offset, width, data);
        } else if let (Some(register), [lowest, ..]) = (self.register(offset), data) {
            registers.write(register, *lowest);
        }
    }

    fn register(self, offset: u64) -> Option<u8> {
        let stride = self.stride as u64;
        let aligned = offset.is_multiple_of(stride) && offset < self.size();
        aligned.then_some((offset / stride) as u8)
    }
}

/// A port with its place on the memory bus: registers at a distance of 1, 2, 4 or 8 bytes.
///
/// ```
/// use vm_uart::bus::mmio::{Mmio, Stride, Strided};
/// use vm_uart::SerialPort;
///
/// let mut device = Strided {
///     registers: SerialPort::new((), ()),
///     window: Mmio::new(Stride::Four),
/// };
/// device.write_window(7 * 4, &[0x5a]);
/// let mut data = [0; 4];
/// device.read_window(7 * 4, &mut data);
/// assert_eq!(data, [0x5a, 0, 0, 0]);
/// ```
#[derive(Clone, Debug)]
pub struct Strided<R> {
    /// The port.
    pub registers: R,
    /// How its registers lie.
    pub window: Mmio,
}

impl<R: Registers> Strided<R> {
    /// The guest reads `data.len()` bytes at `offset` from the start of the window.
    pub fn read_window(&mut self, offset: u64, data: &mut [u8]) {
        self.window.read(&mut self.registers, offset, data);
    }

    /// The guest writes `data` at `offset` from the start of the window.
    pub fn write_window(&mut self, offset: u64, data: &[u8]) {
        self.window.write(&mut self.registers, offset, data);
    }
}

/// The registers by their numbers, wherever they lie.
impl<R: Registers> Registers for Strided<R> {
    fn read(&mut self, offset: u8) -> u8 {
        self.registers.read(offset)
    }

    fn write(&mut self, offset: u8, value: u8) {
        self.registers.write(offset, value);
    }

    fn read_string(&mut self, offset: u8, data: &mut [u8]) {
        self.registers.read_string(offset, data);
    }

    fn write_string(&mut self, offset: u8, data: &[u8]) {
        self.registers.write_string(offset, data);
    }
}
