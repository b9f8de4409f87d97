//! When a connection is sent to: as its peer reads, and as its rate limit allows.

use std::time::Duration;

use crate::rate::TokenBucket;

#[derive(Debug)]
pub(in crate::service) struct Pace {
    state: State,
    bucket: Option<TokenBucket>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    /// Waits until the peer takes more, or until others have had their turn.
    Behind,
    /// Waits for this moment: the rate limit, or a terminal that is being set up.
    Quiet(Duration),
}

impl Pace {
    pub(super) fn new(bucket: Option<TokenBucket>) -> Self {
        Self {
            state: State::Ready,
            bucket,
        }
    }

    /// Whether it is worth trying to send.
    pub(in crate::service) fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    /// Whether it waits for the peer to take more.
    pub(in crate::service) fn is_behind(&self) -> bool {
        self.state == State::Behind
    }

    /// Waits until the peer takes more, unless it waits for a moment already.
    pub(in crate::service) fn wait_for_room(&mut self) {
        if self.state == State::Ready {
            self.state = State::Behind;
        }
    }

    pub(in crate::service) fn room_came(&mut self) {
        if self.state == State::Behind {
            self.state = State::Ready;
        }
    }

    pub(in crate::service) fn be_quiet_until(&mut self, at: Duration) {
        self.state = State::Quiet(at);
    }

    /// How many bytes may be sent now. `None`: not one, and it waits until it is worth asking
    /// again.
    pub(super) fn allowance(&mut self, now: Duration) -> Option<usize> {
        let Some(bucket) = &mut self.bucket else {
            return Some(usize::MAX);
        };
        match bucket.allowance(now) {
            0 => {
                self.state = State::Quiet(bucket.ready_at());
                None
            }
            allowance => Some(allowance),
        }
    }

    pub(super) fn spend(&mut self, bytes: usize) {
        if let Some(bucket) = &mut self.bucket {
            bucket.spend(bytes);
        }
    }

    pub(super) fn on_time(&mut self, now: Duration) {
        if matches!(self.state, State::Quiet(until) if until <= now) {
            self.state = State::Ready;
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        match self.state {
            State::Quiet(until) => Some(until),
            State::Ready | State::Behind => None,
        }
    }
}
