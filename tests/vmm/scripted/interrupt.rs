//! An interrupt line within the process: a level that a thread can sleep on.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::power::PowerSwitch;

/// Something is asked of the guest, for which it has to stand still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stopped;

/// IRQ 4 as the scripted guest sees it.
#[derive(Debug)]
pub(crate) struct Interrupt {
    asserted: Mutex<bool>,
    changed: Condvar,
    switch: Arc<PowerSwitch>,
}

impl Interrupt {
    /// A line on which nobody sleeps while there is a request at `switch`.
    pub(crate) fn new(switch: Arc<PowerSwitch>) -> Self {
        Self {
            asserted: Mutex::default(),
            changed: Condvar::new(),
            switch,
        }
    }

    fn asserted(&self) -> MutexGuard<'_, bool> {
        self.asserted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whoever sleeps, to look at the switch.
    pub(super) fn wake(&self) {
        // With the lock: not between somebody's look and its sleep.
        let _asserted = self.asserted();
        self.changed.notify_all();
    }

    pub(super) fn check_stop(&self) -> Result<(), Stopped> {
        if self.switch.has_request() {
            Err(Stopped)
        } else {
            Ok(())
        }
    }

    /// Sleeps until the line is asserted.
    pub(super) fn wait(&self) -> Result<(), Stopped> {
        let sleeps = |asserted: &mut bool| !*asserted && !self.switch.has_request();
        let asserted = self
            .changed
            .wait_while(self.asserted(), sleeps)
            .unwrap_or_else(PoisonError::into_inner);
        drop(asserted);
        self.check_stop()
    }

    fn set(&self, asserted: bool) {
        *self.asserted() = asserted;
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
