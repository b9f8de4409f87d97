//! How the service reaches the guest's port.

use std::sync::{Mutex, PoisonError};

use crate::line::ConsoleLine;

/// The guest's port, as the service sees it: something with a lock and a [`ConsoleLine`] in it.
///
/// Implemented for `Mutex<SerialPort<I, ConsoleLine>>` with the `vm-uart` feature, and for `Mutex<ConsoleLine>` for a
/// device of another kind that looks for input by itself.
pub trait GuestPort: Send + Sync {
    /// Takes the port's lock, lets `visit` at the line, and passes new input on to the guest before letting go.
    fn with_line(&self, visit: &mut dyn FnMut(&mut ConsoleLine));

    /// A session began or ended, where the console's [carrier option](crate::ConsoleConfig::carrier) is on.
    fn set_carrier(&self, present: bool) {
        let _ = present;
    }
}

impl GuestPort for Mutex<ConsoleLine> {
    fn with_line(&self, visit: &mut dyn FnMut(&mut ConsoleLine)) {
        // A panic elsewhere does not make the line unusable: every method leaves it whole.
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

    /// DCD and DSR follow the session; CTS stays active.
    fn set_carrier(&self, present: bool) {
        let mut port = self.lock().unwrap_or_else(PoisonError::into_inner);
        port.set_modem_inputs(vm_uart::ModemInputs {
            dcd: present,
            dsr: present,
            ..Default::default()
        });
    }
}
