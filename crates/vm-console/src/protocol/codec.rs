//! Cutting a byte stream into frames.

use std::fmt;

/// Largest length a frame may state: type and body, in bytes.
pub const FRAME_LIMIT: usize = 128 * 1024;

/// What is wrong with a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// The length is 0: there is not even a type.
    Empty,
    /// The length is beyond [`FRAME_LIMIT`].
    TooLong(u32),
    /// The type is not one of ours. The frame can be skipped.
    UnknownType(u8),
    /// The body does not hold what its type says.
    Malformed {
        /// The frame's type.
        kind: u8,
        /// What was expected.
        expected: &'static str,
    },
    /// The frame in a request or an answer is wrong. The envelope is not, and can be answered.
    InEnvelope {
        /// The number of the request.
        id: u32,
        /// What is wrong.
        error: Box<FrameError>,
    },
}

impl FrameError {
    /// Whether what follows cannot be trusted to be in step.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Empty | Self::TooLong(_) | Self::Malformed { .. } => true,
            Self::UnknownType(_) | Self::InEnvelope { .. } => false,
        }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("frame of length 0"),
            Self::TooLong(length) => {
                write!(f, "frame of length {length}, the most is {FRAME_LIMIT}")
            }
            Self::UnknownType(kind) => write!(f, "frame type {kind:#04x} is unknown"),
            Self::Malformed { kind, expected } => {
                write!(f, "frame of type {kind:#04x}: expected {expected}")
            }
            Self::InEnvelope { id, error } => write!(f, "{error}, in request {id}"),
        }
    }
}

impl std::error::Error for FrameError {}

/// A frame cut out of the stream, its body not looked at yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawFrame<'a> {
    /// The type byte.
    pub kind: u8,
    /// What follows it.
    pub body: &'a [u8],
}

/// Collects bytes until frames are whole. Memory is bounded by one frame and what was fed beyond
/// it, and is given back when the decoder runs empty.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Bytes at the front that were handed out already.
    consumed: usize,
}

/// Bytes of the length before each frame.
pub(super) const LENGTH: usize = 4;

impl Decoder {
    /// Adds bytes from the stream.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.consumed == self.buffer.len() {
            self.buffer.clear();
        } else if self.consumed > 0 {
            self.buffer.drain(..self.consumed);
        }
        self.consumed = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame; `None` until more is fed.
    ///
    /// # Errors
    /// A length of 0 or beyond [`FRAME_LIMIT`], as soon as the four bytes of it are there. The
    /// decoder stays at that place and repeats the error.
    pub fn next_frame(&mut self) -> Result<Option<RawFrame<'_>>, FrameError> {
        let rest = &self.buffer[self.consumed..];
        let Some((length, rest)) = rest.split_first_chunk::<LENGTH>() else {
            if rest.is_empty() {
                self.buffer = Vec::new();
                self.consumed = 0;
            }
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length);
        match length as usize {
            0 => Err(FrameError::Empty),
            n if n > FRAME_LIMIT => Err(FrameError::TooLong(length)),
            n if rest.len() < n => Ok(None),
            n => {
                let at = self.consumed + LENGTH;
                self.consumed = at + n;
                Ok(Some(RawFrame {
                    kind: self.buffer[at],
                    body: &self.buffer[at + 1..at + n],
                }))
            }
        }
    }

    /// Whether [`next_frame`](Self::next_frame) has something to say, a frame or an error.
    #[must_use]
    pub fn has_frame(&self) -> bool {
        let rest = &self.buffer[self.consumed..];
        rest.split_first_chunk::<LENGTH>()
            .is_some_and(|(length, rest)| {
                let length = u32::from_le_bytes(*length) as usize;
                length > FRAME_LIMIT || rest.len() >= length
            })
    }

    /// Gives the memory back if nothing is pending.
    pub(crate) fn give_back(&mut self) {
        if self.pending() == 0 {
            self.buffer = Vec::new();
            self.consumed = 0;
        }
    }

    /// Bytes that were fed and are not part of a frame handed out yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.consumed
    }
}
