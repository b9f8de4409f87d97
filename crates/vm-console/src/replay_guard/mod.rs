//! Keeps old questions from being answered by a new terminal.
//!
//! A log may hold sequences that ask the terminal something: where is the cursor (`ESC [6n`), what
//! are you (`ESC [c`), which colours do you use (`OSC 10;?`). A terminal that is shown them *types
//! the answer*, and on a console the answer lands in the guest, where a shell may take it for a
//! command. When the guest printed the question it had a reader; when the log is replayed hours
//! later it has none. Other sequences make a terminal send by itself from then on: the position of
//! the mouse, a notice when its window loses focus, keys in codes that a plain shell cannot read.
//!
//! [`ReplayGuard`] takes such sequences out of replayed output, for the one client that is being
//! replayed to. The log holds them still, and live output is never touched. [`SEQUENCES`] is the
//! table of them, each with its source.
//!
//! ```
//! use vm_console::replay_guard::ReplayGuard;
//!
//! let mut guard = ReplayGuard::default();
//! let mut shown = Vec::new();
//! guard.filter(b"login: \x1b[1mroot\x1b[0m\x1b[6", &mut shown);
//! guard.filter(b"n done", &mut shown);
//! guard.finish(&mut shown);
//! assert_eq!(shown, b"login: \x1b[1mroot\x1b[0m done");
//! assert_eq!(guard.removed(), 4);
//! ```
//!
//! # Nothing is hidden either
//!
//! A serial line has noise, and one wrong byte may begin a *command string*, which real terminals
//! swallow until its end comes. A kernel panic must not vanish in it. So a string that turns out to
//! be none is **given back**: it is shown as text without its introducer, and no terminal takes it
//! for a string. What becomes of a sequence depends on what introduces it:
//!
//! - `ESC P`, `ESC X`, `ESC ^`, `ESC _` (DCS, SOS, PM, APC) are known to all terminals, but for old
//!   Linux consoles. A complete string is taken out whatever it carries: it may wrap a question in
//!   another. All else is given back.
//! - `ESC ]` (OSC) is known to all, `ESC k` (a title) to tmux and GNU screen. A complete string is
//!   shown unless it asks. All else is given back.
//! - The bytes 0x90, 0x98, 0x9D, 0x9E and 0x9F alone are the same in 8 bits. They are invalid in
//!   UTF-8: xterm and tmux show the text after them. Terminals that are set to an 8-bit character
//!   set obey them, and so does rxvt-unicode in UTF-8. Their UTF-8 forms, `C2 90` and so on, are
//!   obeyed by VTE, and ignored by xterm and tmux. They are treated as those of 7 bits are.
//! - `ESC [` (CSI) is known to all. The control sequence is shown in one piece unless it asks.
//!   If something cuts it off it is taken out, since no terminal shows anything of it; if it is
//!   malformed, since terminals differ in what they take it for; beyond 256 bytes it is given back.
//! - 0x9B, alone or as `C2 9B`, is the same to VTE, the Linux console and terminals with 8 bits,
//!   and nothing to the others. If something cuts it off it is given back.
//!
//! A string is *complete* if its end comes within 4096 bytes and on the same line. 4096 bytes is
//! the most that kitty's protocols put into one string. No string that a terminal answers holds a
//! carriage return, line feed, vertical tab or form feed: ECMA-48, 5.6 would allow them, and xterm,
//! VTE and tmux swallow them, but a log consists of lines. The exception are sixels, and files,
//! pictures and clipboards in base64: these may be longer and hold newlines. They are taken out as
//! long as no other character comes.
//!
//! Its *end* is `ESC \`, for OSC also BEL, or the string terminator written as its introducer is:
//! 9C after 9D, `C2 9C` after `C2 9D`. VTE discards a string of two kinds (`src/parser.hh`), and
//! xterm in UTF-8 goes on after a lone 9C, so such a string is given back as well. Another ESC, an
//! 8-bit introducer, CAN and SUB cut a string off, and what stood before them is given back.
//!
//! # What it relies on
//!
//! The client's terminal reads UTF-8, as all do by default today, and has not been told to stop
//! (sequences that do so are in the table). A terminal that was set to an 8-bit character set takes
//! the last byte of some letters for controls: text in UTF-8 can then ask as well as it can be
//! shown, and the guard leaves it alone. Controls *outside* of letters are seen in any case.
//!
//! Resetting a mode (`CSI ? 1000 l`), popping a keyboard or title stack, and setting the clipboard
//! pass: none makes a terminal send. Modes that are taken out of a replay leave a full-screen
//! program that still runs without mouse or extended keys until it sets them again.

mod answered;
mod form;
mod introducer;
mod machine;
mod sequences;
mod state;
mod string;
mod utf8;

pub use sequences::{SEQUENCES, Sequence};

use introducer::{Coding, Introducer};
use state::{Reading, State};
use utf8::Utf8;

/// Bytes of one sequence that are held back at most, until it is known what they are.
pub const HELD_LIMIT: usize = STRING_LIMIT + 2;

const CSI_LIMIT: usize = 256;
const STRING_LIMIT: usize = 4096;

const ENQ: u8 = 0x05;
const BEL: u8 = 0x07;
const BACKSPACE: u8 = 0x08;
const CAN: u8 = 0x18;
const SUB: u8 = 0x1a;
const ESC: u8 = 0x1b;

/// A filter for replayed output. See the [module](self).
#[derive(Clone, Debug, Default)]
pub struct ReplayGuard {
    state: State,
    /// The bytes of the sequence so far, exactly as they came.
    held: Vec<u8>,
    /// Where in a character the terminal is, going by what it was *shown*: a byte after something
    /// that was taken out may complete the character before it.
    utf8: Utf8,
    removed: u64,
}

impl ReplayGuard {
    /// Appends to `shown` what of `replayed` may be shown. Sequences may be cut anywhere between
    /// two calls.
    ///
    /// Of an unfinished sequence at most [`HELD_LIMIT`] bytes are held back. A control character
    /// within a sequence is carried out first by terminals, so it is shown before the sequence.
    pub fn filter(&mut self, replayed: &[u8], shown: &mut Vec<u8>) {
        let mut rest = replayed;
        while let Some((&byte, tail)) = rest.split_first() {
            let taken = match self.state {
                State::Ground => self.pass_in_bulk(rest, shown),
                State::String(reading) => self.hold_in_bulk(rest, reading),
                _ => 0,
            };
            if taken > 0 {
                rest = &rest[taken..];
            } else {
                self.step(byte, shown);
                rest = tail;
            }
        }
    }

    /// Replay is over: gives out what was held back of a sequence that is not complete, since what
    /// completes it is live. A string that is never shown is given back as text.
    pub fn finish(&mut self, shown: &mut Vec<u8>) {
        let introducer = Introducer::of(&self.held);
        let escape = match self.state {
            State::String(reading) => reading.escape,
            State::Payload { escape } => escape,
            _ => false,
        };
        if let State::String(_) = self.state {
            if !(introducer.may_be_shown() && introducer.coding == Coding::SevenBit) {
                self.give_back(shown);
            } else if escape && introducer.asks(&self.held) {
                // Some terminals, Alacritty for one, answer at the ESC of the end already.
                self.drop_held();
            }
        }
        if !(escape && self.state == State::C2) {
            self.release_held(shown);
        }
        if escape {
            self.step(ESC, shown);
            self.release_held(shown);
        }
    }

    /// Output is missing here: a sequence that was begun is void.
    pub fn interrupt(&mut self) {
        if matches!(
            self.state,
            State::String(Reading { escape: true, .. }) | State::Payload { escape: true }
        ) {
            self.removed += 1;
        }
        self.drop_held();
        self.utf8 = Utf8::default();
    }

    /// Bytes taken out so far: what came is what was shown, what was removed and what is held.
    #[must_use]
    pub fn removed(&self) -> u64 {
        self.removed
    }

    /// Handles text and complete control sequences at the start of `rest`, which is nearly all
    /// output, without looking at each byte by itself. Returns how many bytes that were.
    fn pass_in_bulk(&mut self, rest: &[u8], shown: &mut Vec<u8>) -> usize {
        let (taken, is_shown) = if let plain @ 1.. = plain_prefix(rest) {
            (plain, true)
        } else if let Some(sequence) = complete_csi(rest) {
            (sequence.len(), !answered::is_answered_csi(&sequence[2..]))
        } else if let letters @ 1.. = letter_prefix(rest) {
            (letters, true)
        } else {
            return 0;
        };
        if is_shown {
            shown.extend_from_slice(&rest[..taken]);
            self.utf8 = Utf8::default();
        } else {
            self.removed += taken as u64;
        }
        taken
    }
}

/// How many bytes of printable ASCII and layout controls `bytes` begins with.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "a branch at each byte is what has to be spared"
)]
fn plain_prefix(bytes: &[u8]) -> usize {
    prefix(bytes, |byte| {
        is_printable(byte)
            | (byte == b'\r')
            | (byte == b'\n')
            | (byte == b'\t')
            | (byte == BACKSPACE)
    })
}

fn is_printable(byte: u8) -> bool {
    byte.wrapping_sub(b' ') <= b'~' - b' '
}

/// How many bytes `bytes` begins with that are `wanted`.
fn prefix(bytes: &[u8], wanted: impl Fn(u8) -> bool) -> usize {
    // The compiler tests all bytes of a block at once if nothing in it or in `wanted` branches,
    // neither `&&` nor `matches!`, and if bytes are collected, not truth values.
    let (blocks, _) = bytes.as_chunks::<16>();
    let unwanted = |block: &[u8; 16]| {
        let found = |found, byte: &u8| found | u8::from(!wanted(*byte));
        block.iter().fold(0, found)
    };
    let blocks = blocks.iter().take_while(|block| unwanted(block) == 0);
    let (blocks, rest) = bytes.split_at(blocks.count() * 16);
    blocks.len() + rest.iter().take_while(|byte| wanted(**byte)).count()
}

/// How many bytes of well-formed characters, no controls, `bytes` begins with. Looks at few, so
/// that bytes that are none cost little.
fn letter_prefix(bytes: &[u8]) -> usize {
    if !matches!(bytes, [0xc3..=0xf4, ..]) {
        return 0;
    }
    let near = &bytes[..bytes.len().min(64)];
    let valid = near.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    valid.find(char::is_control).unwrap_or(valid.len())
}

/// The control sequence that `bytes` begins with, if all of it is there and nothing within it.
fn complete_csi(bytes: &[u8]) -> Option<&[u8]> {
    let body = bytes.strip_prefix(&[ESC, b'['])?;
    let last = body
        .iter()
        .take(CSI_LIMIT - 2)
        .position(|byte| !matches!(byte, 0x20..=0x3f))?;
    matches!(body[last], 0x40..=0x7e).then_some(&bytes[..last + 3])
}
