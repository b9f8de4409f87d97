//! Power beside the console.

use super::codec::FrameError;
use super::value::{Reader, Value, Writer};

/// What to do with the machine beside the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerAction {
    /// Power it off.
    Stop,
    /// Power it on.
    Start,
    /// Reset it.
    Restart,
}

impl Value for PowerAction {
    fn put(&self, to: &mut Writer<'_>) {
        to.put::<u8>(match self {
            Self::Stop => &1,
            Self::Start => &2,
            Self::Restart => &3,
        });
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        match from.get::<u8>()? {
            1 => Ok(Self::Stop),
            2 => Ok(Self::Start),
            3 => Ok(Self::Restart),
            _ => Err(from.malformed("a power action from 1 to 3")),
        }
    }
}
