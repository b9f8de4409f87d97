//! The service's access to the guest's port.

mod device;
#[cfg(feature = "vm-uart")]
mod uart;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use device::ConsoleDevice;
#[cfg(feature = "vm-uart")]
pub use uart::ConsolePort;

use crate::line::ConsoleLine;
use crate::log::MarkKind;

/// The guest's port, as the service sees it: a lock with a [`ConsoleLine`] behind it.
///
/// | a VMM's port | what the VMM implements |
/// |---|---|
/// | `Mutex<SerialPort<I, ConsoleLine>>` ([`ConsolePort`]) | nothing |
/// | `Mutex<Strided<…>>` around such a port | nothing |
/// | `Mutex<vm_uart::Serial<T, EV, ConsoleLine>>`, the drop-in (feature `vm-superio`) | nothing |
/// | `Mutex<ConsoleLine>`, for a device that looks for input by itself | nothing |
/// | a `Mutex` around a device of the VMM's own | [`ConsoleDevice`] for the device |
/// | another kind of lock | `GuestPort` for a type of its own around the lock |
pub trait GuestPort: Send + Sync {
    /// Takes the port's lock, calls `visit` once with the line, passes waiting input on to the
    /// guest, and releases the lock. The service's thread calls it, so nobody may hold the lock for
    /// long.
    fn with_line(&self, visit: &mut dyn FnMut(&mut ConsoleLine));

    /// Resets the device, and then begins a boot in the log, as
    /// [`ConsoleHandle::reset`](crate::service::ConsoleHandle::reset) says. By default there is no
    /// device to reset.
    fn reset(&self) {
        self.with_line(&mut |line| {
            line.begin_boot(MarkKind::Reset);
        });
    }

    /// Sets DCD and DSR to `present`. The service calls it when a session begins or ends, if the
    /// console's [carrier option](crate::ConsoleConfig::carrier) is on. Without effect by default.
    fn set_carrier(&self, present: bool) {
        let _ = present;
    }

    /// Keeps the time of the device: see [`ConsoleDevice::keep_time`]. By default none is needed.
    fn keep_time(&self, now: Duration) -> Option<Duration> {
        let _ = now;
        None
    }

    /// [`with_line`](Self::with_line), and then [`keep_time`](Self::keep_time), as input may have
    /// started a timeout. A `Mutex` is locked once for both.
    fn with_line_at(
        &self,
        now: Duration,
        visit: &mut dyn FnMut(&mut ConsoleLine),
    ) -> Option<Duration> {
        self.with_line(visit);
        self.keep_time(now)
    }
}

/// Any [`ConsoleDevice`] behind a `Mutex`.
impl<D: ConsoleDevice + ?Sized> GuestPort for Mutex<D> {
    fn with_line(&self, visit: &mut dyn FnMut(&mut ConsoleLine)) {
        drop(visited(self, visit));
    }

    fn reset(&self) {
        locked(self).reset();
    }

    fn set_carrier(&self, present: bool) {
        locked(self).set_carrier(present);
    }

    fn keep_time(&self, now: Duration) -> Option<Duration> {
        locked(self).keep_time(now)
    }

    fn with_line_at(
        &self,
        now: Duration,
        visit: &mut dyn FnMut(&mut ConsoleLine),
    ) -> Option<Duration> {
        visited(self, visit).keep_time(now)
    }
}

/// A port that is shared already, such as an `Arc<Mutex<dyn ConsoleDevice>>`.
impl<P: GuestPort + ?Sized> GuestPort for Arc<P> {
    fn with_line(&self, visit: &mut dyn FnMut(&mut ConsoleLine)) {
        (**self).with_line(visit);
    }

    fn reset(&self) {
        (**self).reset();
    }

    fn set_carrier(&self, present: bool) {
        (**self).set_carrier(present);
    }

    fn keep_time(&self, now: Duration) -> Option<Duration> {
        (**self).keep_time(now)
    }

    fn with_line_at(
        &self,
        now: Duration,
        visit: &mut dyn FnMut(&mut ConsoleLine),
    ) -> Option<Duration> {
        (**self).with_line_at(now, visit)
    }
}

/// The device, after a visit at its line.
fn visited<'a, D: ConsoleDevice + ?Sized>(
    device: &'a Mutex<D>,
    visit: &mut dyn FnMut(&mut ConsoleLine),
) -> MutexGuard<'a, D> {
    let mut device = locked(device);
    visit(device.line());
    device.visited();
    device
}

/// After a panic elsewhere a device is still usable, because each method of line and port leaves it
/// whole.
fn locked<D: ?Sized>(device: &Mutex<D>) -> MutexGuard<'_, D> {
    device.lock().unwrap_or_else(PoisonError::into_inner)
}
