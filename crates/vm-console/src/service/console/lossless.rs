//! Lossless mode: the guest's output waits for the holder, for so long.
//!
//! The hold has three states. It is *ready* until the line refuses output; then it is *holding*
//! until the holder catches up or its time is over; in the latter case it has *given up*, until the
//! holder has caught up all the same.

use std::time::Duration;

use super::timed_port::TimedPort;
use crate::console::ConsoleConfig;
use crate::counters::Counters;
use crate::line::ConsoleLine;

pub(super) struct Lossless {
    patience: Option<Duration>,
    window: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    /// Output is being held, until then at most.
    Holding(Duration),
    GivenUp,
}

impl Lossless {
    /// In a log that keeps `tail` bytes: a holder that is further behind has lost some already.
    pub(super) fn new(config: &ConsoleConfig, tail: u64) -> Self {
        Self {
            patience: config.lossless,
            window: config.lossless_window.min(tail),
            state: State::Ready,
        }
    }

    /// A session began. What is replayed to it first is not waited for.
    pub(super) fn session_began(&mut self) {
        self.state = State::GivenUp;
    }

    /// The session is over: the guest goes on.
    pub(super) fn release(&mut self, line: &mut ConsoleLine) {
        line.hold_output_at(None);
        self.state = State::Ready;
    }

    /// The bell rang: the line may refuse output.
    pub(super) fn look(&mut self, now: Duration, port: &mut TimedPort) {
        if let (State::Ready, Some(patience)) = (self.state, self.patience)
            && port.line(now, |line| line.output_is_held())
        {
            self.state = State::Holding(now.saturating_add(patience));
        }
    }

    /// The holder has taken output before `offset`, which may be everything: lets the guest go only
    /// so far beyond it.
    pub(super) fn holder_took(
        &mut self,
        now: Duration,
        offset: u64,
        everything: bool,
        port: &mut TimedPort,
    ) {
        if self.patience.is_none() {
            return;
        }
        if self.state == State::GivenUp {
            if !everything {
                return;
            }
            self.state = State::Ready;
        }
        let limit = offset.saturating_add(self.window);
        if !port.line(now, |line| line.hold_output_at(Some(limit))) {
            self.state = State::Ready;
        }
    }

    pub(super) fn on_time(&mut self, now: Duration, port: &mut TimedPort, counters: &Counters) {
        let State::Holding(until) = self.state else {
            return;
        };
        if !port.line(now, |line| line.output_is_held()) {
            self.state = State::Ready;
        } else if until <= now {
            counters.output_holds_expired.add(1);
            self.state = State::GivenUp;
            port.line(now, |line| line.hold_output_at(None));
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        match self.state {
            State::Holding(until) => Some(until),
            State::Ready | State::GivenUp => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::service::guest_port::Port;
    use crate::{BootLog, Console, LogConfig};

    const NOW: Duration = Duration::from_secs(1);
    const WINDOW: u64 = 10;

    #[test]
    fn a_replay_is_not_waited_for_and_live_output_is() {
        let (writer, _) = BootLog::in_memory(LogConfig::default()).unwrap();
        let config = ConsoleConfig {
            lossless: Some(Duration::from_millis(5)),
            lossless_window: WINDOW,
            ..ConsoleConfig::named("vm")
        };
        let (line, console) = Console::new(config, writer).unwrap();
        let mut port = TimedPort::new(Port::new(Arc::new(Mutex::new(line))));
        let mut lossless = Lossless::new(&console.config, u64::MAX);
        let prints = |port: &mut TimedPort| port.line(NOW, |line| line.transmit(&[b'.'; 100]));
        lossless.session_began();
        // It has taken a part of what was printed before.
        lossless.holder_took(NOW, 0, false, &mut port);
        assert_eq!(prints(&mut port), 100);
        lossless.holder_took(NOW, 100, true, &mut port);
        assert_eq!(prints(&mut port), WINDOW as usize);
        lossless.holder_took(NOW, 105, false, &mut port);
        assert_eq!(prints(&mut port), 5);
        port.line(NOW, |line| lossless.release(line));
        assert_eq!(prints(&mut port), 100);
    }
}
