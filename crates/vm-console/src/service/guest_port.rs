//! The guest's port: one visit to the line under the port's lock.

use std::sync::Arc;

use crate::line::ConsoleLine;
use crate::port::GuestPort;

pub(super) struct Port(pub(super) Arc<dyn GuestPort>);

impl Port {
    /// Lets `visit` at the line.
    pub(super) fn line<T: Default>(&self, visit: impl FnOnce(&mut ConsoleLine) -> T) -> T {
        let mut visit = Some(visit);
        let mut answer = T::default();
        self.0.with_line(&mut |line| {
            if let Some(visit) = visit.take() {
                answer = visit(line);
            }
        });
        answer
    }

    pub(super) fn set_carrier(&self, present: bool) {
        self.0.set_carrier(present);
    }
}
