//! Stands where a machine has no serial port.

use crate::bus::Registers;
use crate::registers::{LSR, Lsr};

/// The registers of a machine without a serial port.
///
/// LSR reads 0x60, "transmitter empty, nothing received", so that firmware which prints without
/// probing goes on at full speed (EDK2 waits for TEMT without any bound, SeaBIOS tries 100,000
/// times a byte). Every other register reads 0xff. No driver takes that for a chip, as neither IER
/// nor the scratchpad keeps a written value.
///
/// ```
/// use vm_uart::NullUart;
/// use vm_uart::bus::Registers;
///
/// let mut nothing = NullUart;
/// nothing.write(0, b'x');
/// assert_eq!(nothing.read(5), 0x60);
/// assert_eq!(nothing.read(7), 0xff);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NullUart;

impl Registers for NullUart {
    #[inline]
    fn read(&mut self, offset: u8) -> u8 {
        if offset == LSR {
            Lsr::THR_EMPTY.union(Lsr::TRANSMITTER_EMPTY).bits()
        } else {
            0xff
        }
    }

    #[inline]
    fn write(&mut self, _offset: u8, _value: u8) {}
}
