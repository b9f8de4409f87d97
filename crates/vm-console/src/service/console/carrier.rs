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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::line::ConsoleLine;
    use crate::port::GuestPort;

    /// A port that tells how its carrier was set.
    #[derive(Default)]
    struct Modem(Mutex<Vec<bool>>);

    impl GuestPort for Modem {
        fn with_line(&self, _: &mut dyn FnMut(&mut ConsoleLine)) {}

        fn set_carrier(&self, present: bool) {
            self.0.lock().unwrap().push(present);
        }
    }

    #[test]
    fn the_next_session_raises_it_once_the_pause_is_over() {
        let modem = Arc::new(Modem::default());
        let mut port = TimedPort::new(Port::new(modem.clone()));
        let was_set = || std::mem::take(&mut *modem.0.lock().unwrap());
        let config = ConsoleConfig {
            carrier: true,
            ..ConsoleConfig::named("vm")
        };
        let mut carrier = Carrier::new(&config);
        let now = Duration::from_secs(1);
        let over = now + ConsoleConfig::CARRIER_PAUSE;
        carrier.start(now, &mut port);
        carrier.session_began(now, &mut port);
        carrier.session_over(now, &mut port);
        assert_eq!(was_set(), [false, true, false]);
        carrier.session_began(now, &mut port);
        assert!(!carrier.on_time(now, true, &mut port));
        assert!(!carrier.lets_input_in());
        assert_eq!((was_set(), carrier.next_deadline()), (vec![], Some(over)));
        assert!(carrier.on_time(over, true, &mut port));
        assert!(carrier.lets_input_in());
        assert!(!carrier.on_time(over, true, &mut port));
        assert_eq!((was_set(), carrier.next_deadline()), (vec![true], None));
        carrier.end(port.untimed());
        assert_eq!(was_set(), [false]);
    }

    #[test]
    fn without_the_option_it_is_left_alone() {
        let modem = Arc::new(Modem::default());
        let mut port = TimedPort::new(Port::new(modem.clone()));
        let now = Duration::from_secs(1);
        let mut carrier = Carrier::new(&ConsoleConfig::named("vm"));
        carrier.start(now, &mut port);
        carrier.session_began(now, &mut port);
        carrier.session_over(now, &mut port);
        carrier.end(port.untimed());
        assert!(carrier.lets_input_in());
        assert!(modem.0.lock().unwrap().is_empty());
    }
}
