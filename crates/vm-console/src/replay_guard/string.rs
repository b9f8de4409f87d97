//! The states within a command string: where it ends, and whether it is one.

use super::introducer::{Coding, Introducer};
use super::state::{Reading, State};
use super::utf8::Utf8;
use super::{BEL, CAN, ENQ, ESC, ReplayGuard, STRING_LIMIT, SUB, is_printable, prefix};

impl ReplayGuard {
    pub(super) fn string(&mut self, byte: u8, reading: Reading, shown: &mut Vec<u8>) {
        match byte {
            b'\\' if reading.escape => self.end_string(&[ESC, byte], shown),
            _ if reading.escape => {
                // The ESC was not the end but a new sequence that cut the string off.
                self.give_back(shown);
                self.step(ESC, shown);
                self.step(byte, shown);
            }
            ESC => {
                self.state = State::String(Reading {
                    escape: true,
                    ..reading
                });
            }
            CAN | SUB => {
                self.give_back(shown);
                self.removed += 1;
            }
            ENQ => self.removed += 1,
            BEL if Introducer::of(&self.held).is_ended_by(&[BEL]) => {
                self.end_string(&[BEL], shown);
            }
            b'\n' | 0x0b | 0x0c | b'\r' if reading.is_text || !carries_payload(&self.held) => {
                self.give_back(shown);
                self.step(byte, shown);
            }
            0x80..=0x9f if !reading.utf8.expects(byte) => {
                self.control_in_string(byte, reading, shown);
            }
            _ => self.hold_in_string(byte, reading, shown),
        }
    }

    fn control_in_string(&mut self, byte: u8, mut reading: Reading, shown: &mut Vec<u8>) {
        if !matches!(byte, 0x90 | 0x98 | 0x9a..=0x9f) {
            return self.hold_in_string(byte, reading, shown);
        }
        let utf8_form = self.held.pop_if(|last| *last == 0xc2).is_some();
        let control: &[u8] = if utf8_form { &[0xc2, byte] } else { &[byte] };
        match byte {
            0x9a => {
                self.removed += control.len() as u64;
                reading.utf8 = Utf8::default();
                self.state = State::String(reading);
            }
            0x9c => self.end_string(control, shown),
            _ => {
                self.give_back(shown);
                self.held.extend_from_slice(control);
                self.c1(byte, shown);
            }
        }
    }

    fn hold_in_string(&mut self, byte: u8, mut reading: Reading, shown: &mut Vec<u8>) {
        if self.held.len() >= STRING_LIMIT && !reading.is_text && carries_payload(&self.held) {
            self.drop_held();
            self.payload(byte, false, shown);
            return;
        }
        if byte == 0xc2 && self.held.pop_if(|last| *last == byte).is_some() {
            // As in text, a C2 is never shown before another.
            self.removed += 1;
        }
        reading.utf8.advance(byte);
        reading.is_text |= !is_payload(byte);
        self.state = State::String(reading);
        self.hold_or_give_back(byte, STRING_LIMIT, shown);
    }

    /// Holds the printable ASCII that `rest` begins with, as far as there is room. Returns how many
    /// bytes that were.
    pub(super) fn hold_in_bulk(&mut self, rest: &[u8], mut reading: Reading) -> usize {
        if reading.escape {
            return 0;
        }
        let room = STRING_LIMIT.saturating_sub(self.held.len());
        let printable = prefix(&rest[..rest.len().min(room)], is_printable);
        let text = &rest[..printable];
        if printable > 0 {
            reading.utf8 = Utf8::default();
            reading.is_text |= !text.iter().fold(true, |all, byte| all & is_payload(*byte));
            self.state = State::String(reading);
            self.held.extend_from_slice(text);
        }
        printable
    }

    fn end_string(&mut self, end: &[u8], shown: &mut Vec<u8>) {
        let introducer = Introducer::of(&self.held);
        if !introducer.is_ended_by(end) {
            self.give_back(shown);
            self.removed += end.len() as u64;
            return;
        }
        let is_shown = introducer.may_be_shown() && !introducer.asks(&self.held);
        self.held.extend_from_slice(end);
        if is_shown {
            self.release_held(shown);
        } else {
            self.drop_held();
        }
    }

    pub(super) fn payload(&mut self, byte: u8, escape: bool, shown: &mut Vec<u8>) {
        self.state = State::Ground;
        match byte {
            b'\\' if escape => self.removed += 2,
            _ if escape => {
                self.begin(State::Escape, ESC);
                self.step(byte, shown);
            }
            ESC => self.state = State::Payload { escape: true },
            BEL | CAN | SUB | 0x9c => self.removed += 1,
            _ if is_payload(byte) => {
                self.removed += 1;
                self.state = State::Payload { escape: false };
            }
            _ => self.ground(byte, shown),
        }
    }
}

/// Whether a string that begins so carries a picture, a file or a clipboard: text of any length
/// without a space, which nobody wants to see as text.
pub(super) fn carries_payload(string: &[u8]) -> bool {
    let introducer = Introducer::of(string);
    let body = &string[introducer.len..];
    match (introducer.coding, introducer.kind) {
        // Sixel: a few numbers and q.
        (Coding::SevenBit, b'P') => body
            .iter()
            .take(32)
            .find(|byte| !matches!(byte, b'0'..=b'9' | b';'))
            .is_some_and(|byte| *byte == b'q'),
        // kitty's graphics.
        (Coding::SevenBit, b'_') => body.starts_with(b"G"),
        (Coding::SevenBit, b']') => [
            &b"52;"[..],
            b"5522;",
            b"5113;",
            b"1337;File",
            b"1337;MultipartFile",
        ]
        .iter()
        .any(|begin| body.starts_with(begin)),
        _ => false,
    }
}

/// What payload consists of: base64, sixels, and the newlines between them.
pub(super) fn is_payload(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e | b'\r' | b'\n')
}
