//! The service's access to the guest's port.

use std::sync::{Mutex, PoisonError};

use crate::line::ConsoleLine;

/// The guest's port, as the service sees it: a lock with a [`ConsoleLine`] behind it.
///
/// With the `vm-uart` feature it is implemented for `Mutex<SerialPort<I, ConsoleLine>>`. For a
/// device of another kind that looks for input by itself, there is `Mutex<ConsoleLine>`.
pub trait GuestPort: Send + Sync {
    /// Takes the port's lock, calls `visit` once with the line, passes waiting input on to the
    /// guest, and releases the lock. The service's thread calls it, so nobody may hold the lock for
    /// long.
    fn with_line(&self, visit: &mut dyn FnMut(&mut ConsoleLine));

    /// Sets DCD and DSR to `present`. The service calls it when a session begins or ends, if the
    /// console's [carrier option](crate::ConsoleConfig::carrier) is on. Without effect by default.
    fn set_carrier(&self, present: bool) {
        let _ = present;
    }
}

impl GuestPort for Mutex<ConsoleLine> {
    fn with_line(&self, visit: &mut dyn FnMut(&mut ConsoleLine)) {
        // After a panic elsewhere the line is still usable, because each of its methods leaves it
        // whole.
        visit(&mut self.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(feature = "vm-uart")]
impl<I: vm_uart::InterruptLine + Send> GuestPort for Mutex<vm_uart::SerialPort<I, ConsoleLine>> {
    fn with_line(&self, visit: &mut dyn FnMut(&mut ConsoleLine)) {
        let mut port = self.lock().unwrap_or_else(PoisonError::into_inner);
        visit(port.line_mut());
        if port.line().input_waiting() > 0 || port.line_mut().takes_output_again() {
            port.pump();
        }
    }

    /// Sets DCD and DSR to `present`. CTS stays active.
    fn set_carrier(&self, present: bool) {
        let mut port = self.lock().unwrap_or_else(PoisonError::into_inner);
        port.set_modem_inputs(vm_uart::ModemInputs {
            dcd: present,
            dsr: present,
            ..Default::default()
        });
    }
}
