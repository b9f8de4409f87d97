//! A device with a console's line in it.

use std::time::Duration;

use crate::line::ConsoleLine;
use crate::log::MarkKind;

/// A serial device with a [`ConsoleLine`] in it. A `Mutex` around one is a
/// [`GuestPort`](crate::GuestPort).
///
/// A VMM implements it for a device of its own, since Rust lets nobody implement this crate's
/// `GuestPort` for the standard library's `Mutex` of it. A device around one of this family's ports
/// passes each call on:
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use std::time::Duration;
/// use vm_console::{ConsoleDevice, ConsoleLine, ConsolePort, GuestPort};
/// use vm_uart::InterruptLine;
///
/// /// A VMM's own device, with the port in it.
/// struct Com1 {
///     port: ConsolePort,
///     exits: u64,
/// }
///
/// impl ConsoleDevice for Com1 {
///     fn line(&mut self) -> &mut ConsoleLine {
///         self.port.line_mut()
///     }
///     fn visited(&mut self) {
///         self.port.visited();
///     }
///     fn reset(&mut self) {
///         ConsoleDevice::reset(&mut self.port);
///     }
///     fn set_carrier(&mut self, present: bool) {
///         self.port.set_carrier(present);
///     }
///     fn keep_time(&mut self, now: Duration) -> Option<Duration> {
///         self.port.keep_time(now)
///     }
/// }
///
/// # use vm_console::{BootLog, Console, ConsoleConfig, LogConfig};
/// # let (writer, _) = BootLog::in_memory(LogConfig::default())?;
/// # let (line, console) = Console::new(ConsoleConfig::named("vm-7"), writer)?;
/// let interrupt: Box<dyn InterruptLine + Send> = Box::new(()); // the VMM's own
/// let port = ConsolePort::new(interrupt, line);
/// let com1 = Arc::new(Mutex::new(Com1 { port, exits: 0 }));
/// let shared: Arc<dyn GuestPort> = com1.clone(); // for `ServiceHandle::add`
/// # drop((shared, console));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait ConsoleDevice: Send {
    /// The line.
    fn line(&mut self) -> &mut ConsoleLine;

    /// The service has been at the line: pass waiting input on to the guest as far as there is
    /// room, and send output again that was refused if
    /// [`takes_output_again`](ConsoleLine::takes_output_again). It is called under the lock after
    /// every visit, so it should cost little if there is nothing to do.
    fn visited(&mut self);

    /// Resets the device, and then begins a boot in the log. By default there is no device to reset.
    fn reset(&mut self) {
        self.line().begin_boot(MarkKind::Reset);
    }

    /// Sets DCD and DSR to `present`. Without effect by default.
    fn set_carrier(&mut self, present: bool) {
        let _ = present;
    }

    /// Keeps the time of the character timeout. `now` is the time since any fixed moment. Returns
    /// how long to wait before the next call, or `None` while there is nothing to wait for, which is
    /// the default. `vm_uart::SerialPort::keep_time` says when to call it.
    fn keep_time(&mut self, now: Duration) -> Option<Duration> {
        let _ = now;
        None
    }
}

/// For a device that looks for input by itself.
impl ConsoleDevice for ConsoleLine {
    fn line(&mut self) -> &mut ConsoleLine {
        self
    }

    fn visited(&mut self) {}
}
