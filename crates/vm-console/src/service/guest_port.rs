//! The guest's port as it is now: the owner may replace it while its console is served.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::line::ConsoleLine;
use crate::log::MarkKind;
use crate::port::GuestPort;

/// Shared by the owner's handles and the service. Its lock is taken before the port's own.
#[derive(Clone)]
pub(super) struct Port(Arc<Mutex<Current>>);

struct Current {
    port: Arc<dyn GuestPort>,
    /// DCD and DSR as they were last set; `None` if they never were.
    carrier: Option<bool>,
}

impl Port {
    pub(super) fn new(port: Arc<dyn GuestPort>) -> Self {
        Self(Arc::new(Mutex::new(Current {
            port,
            carrier: None,
        })))
    }

    /// Lets `visit` at the line.
    pub(super) fn line<T: Default>(&self, visit: impl FnOnce(&mut ConsoleLine) -> T) -> T {
        self.visited(visit, |port, visit| port.with_line(visit)).0
    }

    /// [`line`](Self::line), and then [`keep_time`](Self::keep_time).
    pub(super) fn line_at<T: Default>(
        &self,
        now: Duration,
        visit: impl FnOnce(&mut ConsoleLine) -> T,
    ) -> (T, Option<Duration>) {
        self.visited(visit, |port, visit| port.with_line_at(now, visit))
    }

    /// See [`GuestPort::keep_time`].
    pub(super) fn keep_time(&self, now: Duration) -> Option<Duration> {
        self.current().port.keep_time(now)
    }

    pub(super) fn set_carrier(&self, present: bool) {
        let mut current = self.current();
        current.carrier = Some(present);
        current.port.set_carrier(present);
    }

    pub(super) fn reset(&self) {
        self.current().port.reset();
    }

    /// Moves the line into the port that `build` makes.
    pub(super) fn rebuild<P: GuestPort + 'static>(
        &self,
        build: impl FnOnce(ConsoleLine) -> Arc<P>,
    ) -> io::Result<Arc<P>> {
        // Without any lock, since building is the owner's code.
        let next = build(ConsoleLine::unplugged()?);
        let mut current = self.current();
        // Its lock would be taken twice, and the service would wait for that for ever.
        if std::ptr::addr_eq(Arc::as_ptr(&next), Arc::as_ptr(&current.port)) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the rebuilt port is the old one: build another, or reset the old one",
            ));
        }
        // What the old chip holds because the line has refused it leaves it behind this visit.
        let mut hold = None;
        current.port.with_line(&mut |old| hold = old.suspend_hold());
        current.port.with_line(&mut |old| {
            next.with_line(&mut |new| {
                std::mem::swap(old, new);
                new.hold_output_at(hold);
                new.begin_boot(MarkKind::Reset);
            });
        });
        if let Some(present) = current.carrier {
            next.set_carrier(present);
        }
        current.port = Arc::clone(&next) as Arc<dyn GuestPort>;
        Ok(next)
    }

    /// The results of `visit`, and of the `access` to the port that calls it.
    fn visited<T: Default, R>(
        &self,
        visit: impl FnOnce(&mut ConsoleLine) -> T,
        access: impl FnOnce(&dyn GuestPort, &mut dyn FnMut(&mut ConsoleLine)) -> R,
    ) -> (T, R) {
        let mut visit = Some(visit);
        let mut answer = T::default();
        let result = access(&*self.current().port, &mut |line| {
            if let Some(visit) = visit.take() {
                answer = visit(line);
            }
        });
        (answer, result)
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        // After a panic in the owner's port, what is kept here is still whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
