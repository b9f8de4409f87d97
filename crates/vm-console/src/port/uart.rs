//! The ports of `vm_uart` as devices.

use std::time::Duration;

use vm_uart::bus::Registers;
use vm_uart::bus::mmio::Strided;
use vm_uart::{Character, InterruptLine, Line, ModemInputs, SerialPort};

use super::ConsoleDevice;
use crate::line::{ConsoleLine, Input};
use crate::log::MarkKind;

/// The usual port: a 16550A with a console behind it. Without a type of its own for the interrupt
/// line, it takes any in a box.
pub type ConsolePort<I = Box<dyn InterruptLine + Send>> = SerialPort<I, ConsoleLine>;

impl<I: InterruptLine + Send> ConsoleDevice for ConsolePort<I> {
    fn line(&mut self) -> &mut ConsoleLine {
        self.line_mut()
    }

    fn visited(&mut self) {
        if has_news(self.line_mut()) {
            self.pump();
        }
    }

    fn reset(&mut self) {
        // Output that the chip still lets go of is the old boot's.
        SerialPort::reset(self);
        self.line_mut().begin_boot(MarkKind::Reset);
    }

    /// Sets DCD and DSR to `present`. CTS stays active.
    fn set_carrier(&mut self, present: bool) {
        self.set_modem_inputs(carrier(present));
    }

    fn keep_time(&mut self, now: Duration) -> Option<Duration> {
        SerialPort::keep_time(self, now)
    }
}

/// A port with its place on the memory bus.
impl<R: ConsoleDevice + Registers> ConsoleDevice for Strided<R> {
    fn line(&mut self) -> &mut ConsoleLine {
        self.registers.line()
    }

    fn visited(&mut self) {
        self.registers.visited();
    }

    fn reset(&mut self) {
        self.registers.reset();
    }

    fn set_carrier(&mut self, present: bool) {
        self.registers.set_carrier(present);
    }

    fn keep_time(&mut self, now: Duration) -> Option<Duration> {
        self.registers.keep_time(now)
    }
}

impl Line for ConsoleLine {
    #[inline]
    fn transmit(&mut self, bytes: &[u8]) -> usize {
        Self::transmit(self, bytes)
    }

    #[inline]
    fn receive(&mut self) -> Option<Character> {
        Self::receive(self).map(|input| match input {
            Input::Byte(byte) => byte.into(),
            Input::Break => Character::BREAK,
        })
    }

    fn timeout_started(&mut self) {
        self.ring();
    }
}

/// Whether the service has left something for the device to do.
fn has_news(line: &mut ConsoleLine) -> bool {
    line.takes_output_again() || line.input_waiting() > 0
}

fn carrier(present: bool) -> ModemInputs {
    ModemInputs {
        dcd: present,
        dsr: present,
        ..Default::default()
    }
}

/// The drop-in for `vm_superio::Serial`.
#[cfg(feature = "vm-superio")]
mod drop_in {
    use std::io;
    use std::time::Duration;

    use vm_uart::serial::SerialEvents;
    use vm_uart::{Serial, Trigger};

    use super::{carrier, has_news};
    use crate::ConsoleDevice;
    use crate::line::ConsoleLine;
    use crate::log::MarkKind;

    /// Takes the guest's output, as [`transmit`](ConsoleLine::transmit) does. The drop-in wants its
    /// writer to be one.
    impl io::Write for ConsoleLine {
        /// # Errors
        ///
        /// [`WouldBlock`](io::ErrorKind::WouldBlock) while lossless mode holds output.
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.transmit(bytes) {
                0 if !bytes.is_empty() => Err(io::ErrorKind::WouldBlock.into()),
                taken => Ok(taken),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What the trigger refuses is counted there (`Serial::trigger_failures`), and what the line
    /// refuses waits in the chip.
    impl<T, EV> ConsoleDevice for Serial<T, EV, ConsoleLine>
    where
        T: Trigger + Send,
        T::E: Send,
        EV: SerialEvents + Send,
    {
        fn line(&mut self) -> &mut ConsoleLine {
            self.use_line();
            self.writer_mut()
        }

        fn visited(&mut self) {
            if has_news(self.writer_mut()) {
                let _counted = self.pump();
            }
        }

        fn reset(&mut self) {
            let _counted = Serial::reset(self);
            self.writer_mut().begin_boot(MarkKind::Reset);
        }

        fn set_carrier(&mut self, present: bool) {
            let _counted = self.set_modem_inputs(carrier(present));
        }

        fn keep_time(&mut self, now: Duration) -> Option<Duration> {
            // After an error of the trigger, which is counted, the second call says how long to wait.
            let wait = Serial::keep_time(self, now);
            wait.or_else(|_| Serial::keep_time(self, now))
                .ok()
                .flatten()
        }
    }
}
