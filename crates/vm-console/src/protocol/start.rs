//! Where a replay or a log read begins: a kind and a number.

use super::codec::FrameError;
use super::value::{Reader, Value, Writer};
use crate::log::Start;

impl Value for Start {
    fn put(&self, to: &mut Writer<'_>) {
        let (kind, number): (u8, u64) = match *self {
            Self::Now => (0, 0),
            Self::Oldest => (1, 0),
            Self::Lines(count) => (2, count),
            Self::Newest(count) => (3, count),
            Self::Offset(offset) => (4, offset),
            Self::ThisBoot => (5, 0),
            Self::Boot(epoch) => (6, epoch),
        };
        to.put(&kind).put(&number);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        let (kind, number) = (from.get::<u8>()?, from.get::<u64>()?);
        Ok(match kind {
            0 => Self::Now,
            1 => Self::Oldest,
            2 => Self::Lines(number),
            3 => Self::Newest(number),
            4 => Self::Offset(number),
            5 => Self::ThisBoot,
            6 => Self::Boot(number),
            _ => return Err(from.malformed("a start kind from 0 to 6")),
        })
    }
}
