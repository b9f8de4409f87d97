//! The end of a script: so much time in which nothing came.

use std::time::{Duration, Instant};

/// Measures for how long it is silent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silence {
    /// `None`: it never ends anything.
    limit: Option<Duration>,
    since: Option<Instant>,
}

impl Silence {
    pub(super) fn new(limit: Option<Duration>) -> Self {
        Self { limit, since: None }
    }

    /// It is silent at `now`, or not.
    pub(super) fn note(&mut self, is_silent: bool, now: Instant) {
        if is_silent {
            self.since.get_or_insert(now);
        } else {
            self.since = None;
        }
    }

    /// When it will have been silent for long enough.
    pub(super) fn ends(&self) -> Option<Instant> {
        self.since?.checked_add(self.limit?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_from_the_last_sound() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut silence = Silence::new(Some(Duration::from_secs(10)));
        assert_eq!(silence.ends(), None);
        silence.note(true, at(0));
        silence.note(true, at(9));
        assert_eq!(silence.ends(), Some(at(10)));
        silence.note(false, at(9));
        silence.note(true, at(12));
        assert_eq!(silence.ends(), Some(at(22)));
        let mut endless = Silence::new(None);
        endless.note(true, at(0));
        assert_eq!(endless.ends(), None);
    }
}
