//! The values that frames are made of, each written beside the place where it is read.

use super::codec::{FrameError, LENGTH, RawFrame};

/// A value with one layout on the wire.
pub(super) trait Value: Sized {
    fn put(&self, to: &mut Writer<'_>);
    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError>;
}

/// Writes one frame at the end of a buffer.
pub(crate) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Writer<'a> {
    pub(crate) fn begin(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend_from_slice(&[0; LENGTH]);
        Self { out, start }
    }

    pub(super) fn put<T: Value>(&mut self, value: &T) -> &mut Self {
        value.put(self);
        self
    }

    /// Bytes whose number the reader knows, or that reach to the end of the frame.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.out.extend_from_slice(bytes);
        self
    }

    /// Cut to 65535 bytes, at a character border.
    pub(super) fn str(&mut self, text: &str) -> &mut Self {
        let mut end = text.len().min(usize::from(u16::MAX));
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.put(&(end as u16)).bytes(&text.as_bytes()[..end])
    }

    /// A count in 16 bits, and as many values; what is over that is left out.
    pub(super) fn list<T: Value>(&mut self, values: &[T]) -> &mut Self {
        let count = u16::try_from(values.len()).unwrap_or(u16::MAX);
        self.put(&count);
        for value in &values[..usize::from(count)] {
            self.put(value);
        }
        self
    }

    pub(crate) fn end(self) {
        let length = (self.out.len() - self.start - LENGTH) as u32;
        self.out[self.start..self.start + LENGTH].copy_from_slice(&length.to_le_bytes());
    }
}

/// Reads the values of one body.
pub(super) struct Reader<'a> {
    kind: u8,
    rest: &'a [u8],
    version: u16,
}

impl<'a> Reader<'a> {
    pub(super) fn new(frame: RawFrame<'a>, version: u16) -> Self {
        Self {
            kind: frame.kind,
            rest: frame.body,
            version,
        }
    }

    /// The protocol version that the connection speaks.
    pub(super) fn version(&self) -> u16 {
        self.version
    }

    pub(super) fn malformed(&self, expected: &'static str) -> FrameError {
        FrameError::Malformed {
            kind: self.kind,
            expected,
        }
    }

    pub(super) fn get<T: Value>(&mut self) -> Result<T, FrameError> {
        T::get(self)
    }

    /// As [`Writer::list`] writes it.
    pub(super) fn list<T: Value>(&mut self) -> Result<Vec<T>, FrameError> {
        let count = self.get::<u16>()?;
        (0..count).map(|_| self.get()).collect()
    }

    fn array<const N: usize>(&mut self, expected: &'static str) -> Result<[u8; N], FrameError> {
        let (value, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(self.malformed(expected))?;
        self.rest = rest;
        Ok(*value)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Goes on with the frame that an envelope with this `id` holds, and reads it by `get`. The
    /// envelope is whole, so a bad frame in it can be named, and what follows can be trusted.
    pub(super) fn inner<T>(
        &mut self,
        id: u32,
        get: impl FnOnce(u8, &mut Self) -> Result<T, FrameError>,
    ) -> Result<T, FrameError> {
        let read = || {
            self.kind = self.get()?;
            get(self.kind, self)
        };
        read().map_err(|error| FrameError::InEnvelope {
            id,
            error: Box::new(error),
        })
    }

    /// Nothing may be left over in version 1; later ones may have grown.
    pub(super) fn end(&self) -> Result<(), FrameError> {
        if self.is_at_end() || self.version >= 2 {
            Ok(())
        } else {
            Err(self.malformed("the end of the frame"))
        }
    }
}

macro_rules! numbers {
    ($($number:ident: $expected:literal,)+) => {$(
        impl Value for $number {
            fn put(&self, to: &mut Writer<'_>) {
                to.bytes(&self.to_le_bytes());
            }

            fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
                from.array($expected).map(Self::from_le_bytes)
            }
        }
    )+};
}

numbers! {
    u8: "a u8",
    u16: "a u16",
    u32: "a u32",
    u64: "a u64",
    u128: "16 bytes",
}

impl Value for String {
    fn put(&self, to: &mut Writer<'_>) {
        to.str(self);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        let length = usize::from(from.get::<u16>()?);
        let (text, rest) = from
            .rest
            .split_at_checked(length)
            .ok_or(from.malformed("as many bytes as the string states"))?;
        from.rest = rest;
        std::str::from_utf8(text)
            .map(str::to_owned)
            .map_err(|_| from.malformed("UTF-8"))
    }
}

/// Whatever is left of the frame.
impl Value for Vec<u8> {
    fn put(&self, to: &mut Writer<'_>) {
        to.bytes(self);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        Ok(std::mem::take(&mut from.rest).to_vec())
    }
}

/// The bits of those flags that are set.
pub(super) fn flags(all: &[(bool, u8)]) -> u8 {
    all.iter()
        .filter(|(set, _)| *set)
        .fold(0, |flags, (_, bit)| flags | bit)
}
