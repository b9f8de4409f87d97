//! The guard's state machine: which bytes belong together, and what becomes of them.

use super::answered::{is_answered_csi, is_answered_escape};
use super::introducer::{Coding, Introducer};
use super::state::{Reading, State};
use super::utf8::Utf8;
use super::{CAN, CSI_LIMIT, ENQ, ESC, ReplayGuard, SUB};

impl ReplayGuard {
    pub(super) fn step(&mut self, byte: u8, shown: &mut Vec<u8>) {
        match self.state {
            State::Ground => self.ground(byte, shown),
            State::C2 => self.after_c2(byte, shown),
            State::Escape => self.escape(byte, shown),
            State::Csi => self.csi(byte, shown),
            State::String(reading) => self.string(byte, reading, shown),
            State::Payload { escape } => self.payload(byte, escape, shown),
        }
    }

    pub(super) fn ground(&mut self, byte: u8, shown: &mut Vec<u8>) {
        match byte {
            _ if self.utf8.expects(byte) => self.show(byte, shown),
            ENQ => self.removed += 1,
            ESC => self.begin(State::Escape, byte),
            0xc2 => self.begin(State::C2, byte),
            0x80..=0x9f => {
                self.held.push(byte);
                self.c1(byte, shown);
            }
            _ => self.show(byte, shown),
        }
    }

    fn after_c2(&mut self, byte: u8, shown: &mut Vec<u8>) {
        match byte {
            0x80..=0x9f => {
                self.held.push(byte);
                self.c1(byte, shown);
            }
            0xa0..=0xbf => {
                self.held.push(byte);
                self.release_held(shown);
            }
            // It is only shown along with what follows it: if that were taken out, what comes then
            // could make it a control.
            ESC | ENQ | 0xc2 => {
                self.drop_held();
                self.ground(byte, shown);
            }
            _ => {
                self.release_held(shown);
                self.ground(byte, shown);
            }
        }
    }

    /// An 8-bit control, its bytes held already.
    pub(super) fn c1(&mut self, byte: u8, shown: &mut Vec<u8>) {
        match byte {
            0x9b => self.state = State::Csi,
            0x90 | 0x98 | 0x9d..=0x9f => self.state = State::String(Reading::default()),
            0x9a => self.drop_held(),
            _ => self.release_held(shown),
        }
    }

    fn escape(&mut self, byte: u8, shown: &mut Vec<u8>) {
        let is_first = self.held.len() == 1;
        match byte {
            ESC | CAN | SUB | 0x80.. => self.cut_off_by(byte, shown),
            0x00..=0x1f | 0x7f => self.execute(byte, shown),
            b'[' if is_first => self.begin(State::Csi, byte),
            b']' | b'P' | b'X' | b'^' | b'_' | b'k' if is_first => {
                self.begin(State::String(Reading::default()), byte);
            }
            0x20..=0x2f => self.hold_or_give_back(byte, CSI_LIMIT, shown),
            0x30..=0x7e => {
                self.held.push(byte);
                if is_answered_escape(&self.held) {
                    self.drop_held();
                } else {
                    self.release_held(shown);
                }
            }
        }
    }

    fn csi(&mut self, byte: u8, shown: &mut Vec<u8>) {
        match byte {
            ESC | CAN | SUB | 0x80.. => self.cut_off_by(byte, shown),
            0x00..=0x1f | 0x7f => self.execute(byte, shown),
            0x20..=0x3f => self.hold_or_give_back(byte, CSI_LIMIT, shown),
            0x40..=0x7e => {
                self.held.push(byte);
                if is_answered_csi(&self.held[Introducer::of(&self.held).len..]) {
                    self.drop_held();
                } else {
                    self.release_held(shown);
                }
            }
        }
    }

    /// A control character within a sequence is carried out at once and the sequence goes on.
    fn execute(&mut self, byte: u8, shown: &mut Vec<u8>) {
        if byte == ENQ {
            self.removed += 1;
        } else {
            self.show(byte, shown);
        }
    }

    /// Another control ends an escape or control sequence before its final byte.
    fn cut_off_by(&mut self, byte: u8, shown: &mut Vec<u8>) {
        // No terminal shows anything of a sequence that ESC began.
        match Introducer::of(&self.held).coding {
            Coding::SevenBit => self.drop_held(),
            Coding::Utf8 | Coding::Single => self.give_back(shown),
        }
        match byte {
            CAN | SUB => self.removed += 1,
            _ => self.ground(byte, shown),
        }
    }

    pub(super) fn begin(&mut self, state: State, byte: u8) {
        self.held.push(byte);
        self.state = state;
    }

    pub(super) fn hold_or_give_back(&mut self, byte: u8, limit: usize, shown: &mut Vec<u8>) {
        if self.held.len() < limit {
            self.held.push(byte);
        } else {
            self.give_back(shown);
            self.step(byte, shown);
        }
    }

    fn show(&mut self, byte: u8, shown: &mut Vec<u8>) {
        self.utf8.advance(byte);
        shown.push(byte);
    }

    pub(super) fn drop_held(&mut self) {
        self.removed += self.held.len() as u64;
        self.held.clear();
        self.state = State::Ground;
    }

    pub(super) fn release_held(&mut self, shown: &mut Vec<u8>) {
        shown.append(&mut self.held);
        self.state = State::Ground;
        self.utf8 = Utf8::default();
    }

    /// What is held was no sequence after all: it is shown as text, without its introducer.
    ///
    /// None of it needs another look, since no control that could ask is ever held in a body.
    pub(super) fn give_back(&mut self, shown: &mut Vec<u8>) {
        let mut from = Introducer::of(&self.held).len;
        if self.utf8.is_within_character() {
            // Without the introducer, these would join the unfinished character before it.
            from += self.held[from..]
                .iter()
                .take_while(|byte| matches!(byte, 0x80..=0xbf))
                .count();
        }
        let ends_in_c2 = self.held.pop_if(|last| *last == 0xc2).is_some();
        for byte in &self.held[from..] {
            self.utf8.advance(*byte);
        }
        self.removed += from as u64;
        shown.extend_from_slice(&self.held[from..]);
        self.held.clear();
        self.state = State::Ground;
        if ends_in_c2 {
            self.begin(State::C2, 0xc2);
        }
    }
}
