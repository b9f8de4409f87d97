//! The port at 0x3f8, shared by the guest's thread and the console's.

use std::sync::{Mutex, MutexGuard, PoisonError};

use vm_console::{ConsoleLine, GuestPort};
use vm_serial_tests::irqfd::Irqfd;
use vm_uart::bus::{Width, pio};
use vm_uart::{Config, EdgeLine, InterruptLine, ReceiveGate, SerialPort};
use vmm_sys_util::eventfd::EventFd;

use crate::guest::SerialIo;

/// The port, with the console at its other end.
pub(crate) type Port<I> = Mutex<SerialPort<I, ConsoleLine>>;

/// A port whose interrupt goes to `interrupt`. What is typed while the guest still boots waits for
/// its driver.
pub(crate) fn new<I: InterruptLine>(interrupt: I, line: ConsoleLine) -> Port<I> {
    let config = Config {
        receive_gate: ReceiveGate::UntilInterruptEnabled,
        ..Config::default()
    };
    Mutex::new(SerialPort::with_config(config, interrupt, line))
}

/// A port whose interrupt is an irqfd.
pub(crate) fn with_irqfd(irq: EventFd, line: ConsoleLine) -> Port<Irq4> {
    new(EdgeLine::new(Irqfd(irq)), line)
}

fn lock<I: InterruptLine>(port: &Port<I>) -> MutexGuard<'_, SerialPort<I, ConsoleLine>> {
    // The port's methods do not panic half way; whoever panicked while holding it has left it
    // whole.
    port.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<I: InterruptLine + Send> SerialIo for Port<I> {
    // kvm-ioctls does not tell the width of an access; a driver of this chip makes no wide ones.
    fn read(&self, offset: u8, data: &mut [u8]) {
        pio::read(&mut *lock(self), offset.into(), Width::Byte, data);
    }

    fn write(&self, offset: u8, data: &[u8]) {
        pio::write(&mut *lock(self), offset.into(), Width::Byte, data);
    }

    fn reset(&self) {
        GuestPort::reset(self);
    }

    fn power_on(&self) {
        self.with_line(&mut |line| line.set_power(true));
    }

    fn power_off(&self) {
        self.with_line(&mut |line| line.set_power(false));
        // While the machine is off only the chip is reset. The next boot finds it so.
        GuestPort::reset(self);
    }
}

/// IRQ 4 of a machine in KVM.
pub(crate) type Irq4 = EdgeLine<Irqfd>;
