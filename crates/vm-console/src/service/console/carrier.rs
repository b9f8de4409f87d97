//! The carrier option: DCD and DSR follow the session, and stay low for a while between two.

use std::time::Duration;

use super::timed_port::TimedPort;
use crate::console::ConsoleConfig;
use crate::service::guest_port::Port;

pub(super) struct Carrier {
    follows_session: bool,
    low_until: Option<Duration>,
}

impl Carrier {
    pub(super) fn new(config: &ConsoleConfig) -> Self {
        Self {
            follows_session: config.carrier,
            low_until: None,
        }
    }

    /// Nobody is there yet.
    pub(super) fn start(&self, now: Duration, port: &mut TimedPort) {
        if self.follows_session {
            port.set_carrier(now, false);
        }
    }

    pub(super) fn session_began(&self, now: Duration, port: &mut TimedPort) {
        if self.follows_session && self.low_until.is_none() {
            port.set_carrier(now, true);
        }
    }

    pub(super) fn session_over(&mut self, now: Duration, port: &mut TimedPort) {
        if self.follows_session {
            port.set_carrier(now, false);
            self.low_until = Some(now.saturating_add(ConsoleConfig::CARRIER_PAUSE));
        }
    }

    /// Nobody serves the console any more: no session holds the carrier up.
    pub(super) fn end(&self, port: &Port) {
        if self.follows_session {
            port.set_carrier(false);
        }
    }

    /// Whether typed input may go to the guest, or waits until it has seen the carrier fall.
    pub(super) fn lets_input_in(&self) -> bool {
        self.low_until.is_none()
    }

    /// Whether the pause is over just now, so that input that waited may go on.
    pub(super) fn on_time(&mut self, now: Duration, is_held: bool, port: &mut TimedPort) -> bool {
        let is_over = self.low_until.take_if(|until| *until <= now).is_some();
        if is_over && is_held {
            port.set_carrier(now, true);
        }
        is_over
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.low_until
    }
}
