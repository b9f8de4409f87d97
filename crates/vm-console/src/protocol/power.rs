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
    /// Send it a non-maskable interrupt, at which most guests write a crash dump. From version 3 on.
    Nmi,
}

impl PowerAction {
    /// The first version of the protocol that has it.
    #[must_use]
    pub fn since(self) -> u16 {
        match self {
            Self::Stop | Self::Start | Self::Restart => 1,
            Self::Nmi => 3,
        }
    }
}

impl Value for PowerAction {
    fn put(&self, to: &mut Writer<'_>) {
        to.put::<u8>(match self {
            Self::Stop => &1,
            Self::Start => &2,
            Self::Restart => &3,
            Self::Nmi => &4,
        });
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        match from.get::<u8>()? {
            1 => Ok(Self::Stop),
            2 => Ok(Self::Start),
            3 => Ok(Self::Restart),
            4 if from.version() >= Self::Nmi.since() => Ok(Self::Nmi),
            _ => Err(from.malformed("a power action that the version has")),
        }
    }
}
