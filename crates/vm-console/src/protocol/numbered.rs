//! The envelope that puts a number on a frame, the same for both directions.

use super::codec::FrameError;
use super::value::{Reader, Value, Writer};

/// A frame of one direction, as the [table](super::table) makes it.
pub(super) trait Frame: Sized {
    /// The type of the envelope in that direction.
    const ENVELOPE: u8;

    /// Writes the type byte and the body.
    fn put(&self, to: &mut Writer<'_>);

    /// Reads the body of a frame of type `kind`.
    fn get(kind: u8, from: &mut Reader<'_>) -> Result<Self, FrameError>;
}

/// A frame with a number: a [request](super::Request), or the [answer](super::Answer) that repeats
/// its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered<F> {
    /// Chosen by the client; not that of another request whose answer is still to come.
    pub id: u32,
    /// Any frame of the same direction but another envelope.
    pub frame: Box<F>,
}

impl<F: Frame> Value for Numbered<F> {
    fn put(&self, to: &mut Writer<'_>) {
        to.put(&self.id);
        self.frame.put(to);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        let id = from.get()?;
        let frame = from.inner(id, |kind, from| {
            if kind == F::ENVELOPE {
                return Err(from.malformed("a frame that is no envelope itself"));
            }
            F::get(kind, from)
        })?;
        Ok(Self {
            id,
            frame: Box::new(frame),
        })
    }
}
