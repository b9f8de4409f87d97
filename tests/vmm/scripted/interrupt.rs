//! An interrupt line within the process: a level that a thread can sleep on.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The guest was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stopped;

#[derive(Debug, Default)]
struct State {
    asserted: bool,
    stop: bool,
}

/// IRQ 4 as the scripted guest sees it.
#[derive(Debug, Default)]
pub(crate) struct Interrupt {
    state: Mutex<State>,
    changed: Condvar,
}

impl Interrupt {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends every wait, now and later.
    pub(crate) fn stop(&self) {
        self.state().stop = true;
        self.changed.notify_all();
    }

    pub(super) fn check_stop(&self) -> Result<(), Stopped> {
        if self.state().stop {
            Err(Stopped)
        } else {
            Ok(())
        }
    }

    /// Sleeps until the line is asserted.
    pub(super) fn wait(&self) -> Result<(), Stopped> {
        let state = self
            .changed
            .wait_while(self.state(), |s| !s.asserted && !s.stop)
            .unwrap_or_else(PoisonError::into_inner);
        if state.stop { Err(Stopped) } else { Ok(()) }
    }

    fn set(&self, asserted: bool) {
        self.state().asserted = asserted;
        if asserted {
            self.changed.notify_all();
        }
    }
}

/// The port's end of it.
#[derive(Clone, Debug)]
pub(crate) struct InterruptPin(pub(crate) Arc<Interrupt>);

impl vm_uart::InterruptLine for InterruptPin {
    fn assert(&mut self) {
        self.0.set(true);
    }

    fn deassert(&mut self) {
        self.0.set(false);
    }
}
