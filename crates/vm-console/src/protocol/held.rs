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
    /// Time since the last input. `None` if nothing was typed.
    pub idle_for: Option<Duration>,
}

impl Held {
    /// For how long a console is held, and idle. It stands apart from the holder's name in a frame,
    /// and is 0 where there is no holder.
    pub(super) fn spans(held: Option<&Self>) -> (Duration, Option<Duration>) {
        held.map_or((Duration::ZERO, Some(Duration::ZERO)), |held| {
            (held.held_for, held.idle_for)
        })
    }

    pub(super) fn of(by: String, (held_for, idle_for): (Duration, Option<Duration>)) -> Self {
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

/// A time, or that there is none: all bits set.
impl Value for Option<Duration> {
    fn put(&self, to: &mut Writer<'_>) {
        let millis = self.map_or(u64::MAX, |time| {
            u64::try_from(time.as_millis()).map_or(u64::MAX - 1, |millis| millis.min(u64::MAX - 1))
        });
        to.put(&millis);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        let millis = from.get()?;
        Ok((millis != u64::MAX).then(|| Duration::from_millis(millis)))
    }
}
