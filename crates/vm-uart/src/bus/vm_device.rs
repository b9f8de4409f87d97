//! The traits of the `vm-device` crate: a port in a `Mutex` is a device on its buses.
//!
//! [`SerialPort`] and the drop-in `Serial` implement [`MutDevicePio`] and [`MutDeviceMmio`];
//! `vm-device` implements `DevicePio` and `DeviceMmio` for a `Mutex` around them. [`pio`] and
//! [`mmio`](super::mmio) define the meaning of each access. `vm-device` does not pass on the element
//! width, so port I/O of several bytes counts as string I/O of bytes, and on the memory bus the
//! registers are adjacent. For a stride, wrap the port in [`Strided`].
//!
//! ```
//! use std::sync::{Arc, Mutex};
//!
//! use vm_device::bus::{PioAddress, PioRange};
//! use vm_device::device_manager::{IoManager, PioManager};
//! use vm_uart::SerialPort;
//!
//! let port = Arc::new(Mutex::new(SerialPort::new((), ())));
//! let mut manager = IoManager::new();
//! manager.register_pio(PioRange::new(PioAddress(0x3f8), 8).unwrap(), port.clone()).unwrap();
//! manager.pio_write(PioAddress(0x3ff), &[0x5a]).unwrap();
//! assert_eq!(port.lock().unwrap().read(7), 0x5a);
//! ```

use vm_device::bus::{MmioAddress, MmioAddressOffset, PioAddress, PioAddressOffset};
use vm_device::{MutDeviceMmio, MutDevicePio};

pub use super::mmio::Strided;
use super::mmio::{Mmio, Stride};
use super::{Registers, Width, pio};
use crate::irq::InterruptLine;
use crate::line::Line;
use crate::port::SerialPort;

/// Makes a port a device on both buses, with adjacent registers.
macro_rules! bus_device {
    ($port:ty, $($parameter:ident: $bound:path),+) => {
        impl<$($parameter: $bound),+> MutDevicePio for $port {
            fn pio_read(&mut self, _base: PioAddress, offset: PioAddressOffset, data: &mut [u8]) {
                pio::read(self, offset.into(), Width::Byte, data);
            }

            fn pio_write(&mut self, _base: PioAddress, offset: PioAddressOffset, data: &[u8]) {
                pio::write(self, offset.into(), Width::Byte, data);
            }
        }

        impl<$($parameter: $bound),+> MutDeviceMmio for $port {
            fn mmio_read(&mut self, _base: MmioAddress, offset: MmioAddressOffset, data: &mut [u8]) {
                Mmio::new(Stride::One).read(self, offset, data);
            }

            fn mmio_write(&mut self, _base: MmioAddress, offset: MmioAddressOffset, data: &[u8]) {
                Mmio::new(Stride::One).write(self, offset, data);
            }
        }
    };
}

bus_device!(SerialPort<I, L>, I: InterruptLine, L: Line);
#[cfg(feature = "vm-superio")]
bus_device!(crate::Serial<T, EV, W>, T: crate::Trigger, EV: crate::serial::SerialEvents, W: std::io::Write);

impl<R: Registers> MutDeviceMmio for Strided<R> {
    fn mmio_read(&mut self, _base: MmioAddress, offset: MmioAddressOffset, data: &mut [u8]) {
        self.read_window(offset, data);
    }

    fn mmio_write(&mut self, _base: MmioAddress, offset: MmioAddressOffset, data: &[u8]) {
        self.write_window(offset, data);
    }
}
