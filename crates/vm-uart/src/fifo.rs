//! The two FIFOs (sections 8.5 and 8.11). In 16450 mode each is a buffer of one character.
//!
//! Both keep their oldest entry at index 0 and move the rest down when it leaves. A shift of at
//! most 64 bytes costs a few nanoseconds. In return the line gets one contiguous slice, and equal
//! contents have equal representations, so that equality can be derived.

use crate::registers::CharacterErrors;

/// Depth of the deepest FIFO that can be configured.
pub(crate) const MAX_DEPTH: usize = 64;

/// One received character and what was wrong with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Character {
    /// The data bits.
    pub byte: u8,
    /// Its parity error, framing error or break.
    pub errors: CharacterErrors,
}

impl Character {
    /// A break: "only one zero character is loaded into the FIFO" (section 8.4, bit 4). The stop
    /// bit is missing as well, so it comes with a framing error.
    pub const BREAK: Self = Self {
        byte: 0,
        errors: CharacterErrors::BREAK.union(CharacterErrors::FRAMING),
    };

    /// Whether this is a break.
    #[must_use]
    pub const fn is_break(self) -> bool {
        self.errors.contains(CharacterErrors::BREAK)
    }
}

impl From<u8> for Character {
    /// A character that arrived without error.
    fn from(byte: u8) -> Self {
        Self {
            byte,
            errors: CharacterErrors::empty(),
        }
    }
}

/// Bytes, oldest first. The transmit FIFO is one of these: it holds the bytes that the line has
/// refused so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ByteFifo {
    /// Zero from `len` on.
    pub(crate) bytes: [u8; MAX_DEPTH],
    pub(crate) len: u8,
}

impl ByteFifo {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; MAX_DEPTH],
            len: 0,
        }
    }

    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.len as usize
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len()).unwrap_or_default()
    }

    /// Puts a byte at the end of a FIFO of `depth`; false if it is full.
    pub(crate) fn push(&mut self, byte: u8, depth: usize) -> bool {
        let index = self.len();
        if index >= depth || index >= MAX_DEPTH {
            return false;
        }
        self.bytes[index] = byte;
        self.len += 1;
        true
    }

    /// Replaces the content by one byte: THR written twice in 16450 mode.
    pub(crate) fn replace(&mut self, byte: u8) {
        self.clear();
        self.bytes[0] = byte;
        self.len = 1;
    }

    /// Takes the oldest byte.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<u8> {
        let byte = *self.as_slice().first()?;
        self.bytes = shifted(&self.bytes, 1);
        self.len -= 1;
        Some(byte)
    }

    /// Takes up to `count` bytes off the front.
    pub(crate) fn drop_front(&mut self, count: usize) {
        let count = count.min(self.len());
        self.bytes = shifted(&self.bytes, count);
        self.len -= count as u8;
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }
}

/// The receive FIFO: characters with their errors (section 8.4: "this error is associated with the
/// particular character in the FIFO it applies to").
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReceiveFifo {
    pub(crate) data: ByteFifo,
    /// Bit i of each mask belongs to byte i; zero from the length on.
    pub(crate) parity: u64,
    pub(crate) framing: u64,
    pub(crate) breaks: u64,
}

impl ReceiveFifo {
    pub(crate) const fn new() -> Self {
        Self {
            data: ByteFifo::new(),
            parity: 0,
            framing: 0,
            breaks: 0,
        }
    }

    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.data.len()
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Whether any character in it has an error (LSR bit 7).
    #[inline]
    pub(crate) const fn has_errors(&self) -> bool {
        self.parity | self.framing | self.breaks != 0
    }

    /// The errors of the character at the top, where LSR shows them; none if empty.
    #[inline]
    pub(crate) fn top_errors(&self) -> u8 {
        self.errors(0)
    }

    /// The errors of the character at `index`, counted from the top, where LSR shows them.
    #[inline]
    fn errors(&self, index: usize) -> u8 {
        let bit = |mask: u64| (mask >> index & 1) as u8;
        bit(self.parity) << 2 | bit(self.framing) << 3 | bit(self.breaks) << 4
    }

    /// Forgets the errors of the character at the top, as a read of LSR does.
    #[inline]
    pub(crate) const fn clear_top_errors(&mut self) {
        self.parity &= !1;
        self.framing &= !1;
        self.breaks &= !1;
    }

    /// The characters, the one at the top first.
    pub(crate) fn characters(&self) -> impl Iterator<Item = Character> {
        let bytes = self.data.as_slice().iter().enumerate();
        bytes.map(|(index, &byte)| Character {
            byte,
            errors: CharacterErrors::from_bits_truncate(self.errors(index)),
        })
    }

    /// Puts a character at the end of a FIFO of `depth`; false if it is full.
    pub(crate) fn push(&mut self, character: Character, depth: usize) -> bool {
        let index = self.len();
        let has_room = self.data.push(character.byte, depth);
        if has_room {
            let bit = |error| u64::from(character.errors.contains(error)) << index;
            self.parity |= bit(CharacterErrors::PARITY);
            self.framing |= bit(CharacterErrors::FRAMING);
            self.breaks |= bit(CharacterErrors::BREAK);
        }
        has_room
    }

    /// Replaces the content by one character: an overrun in 16450 mode (section 8.4, bit 1).
    pub(crate) fn replace(&mut self, character: Character) {
        self.clear();
        self.push(character, 1);
    }

    /// Takes the byte at the top; its errors go with it.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<u8> {
        let byte = self.data.pop()?;
        self.parity >>= 1;
        self.framing >>= 1;
        self.breaks >>= 1;
        Some(byte)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }
}

/// A copy of `bytes`, moved down by `count` and with zeros at the end. The compiler can prove each
/// index to be in range, so no panic is linked into a program that uses this chip.
#[inline]
fn shifted(bytes: &[u8; MAX_DEPTH], count: usize) -> [u8; MAX_DEPTH] {
    let mut shifted = [0; MAX_DEPTH];
    for (to, &from) in shifted.iter_mut().zip(bytes.iter().skip(count)) {
        *to = from;
    }
    shifted
}
