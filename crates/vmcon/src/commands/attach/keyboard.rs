//! Standard input: a person's keys, or a script.

use rustix::io::Errno;
use vm_console::escape::{Escape, Typed};

use super::keys::EscapeKey;

/// Most bytes that are read at once.
const CHUNK: usize = 4096;

/// What was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// For the guest.
    Bytes(Vec<u8>),
    /// For this program.
    Escape(Typed),
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Keyboard {
    is_terminal: bool,
    is_open: bool,
    escape: Escape,
}

impl Keyboard {
    pub(super) fn new(is_terminal: bool, key: EscapeKey) -> Self {
        Self {
            is_terminal,
            is_open: true,
            escape: Escape::with_character(key.0),
        }
    }

    /// Whether a person is there.
    pub(super) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Whether more may come.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Reads what is there. At the end it is not open any more.
    pub(super) fn read(&mut self) -> Vec<u8> {
        let mut buffer = vec![0; CHUNK];
        let count = loop {
            match rustix::io::read(rustix::stdio::stdin(), &mut buffer) {
                Err(Errno::INTR) => {}
                // Somebody who shares it was faster.
                Err(Errno::AGAIN) => return Vec::new(),
                Err(_) => break 0, // a terminal that was closed
                Ok(count) => break count,
            }
        };
        self.is_open = count > 0;
        buffer.truncate(count);
        buffer
    }

    /// Finds the escapes in what was read.
    pub(super) fn keys(&mut self, bytes: &[u8]) -> Vec<Key> {
        let mut keys = Vec::new();
        self.escape
            .feed(bytes, |typed| match (typed, keys.last_mut()) {
                (Typed::Byte(byte), Some(Key::Bytes(bytes))) => bytes.push(byte),
                (Typed::Byte(byte), _) => keys.push(Key::Bytes(vec![byte])),
                (escape, _) => keys.push(Key::Escape(escape)),
            });
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stay_in_order_with_escapes() {
        let mut keyboard = Keyboard::new(true, EscapeKey::TILDE);
        assert_eq!(
            keyboard.keys(b"ls\r~Bx\r~."),
            [
                Key::Bytes(b"ls\r".to_vec()),
                Key::Escape(Typed::Break),
                Key::Bytes(b"x\r".to_vec()),
                Key::Escape(Typed::Leave),
            ]
        );
    }
}
