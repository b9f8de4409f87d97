//! The two FIFOs (sections 8.5 and 8.11), and the one-character buffers they become in 16450 mode.
//!
//! Both keep their oldest entry at index 0 and move the rest down when it leaves. A shift of at most 64 bytes costs
//! a few nanoseconds, buys a contiguous slice for the line, and gives every content exactly one representation, so
//! that equality is derived.

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
    /// A break: "only one zero character is loaded into the FIFO" (section 8.4, bit 4), and as the stop bit was
    /// missing too, a framing error comes with it.
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

/// The receive FIFO: characters with their errors (section 8.4: "this error is associated with the particular
/// character in the FIFO it applies to").
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReceiveFifo {
    /// Oldest first; zero from `len` on.
    pub(crate) bytes: [u8; MAX_DEPTH],
    /// Bit i of each mask belongs to `bytes[i]`; zero from `len` on.
    pub(crate) parity: u64,
    pub(crate) framing: u64,
    pub(crate) breaks: u64,
    pub(crate) len: u8,
}

impl ReceiveFifo {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; MAX_DEPTH],
            parity: 0,
            framing: 0,
            breaks: 0,
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

    /// Whether any character in it has an error (LSR bit 7).
    #[inline]
    pub(crate) const fn has_errors(&self) -> bool {
        self.parity | self.framing | self.breaks != 0
    }

    /// The errors of the character at the top, where LSR shows them; none if empty.
    #[inline]
    pub(crate) const fn top_errors(&self) -> u8 {
        ((self.parity & 1) << 2 | (self.framing & 1) << 3 | (self.breaks & 1) << 4) as u8
    }

    /// Forgets the errors of the character at the top: what reading LSR does.
    #[inline]
    pub(crate) const fn clear_top_errors(&mut self) {
        self.parity &= !1;
        self.framing &= !1;
        self.breaks &= !1;
    }

    /// The character at `index`, counted from the top.
    pub(crate) const fn get(&self, index: usize) -> Option<Character> {
        if index >= self.len() {
            return None;
        }
        let errors = (self.parity >> index & 1) << 2
            | (self.framing >> index & 1) << 3
            | (self.breaks >> index & 1) << 4;
        Some(Character {
            byte: self.bytes[index],
            errors: CharacterErrors::from_bits_truncate(errors as u8),
        })
    }

    /// Puts a character at the end of a FIFO of `depth`; false if it is full.
    pub(crate) fn push(&mut self, character: Character, depth: usize) -> bool {
        let index = self.len();
        if index >= depth || index >= MAX_DEPTH {
            return false;
        }
        self.set(index, character);
        self.len += 1;
        true
    }

    /// Replaces whatever is there by one character: how 16450 mode overruns (section 8.4, bit 1).
    pub(crate) fn replace(&mut self, character: Character) {
        self.clear();
        self.set(0, character);
        self.len = 1;
    }

    fn set(&mut self, index: usize, character: Character) {
        self.bytes[index] = character.byte;
        let bit = 1 << index;
        if character.errors.contains(CharacterErrors::PARITY) {
            self.parity |= bit;
        }
        if character.errors.contains(CharacterErrors::FRAMING) {
            self.framing |= bit;
        }
        if character.errors.contains(CharacterErrors::BREAK) {
            self.breaks |= bit;
        }
    }

    /// Takes the byte at the top; its errors go with it.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<u8> {
        if self.is_empty() {
            return None;
        }
        let byte = self.bytes[0];
        self.bytes = shifted(&self.bytes, 1);
        self.parity >>= 1;
        self.framing >>= 1;
        self.breaks >>= 1;
        self.len -= 1;
        Some(byte)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }
}

/// The transmit FIFO: bytes the line has not taken yet. It is empty unless the line refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TransmitFifo {
    /// Oldest first; zero from `len` on.
    pub(crate) bytes: [u8; MAX_DEPTH],
    pub(crate) len: u8,
}

impl TransmitFifo {
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

    /// Replaces whatever is there by one byte: THR written twice in 16450 mode.
    pub(crate) fn replace(&mut self, byte: u8) {
        self.clear();
        self.bytes[0] = byte;
        self.len = 1;
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

/// `bytes` without the first `count`, with zeros at the end. No index in it can be out of range, not even to the compiler: no panic
/// is linked into a program that uses this chip.
#[inline]
fn shifted(bytes: &[u8; MAX_DEPTH], count: usize) -> [u8; MAX_DEPTH] {
    let mut shifted = [0; MAX_DEPTH];
    for (to, &from) in shifted.iter_mut().zip(bytes.iter().skip(count)) {
        *to = from;
    }
    shifted
}
