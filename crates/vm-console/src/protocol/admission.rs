//! Who would be let in, and who was: what a client learns without a session of its own.

use std::time::Duration;

use super::codec::FrameError;
use super::held::Held;
use super::value::{Reader, Value, Writer, flags};

/// An attach that was only asked about would be granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// Whose session it would end. `None` if nobody's.
    pub ends: Option<Held>,
}

impl Value for Admission {
    fn put(&self, to: &mut Writer<'_>) {
        let holder = self.ends.as_ref();
        let (held_for, idle_for) = Held::spans(holder);
        to.put(&flags(&[(holder.is_some(), HELD)]));
        to.put(&held_for).put(&idle_for);
        to.str(holder.map_or("", |held| &held.by));
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        let is_held = from.get::<u8>()? & HELD != 0;
        let spans = (from.get()?, from.get()?);
        let by = from.get()?;
        Ok(Self {
            ends: is_held.then(|| Held::of(by, spans)),
        })
    }
}

/// The same bit as in a status.
const HELD: u8 = 2;

/// A client that only watches, as told to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observer {
    /// Who.
    pub who: String,
    /// Time since it was let in.
    pub observing_for: Duration,
    /// Bytes of output that were written and not sent to it yet.
    pub behind: u64,
    /// Whether it is still shown what was printed before it came.
    pub replaying: bool,
}

const REPLAYING: u8 = 1;

impl Value for Observer {
    fn put(&self, to: &mut Writer<'_>) {
        let Self {
            who,
            observing_for,
            behind,
            replaying,
        } = self;
        to.put(&flags(&[(*replaying, REPLAYING)]));
        to.put(observing_for).put(behind).put(who);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        Ok(Self {
            replaying: from.get::<u8>()? & REPLAYING != 0,
            observing_for: from.get()?,
            behind: from.get()?,
            who: from.get()?,
        })
    }
}

impl Value for Vec<Observer> {
    fn put(&self, to: &mut Writer<'_>) {
        to.list(self);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        from.list()
    }
}
