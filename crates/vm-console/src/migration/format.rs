//! The bytes of an image; the table is with [`ConsoleImage`].

use super::error::rule_holds;
use super::{ConsoleImage, ImageError};
use crate::counters::CounterValues;
use crate::line::{INPUT_LIMIT, Input};
use crate::log::{LogImage, check_sum};

const MAGIC: &[u8; 8] = b"vmconsol";
const VERSION: u32 = 2;
/// Has no power state, no input and no check sum, and counters without names.
const VERSION_WITHOUT_INPUT: u32 = 1;

/// A break condition among the input, whose bytes are 0 to 255.
const BREAK: u16 = 256;

/// The counters of version 1 in their order, by the names that they have had since.
const COUNTERS_OF_VERSION_1: [&str; 39] = [
    "connections",
    "connections_turned_away",
    "listener_pauses",
    "attaches",
    "takeovers",
    "observers",
    "warnings",
    "output_delivered",
    "output_lost",
    "observed",
    "observed_lost",
    "guarded",
    "throttled",
    "input",
    "input_taken",
    "input_discarded",
    "breaks",
    "output_holds",
    "output_holds_expired",
    "log_reads",
    "bad_frames",
    "power_requests",
    "audit_lost",
    "wakeups",
    "ended.client closed",
    "ended.taken over",
    "ended.idle",
    "ended.maximum reached",
    "ended.powered off",
    "ended.too slow",
    "ended.revoked",
    "ended.shutting down",
    "ended.error",
    "refused.busy",
    "refused.powered off",
    "refused.boot log off",
    "refused.not permitted",
    "refused.too many observers",
    "refused.shutting down",
];

impl ConsoleImage {
    /// The image as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut part = vec![u8::from(self.powered)];
        part.extend((self.input.len() as u16).to_le_bytes());
        part.extend(self.input.iter().flat_map(|input| {
            match input {
                Input::Byte(byte) => u16::from(*byte),
                Input::Break => BREAK,
            }
            .to_le_bytes()
        }));
        let counters = self.counters.by_name();
        part.extend((counters.len() as u16).to_le_bytes());
        for (name, value) in counters {
            part.push(name.len() as u8);
            part.extend(name.as_bytes());
            part.extend(value.to_le_bytes());
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((part.len() as u32).to_le_bytes());
        bytes.extend(part);
        bytes.extend(check_sum(&bytes).to_le_bytes());
        bytes.extend(self.log.to_bytes());
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote, in this version or an older one. Counters
    /// that are not known here are dropped, and counters that are missing are 0.
    ///
    /// The memory that it takes is bounded by the length of `bytes`.
    ///
    /// # Errors
    /// Each [`ImageError`] but [`Io`](ImageError::Io).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ImageError> {
        let mut rest = Fields(bytes.strip_prefix(MAGIC).ok_or(ImageError::NotAnImage)?);
        match rest.u32()? {
            VERSION => Self::read(bytes, rest),
            VERSION_WITHOUT_INPUT => Self::read_version_1(rest),
            found => Err(ImageError::Version {
                found,
                known: VERSION,
            }),
        }
    }

    fn read(bytes: &[u8], mut rest: Fields<'_>) -> Result<Self, ImageError> {
        let length = rest.u32()? as usize;
        let mut part = Fields(rest.bytes(length)?);
        let covered = &bytes[..bytes.len() - rest.0.len()];
        if rest.u64()? != check_sum(covered) {
            return Err(ImageError::Damaged);
        }
        let powered = part.u8()?;
        rule_holds(powered <= 1, "the power is 0 or 1", powered.into())?;
        let input = part.input()?;
        let mut counters = CounterValues::default();
        for _ in 0..part.u16()? {
            let length = part.u8()?;
            let name = part.bytes(length.into())?;
            let value = part.u64()?;
            if let Ok(name) = std::str::from_utf8(name) {
                counters.set_by_name(name, value);
            }
        }
        let more = part.0.len() as u64;
        rule_holds(more == 0, "nothing may follow the counters", more)?;
        Ok(Self {
            log: LogImage::from_bytes(rest.0).map_err(ImageError::Log)?,
            counters,
            input,
            powered: powered == 1,
        })
    }

    fn read_version_1(mut rest: Fields<'_>) -> Result<Self, ImageError> {
        let count = rest.u32()? as usize;
        let length = count.checked_mul(8).ok_or(ImageError::Length)?;
        let mut values = Fields(rest.bytes(length)?);
        let mut counters = CounterValues::default();
        for name in COUNTERS_OF_VERSION_1.iter().take(count) {
            counters.set_by_name(name, values.u64()?);
        }
        Ok(Self {
            log: LogImage::from_bytes(rest.0).map_err(ImageError::Log)?,
            counters,
            input: Vec::new(),
            powered: true,
        })
    }
}

/// Little-endian fields from the front of a slice.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, length: usize) -> Result<&'a [u8], ImageError> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(ImageError::Length)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ImageError> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(ImageError::Length)?;
        self.0 = rest;
        Ok(*bytes)
    }

    fn u8(&mut self) -> Result<u8, ImageError> {
        self.array().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Result<u16, ImageError> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, ImageError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, ImageError> {
        self.array().map(u64::from_le_bytes)
    }

    fn input(&mut self) -> Result<Vec<Input>, ImageError> {
        let count = usize::from(self.u16()?);
        rule_holds(
            count <= INPUT_LIMIT,
            "at most 4096 characters of input wait",
            count as u64,
        )?;
        let (characters, _) = self.bytes(count * 2)?.as_chunks();
        let read = |character: &[u8; 2]| match u16::from_le_bytes(*character) {
            BREAK => Ok(Input::Break),
            value => u8::try_from(value)
                .map(Input::Byte)
                .map_err(|_| ImageError::Invalid {
                    rule: "input is a byte, or 256 for a BREAK",
                    value: value.into(),
                }),
        };
        characters.iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_of_version_1_is_known_by_its_name() {
        let mut names = COUNTERS_OF_VERSION_1.to_vec();
        for name in &names {
            let mut values = CounterValues::default();
            values.set_by_name(name, 1);
            assert_ne!(values, CounterValues::default(), "{name}");
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), COUNTERS_OF_VERSION_1.len());
    }
}
