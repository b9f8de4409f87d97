//! What introduces a sequence, and how that is written.

use super::answered::is_answered_osc;
use super::{BEL, ESC};

/// How a control function above 0x7F is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// ESC and a letter. All terminals know it.
    SevenBit,
    /// The UTF-8 form of the 8-bit control, `C2 9B`. VTE obeys it; xterm and tmux show nothing.
    Utf8,
    /// The 8-bit control alone. It is no UTF-8, so most terminals show a replacement character;
    /// those that are set to an 8-bit character set obey it.
    Single,
}

/// What opens a sequence, read from its first bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Introducer {
    pub(super) coding: Coding,
    /// The letter after ESC, or the one that the 8-bit control stands for.
    pub(super) kind: u8,
    /// In bytes.
    pub(super) len: usize,
}

impl Introducer {
    pub(super) fn of(sequence: &[u8]) -> Self {
        let (coding, kind, len) = match *sequence {
            [ESC, kind @ 0x30..=0x7e, ..] => (Coding::SevenBit, kind, 2),
            [ESC, ..] | [] => (Coding::SevenBit, ESC, sequence.len().min(1)),
            [0xc2, control, ..] => (Coding::Utf8, letter(control), 2),
            [control, ..] => (Coding::Single, letter(control), 1),
        };
        Self { coding, kind, len }
    }

    /// Whether such a string may be shown if it asks nothing: a title, a link, a colour. The others
    /// are never shown: what they carry is for one terminal to understand, and may ask.
    pub(super) fn may_be_shown(self) -> bool {
        matches!(self.kind, b']' | b'k')
    }

    /// Whether a terminal answers the string that begins so, given without its end.
    pub(super) fn asks(self, string: &[u8]) -> bool {
        self.kind == b']' && is_answered_osc(&string[self.len..])
    }

    /// Whether every terminal that takes this introducer for one takes `end` for the end.
    ///
    /// VTE discards a string whose two ends are written differently, others go on until they see
    /// an end they know; so such a string has no end that can be relied upon.
    pub(super) fn is_ended_by(self, end: &[u8]) -> bool {
        match *end {
            [ESC, _] => true,
            [BEL] => self.kind == b']',
            [_] => self.coding == Coding::Single,
            _ => self.coding == Coding::Utf8,
        }
    }
}

/// ECMA-48, 5.3: ESC and 4/x to 5/x is the 8-bit control 8/x to 9/x.
fn letter(control: u8) -> u8 {
    control.wrapping_sub(0x40)
}
