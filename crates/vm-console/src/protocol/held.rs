//! Who holds a console, as others are told.

use std::time::Duration;

use super::codec::FrameError;
use super::value::{Reader, Value, Writer};

/// Who holds a console, as told to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Who.
    pub by: String,
    /// For how long.
    pub held_for: Duration,
    /// Time since the last input.
    pub idle_for: Duration,
}

impl Held {
    /// For how long a console is held, and idle. It stands apart from the holder's name in a frame,
    /// and is 0 where there is no holder.
    pub(super) fn spans(held: Option<&Self>) -> (Duration, Duration) {
        held.map_or_else(Default::default, |held| (held.held_for, held.idle_for))
    }

    pub(super) fn of(by: String, (held_for, idle_for): (Duration, Duration)) -> Self {
        Self {
            by,
            held_for,
            idle_for,
        }
    }
}

/// In milliseconds.
impl Value for Duration {
    fn put(&self, to: &mut Writer<'_>) {
        to.put(&u64::try_from(self.as_millis()).unwrap_or(u64::MAX));
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        from.get().map(Self::from_millis)
    }
}
