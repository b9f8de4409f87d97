//! `[u8; 64]` as a sequence of 64 numbers, which serde derives only up to 32.

use core::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserializer, Serializer};

pub(super) fn serialize<S: Serializer>(array: &[u8; 64], serializer: S) -> Result<S::Ok, S::Error> {
    let mut tuple = serializer.serialize_tuple(array.len())?;
    for byte in array {
        tuple.serialize_element(byte)?;
    }
    tuple.end()
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<[u8; 64], D::Error> {
    struct SixtyFour;

    impl<'de> Visitor<'de> for SixtyFour {
        type Value = [u8; 64];

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("64 bytes")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<[u8; 64], A::Error> {
            let mut array = [0; 64];
            for (index, byte) in array.iter_mut().enumerate() {
                *byte = seq
                    .next_element()?
                    .ok_or_else(|| A::Error::invalid_length(index, &self))?;
            }
            Ok(array)
        }
    }

    deserializer.deserialize_tuple(64, SixtyFour)
}
