//! The guest's port, and the time of its device.

use std::time::Duration;

use crate::line::ConsoleLine;
use crate::service::guest_port::Port;

pub(super) struct TimedPort {
    port: Port,
    /// When the device's character timeout is due, if one counts.
    timeout_at: Option<Duration>,
}

impl TimedPort {
    pub(super) fn new(port: Port) -> Self {
        Self {
            port,
            timeout_at: None,
        }
    }

    /// The port itself, for whoever does not keep its time.
    pub(super) fn untimed(&self) -> &Port {
        &self.port
    }

    /// Lets `visit` at the line. Any visit may pass input on to the device, and so start a timeout.
    pub(super) fn line<T: Default>(
        &mut self,
        now: Duration,
        visit: impl FnOnce(&mut ConsoleLine) -> T,
    ) -> T {
        let (answer, wait) = self.port.line_at(now, visit);
        self.keep_time_after(now, wait);
        answer
    }

    pub(super) fn set_carrier(&mut self, now: Duration, present: bool) {
        self.port.set_carrier(present);
        // A device that has seen its modem inputs change may have taken input.
        self.keep_time(now);
    }

    pub(super) fn on_time(&mut self, now: Duration) {
        if self.timeout_at.is_some_and(|at| at <= now) {
            self.keep_time(now);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.timeout_at
    }

    fn keep_time(&mut self, now: Duration) {
        let wait = self.port.keep_time(now);
        self.keep_time_after(now, wait);
    }

    fn keep_time_after(&mut self, now: Duration, wait: Option<Duration>) {
        self.timeout_at = wait.map(|wait| now.saturating_add(wait));
    }
}
