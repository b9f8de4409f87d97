//! Keeps old questions from being answered by a new terminal.
//!
//! A log may hold sequences that ask the terminal something: where is the cursor (`ESC [6n`), what are you (`ESC [c`),
//! which colours do you use (`OSC 10;?`). A terminal that is shown them *types the answer*, and on a console the answer
//! lands in the guest, where a shell may take it for a command. When the guest printed the question it had a reader; when
//! the log is replayed hours later it has none.
//!
//! [`ReplayGuard`] takes such sequences out of replayed output, for the one client that is being replayed to. The log
//! holds them still, and live output is never touched.
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
//! ```
//!
//! # What is taken out
//!
//! | sequence | question |
//! |---|---|
//! | `ENQ`; `ESC Z`, C1 `0x9A` | answerback, identify |
//! | `CSI … c` | device attributes, primary to tertiary |
//! | `CSI … n` | status and cursor position reports |
//! | `CSI … x` | terminal parameters |
//! | `CSI 11 t` to `CSI 21 t` | window reports (pushing and popping titles stays) |
//! | `CSI … $ p`, `CSI … $ u`, `CSI … $ w`, `CSI … " v`, `CSI … & u`, `CSI … * y` | mode, state and checksum reports |
//! | `CSI ? … u`, `CSI ? … m`, `CSI ? … S`, `CSI > … q` | keyboard, graphics and version queries |
//! | `CSI … # …`, `CSI … ' …` | xterm's stack reports, locator requests |
//! | `CSI ? … h` with 1004, 2031 or 2048 | modes whose setting makes a terminal report at once |
//! | OSC with a field that begins with `?`, iTerm2's `Report…` and `Request…` | colours, clipboard, fonts, cell size |
//! | every DCS, APC, PM and SOS | `DCS $ q`, `DCS + q` (XTGETTCAP), graphics probes, and wrappers that hide others in them |
//!
//! 8-bit controls (`0x9B` for `ESC [`) count where they are not part of a UTF-8 character, and so does their UTF-8 form
//! (`C2 9B`). A sequence that is cut off by another or grows beyond its bound (256 bytes for CSI, 1024 for OSC) is
//! taken out: no terminal shows anything for it. State is bounded by these same numbers.

const CSI_LIMIT: usize = 256;
const OSC_LIMIT: usize = 1024;

const ENQ: u8 = 0x05;
const BEL: u8 = 0x07;
const CAN: u8 = 0x18;
const SUB: u8 = 0x1a;
const ESC: u8 = 0x1b;

/// A filter for replayed output. See the [module](self).
#[derive(Clone, Debug, Default)]
pub struct ReplayGuard {
    state: State,
    /// The bytes of the sequence so far, exactly as they came.
    held: Vec<u8>,
    /// Continuation bytes that a terminal still expects of a UTF-8 character, going by what it was *shown*: a byte after
    /// a sequence that was taken out may complete the character before it.
    utf8_left: u8,
    /// The sequence in `held` has outgrown its bound: it will be dropped.
    oversize: bool,
    removed: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// After `C2`, which may begin an 8-bit control or a letter.
    C2,
    /// After ESC, intermediates included.
    Escape,
    Csi,
    /// In an OSC; whether an ESC was just seen, which may begin its end.
    Osc {
        escape: bool,
    },
    /// In a DCS, APC, PM or SOS, all of which are dropped.
    Dropped {
        escape: bool,
    },
}

impl ReplayGuard {
    /// Appends to `shown` what of `replayed` may be shown. Sequences may be cut anywhere between two calls.
    pub fn filter(&mut self, replayed: &[u8], shown: &mut Vec<u8>) {
        let mut rest = replayed;
        while let Some((&byte, tail)) = rest.split_first() {
            if self.state == State::Ground && self.utf8_left == 0 {
                // The common case in bulk: printable ASCII and the layout controls need no thought.
                let plain = rest.iter().take_while(|b| is_plain(**b)).count();
                shown.extend_from_slice(&rest[..plain]);
                rest = &rest[plain..];
                if plain > 0 {
                    continue;
                }
            }
            self.step(byte, shown);
            rest = tail;
        }
    }

    /// Replay is over: gives out what was held back of a sequence that is not complete, since what completes it is live.
    pub fn finish(&mut self, shown: &mut Vec<u8>) {
        if self.oversize {
            self.drop_held();
        }
        shown.append(&mut self.held);
        if matches!(
            self.state,
            State::Osc { escape: true } | State::Dropped { escape: true }
        ) {
            shown.push(ESC);
        }
        self.reset();
    }

    /// Output is missing here: a sequence that was begun is void.
    pub fn interrupt(&mut self) {
        self.drop_held();
        self.reset();
    }

    /// Bytes taken out so far.
    #[must_use]
    pub fn removed(&self) -> u64 {
        self.removed
    }

    fn reset(&mut self) {
        self.state = State::Ground;
        self.held.clear();
        self.utf8_left = 0;
        self.oversize = false;
    }

    fn drop_held(&mut self) {
        self.removed += self.held.len() as u64;
        self.held.clear();
        self.oversize = false;
        self.state = State::Ground;
    }

    fn release_held(&mut self, shown: &mut Vec<u8>) {
        if self.oversize {
            self.drop_held();
        } else {
            shown.append(&mut self.held);
            self.state = State::Ground;
            self.utf8_left = 0;
        }
    }

    fn begin(&mut self, state: State, byte: u8) {
        self.held.push(byte);
        self.state = state;
    }

    /// Adds to the sequence, or only counts what is beyond its bound.
    fn hold(&mut self, byte: u8, limit: usize) {
        if self.held.len() < limit {
            self.held.push(byte);
        } else {
            self.oversize = true;
            self.removed += 1;
        }
    }

    fn step(&mut self, byte: u8, shown: &mut Vec<u8>) {
        match self.state {
            State::Ground => self.ground(byte, shown),
            State::C2 => self.after_c2(byte, shown),
            State::Escape => self.escape(byte, shown),
            State::Csi => self.csi(byte, shown),
            State::Osc { escape } => self.osc(byte, escape, shown),
            State::Dropped { escape } => self.dropped(byte, escape, shown),
        }
    }

    fn ground(&mut self, byte: u8, shown: &mut Vec<u8>) {
        if self.utf8_left > 0 && (0x80..0xc0).contains(&byte) {
            self.utf8_left -= 1;
            shown.push(byte);
            return;
        }
        match byte {
            ENQ => self.removed += 1,
            ESC => self.begin(State::Escape, byte),
            0xc2 => self.begin(State::C2, byte),
            0x80..=0x9f => {
                self.held.push(byte);
                self.c1(byte, shown);
            }
            _ => {
                self.utf8_left = match byte {
                    0xc3..=0xdf => 1,
                    0xe0..=0xef => 2,
                    0xf0..=0xf4 => 3,
                    _ => 0,
                };
                shown.push(byte);
            }
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
            0x00..=0x7f if byte != ESC && byte != ENQ => {
                self.release_held(shown);
                self.ground(byte, shown);
            }
            // It may not be shown alone: what comes after something taken out could make it a control.
            _ => {
                self.drop_held();
                self.ground(byte, shown);
            }
        }
    }

    /// An 8-bit control, its bytes held already.
    fn c1(&mut self, byte: u8, shown: &mut Vec<u8>) {
        match byte {
            0x9b => self.state = State::Csi,
            0x9d => self.state = State::Osc { escape: false },
            0x90 | 0x98 | 0x9e | 0x9f => self.begin_dropped(),
            0x9a => self.drop_held(),
            _ => self.release_held(shown),
        }
    }

    fn begin_dropped(&mut self) {
        self.drop_held();
        self.state = State::Dropped { escape: false };
    }

    fn escape(&mut self, byte: u8, shown: &mut Vec<u8>) {
        match byte {
            ESC | CAN | SUB | 0x80.. => self.cut_off_by(byte, shown),
            b'[' if self.held.len() == 1 => self.begin(State::Csi, byte),
            b']' if self.held.len() == 1 => self.begin(State::Osc { escape: false }, byte),
            b'P' | b'X' | b'^' | b'_' if self.held.len() == 1 => {
                self.held.push(byte);
                self.begin_dropped();
            }
            b'Z' if self.held.len() == 1 => {
                self.held.push(byte);
                self.drop_held();
            }
            0x20..=0x2f => self.hold(byte, CSI_LIMIT),
            0x00..=0x1f | 0x7f => self.execute(byte, shown),
            0x30..=0x7e => {
                self.hold(byte, CSI_LIMIT);
                self.release_held(shown);
            }
        }
    }

    fn csi(&mut self, byte: u8, shown: &mut Vec<u8>) {
        match byte {
            ESC | CAN | SUB | 0x80.. => self.cut_off_by(byte, shown),
            0x00..=0x1f | 0x7f => self.execute(byte, shown),
            0x20..=0x3f => self.hold(byte, CSI_LIMIT),
            0x40..=0x7e => {
                self.hold(byte, CSI_LIMIT);
                let body = self
                    .held
                    .iter()
                    .position(|b| matches!(b, b'[' | 0x9b))
                    .map_or(0, |at| at + 1);
                if is_csi_query(&self.held[body..]) {
                    self.drop_held();
                } else {
                    self.release_held(shown);
                }
            }
        }
    }

    fn osc(&mut self, byte: u8, escape: bool, shown: &mut Vec<u8>) {
        match byte {
            b'\\' if escape => {
                self.hold(ESC, OSC_LIMIT);
                self.end_osc(byte, shown);
            }
            _ if escape => {
                // The ESC was not the end but a new sequence that cut the string off.
                self.drop_held();
                self.begin(State::Escape, ESC);
                self.step(byte, shown);
            }
            BEL => self.end_osc(byte, shown),
            0x9c if self.ends_without_utf8() => self.end_osc(byte, shown),
            ESC => self.state = State::Osc { escape: true },
            CAN | SUB => self.cut_off_by(byte, shown),
            _ => self.hold(byte, OSC_LIMIT),
        }
    }

    /// Whether a byte 0x9C here is the 8-bit string terminator rather than the tail of a character.
    fn ends_without_utf8(&self) -> bool {
        match self.held.last() {
            Some(0xc2) | None => true,
            Some(last) => *last < 0x80,
        }
    }

    fn end_osc(&mut self, byte: u8, shown: &mut Vec<u8>) {
        self.hold(byte, OSC_LIMIT);
        if is_osc_query(&self.held) {
            self.drop_held();
        } else {
            self.release_held(shown);
        }
    }

    fn dropped(&mut self, byte: u8, escape: bool, shown: &mut Vec<u8>) {
        match byte {
            b'\\' if escape => {
                self.removed += 2;
                self.state = State::Ground;
            }
            _ if escape => {
                self.state = State::Ground;
                self.begin(State::Escape, ESC);
                self.step(byte, shown);
            }
            ESC => self.state = State::Dropped { escape: true },
            0x9c | CAN | SUB => {
                self.removed += 1;
                self.state = State::Ground;
            }
            _ => self.removed += 1,
        }
    }

    /// A control character within a sequence is carried out at once and the sequence goes on.
    fn execute(&mut self, byte: u8, shown: &mut Vec<u8>) {
        if byte == ENQ {
            self.removed += 1;
        } else {
            shown.push(byte);
            self.utf8_left = 0;
        }
    }

    fn cut_off_by(&mut self, byte: u8, shown: &mut Vec<u8>) {
        self.drop_held();
        match byte {
            CAN | SUB => self.removed += 1,
            _ => self.ground(byte, shown),
        }
    }
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e | b'\r' | b'\n' | b'\t' | 0x08)
}

/// `body` is what follows the introducer, final byte included.
fn is_csi_query(body: &[u8]) -> bool {
    let Some((&last, front)) = body.split_last() else {
        return false;
    };
    let parameters = front
        .iter()
        .take_while(|b| (0x30..0x40).contains(*b))
        .count();
    let (parameters, intermediates) = front.split_at(parameters);
    let private = parameters
        .first()
        .copied()
        .filter(|b| matches!(b, b'<'..=b'?'));
    let numbers = || {
        let digits = if private.is_some() {
            &parameters[1..]
        } else {
            parameters
        };
        digits.split(|b| matches!(b, b';' | b':')).map(|number| {
            number.iter().fold(0u32, |n, d| {
                n.saturating_mul(10)
                    .saturating_add(u32::from(d.saturating_sub(b'0')))
            })
        })
    };
    match intermediates {
        b"" => match (private, last) {
            (_, b'c' | b'n' | b'x') | (Some(b'?'), b'u' | b'm' | b'S') | (Some(b'>'), b'q') => true,
            (_, b't') => numbers()
                .next()
                .is_some_and(|first| (11..=21).contains(&first)),
            (Some(b'?'), b'h') => numbers().any(|mode| matches!(mode, 1004 | 2031 | 2048)),
            _ => false,
        },
        b"$" => matches!(last, b'p' | b'u' | b'w'),
        b"\"" => last == b'v',
        b"&" => matches!(last, b'u' | b'w'),
        b"*" => last == b'y',
        b"#" | b"'" => true,
        _ => false,
    }
}

fn is_osc_query(sequence: &[u8]) -> bool {
    let asks = sequence
        .windows(2)
        .any(|pair| matches!(pair, [b';' | b'=', b'?']));
    let contains = |needle: &[u8]| {
        sequence
            .windows(needle.len())
            .any(|w| w.eq_ignore_ascii_case(needle))
    };
    let iterm = contains(b"]1337;") || contains(b"\x9d1337;");
    asks || iterm && (contains(b"report") || contains(b"request") || contains(b"capabilities"))
}
