//! The line format of the traces: one operation a line.

use std::fmt;
use std::io::{self, BufRead, Read};

/// The operation on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// `w OFF VAL`
    Write { offset: u8, value: u8 },
    /// `r OFF [VAL]`
    Read { offset: u8 },
    /// `d HEX`: bytes enter the receiver.
    Receive(Vec<u8>),
    /// `d B`: a received break.
    ReceiveBreak,
    /// `i HEX`: the host offers these bytes. A later `d` says which of them enter the receiver.
    Offer(Vec<u8>),
    /// `b`: the host offers a break.
    OfferBreak,
    /// `s NS`
    Advance(u64),
    /// `q [0|1]`
    Level,
    /// `e [N]`
    Edges,
    /// `o [HEX|-]`
    Sent,
    /// `R system`
    Reset,
    /// `R fresh`
    PowerCycle,
    /// A comment or an empty line: nothing happens.
    Nothing,
}

/// An answer of the chip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// To `r`: the register's value.
    Register(u8),
    /// To `q`: the level of the interrupt line.
    Level(bool),
    /// To `e`: rising edges of that line since the last `e`.
    Edges(u64),
    /// To `o`: the bytes that left the transmitter since the last `o`.
    Sent(Vec<u8>),
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Register(value) => write!(f, "{value:02x}"),
            Self::Level(level) => write!(f, "{}", u8::from(*level)),
            Self::Edges(count) => write!(f, "{count}"),
            Self::Sent(bytes) if bytes.is_empty() => f.write_str("-"),
            Self::Sent(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

/// Something that can be driven by a script: our device, or a model of another.
pub(crate) trait Chip {
    /// Does one operation. Those that ask ([`Op::asks`]) give an answer, and no others do.
    fn apply(&mut self, op: &Op) -> Option<Answer>;
}

impl Op {
    /// Whether this operation has an answer.
    pub(crate) fn asks(&self) -> bool {
        matches!(
            self,
            Self::Read { .. } | Self::Level | Self::Edges | Self::Sent
        )
    }

    /// Writes the operation with the answer as a line of the format.
    pub(crate) fn with_answer(&self, answer: &Answer) -> String {
        match self {
            Self::Read { offset } => format!("r {offset} {answer}"),
            Self::Level => format!("q {answer}"),
            Self::Edges => format!("e {answer}"),
            Self::Sent => format!("o {answer}"),
            other => unreachable!("{other:?} asks nothing"),
        }
    }
}

/// Why a line cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    Unknown(String),
    Missing(&'static str),
    Extra(String),
    Offset(String),
    Byte(String),
    Bytes(String),
    Number(String),
    Level(String),
    Reset(String),
    NotText,
    TooLong,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(word) => write!(
                f,
                "unknown operation `{word}`; there are w r d i b s q e o R #"
            ),
            Self::Missing(what) => write!(f, "{what} is missing"),
            Self::Extra(word) => write!(f, "`{word}` is one word too many"),
            Self::Offset(word) => write!(f, "`{word}` is no register offset; they are 0 to 7"),
            Self::Byte(word) => write!(f, "`{word}` is no byte; write two hex digits"),
            Self::Bytes(word) => write!(
                f,
                "`{word}` is no run of bytes; write two hex digits for each"
            ),
            Self::Number(word) => write!(f, "`{word}` is no decimal number below 2^64"),
            Self::Level(word) => write!(f, "`{word}` is no level; write 0 or 1"),
            Self::Reset(word) => write!(f, "`{word}` is no reset; there are `system` and `fresh`"),
            Self::NotText => f.write_str("not text; a trace holds one operation a line"),
            Self::TooLong => write!(f, "longer than {LONGEST_LINE} bytes"),
        }
    }
}

impl std::error::Error for Malformed {}

/// The longest line that is accepted, in bytes.
const LONGEST_LINE: usize = 1 << 20;

/// Reads the next line; of an endless line only so much that it is found too long. False at the
/// end.
pub(crate) fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut reader = reader.take(LONGEST_LINE as u64 + 1);
    Ok(reader.read_until(b'\n', line)? > 0)
}

/// Parses one line: the operation and, where the line gives it, the recorded answer.
pub(crate) fn parse(line: &[u8]) -> Result<(Op, Option<Answer>), Malformed> {
    if line.len() > LONGEST_LINE {
        return Err(Malformed::TooLong);
    }
    let line = std::str::from_utf8(line).map_err(|_| Malformed::NotText)?;
    if line.contains('\0') {
        return Err(Malformed::NotText);
    }
    let mut words = line.split_ascii_whitespace();
    let Some(verb) = words.next() else {
        return Ok((Op::Nothing, None));
    };
    if verb.starts_with('#') {
        return Ok((Op::Nothing, None));
    }
    let parsed = match verb {
        "w" => {
            let offset = offset(words.next())?;
            let value = byte(words.next().ok_or(Malformed::Missing("the value"))?)?;
            (Op::Write { offset, value }, None)
        }
        "r" => {
            let offset = offset(words.next())?;
            (
                Op::Read { offset },
                words.next().map(byte).transpose()?.map(Answer::Register),
            )
        }
        "d" => match words.next().ok_or(Malformed::Missing("what is received"))? {
            "B" => (Op::ReceiveBreak, None),
            hex => (Op::Receive(bytes(hex)?), None),
        },
        "i" => (
            Op::Offer(bytes(
                words.next().ok_or(Malformed::Missing("what is offered"))?,
            )?),
            None,
        ),
        "b" => (Op::OfferBreak, None),
        "s" => (
            Op::Advance(number(words.next().ok_or(Malformed::Missing("the time"))?)?),
            None,
        ),
        "q" => (
            Op::Level,
            words.next().map(level).transpose()?.map(Answer::Level),
        ),
        "e" => (
            Op::Edges,
            words.next().map(number).transpose()?.map(Answer::Edges),
        ),
        "o" => {
            let sent = match words.next() {
                None => None,
                Some("-") => Some(Vec::new()),
                Some(hex) => Some(bytes(hex)?),
            };
            (Op::Sent, sent.map(Answer::Sent))
        }
        "R" => match words
            .next()
            .ok_or(Malformed::Missing("the kind of reset"))?
        {
            "system" => (Op::Reset, None),
            "fresh" => (Op::PowerCycle, None),
            other => return Err(Malformed::Reset(other.to_owned())),
        },
        other => return Err(Malformed::Unknown(other.to_owned())),
    };
    match words.next() {
        Some(extra) => Err(Malformed::Extra(extra.to_owned())),
        None => Ok(parsed),
    }
}

fn offset(word: Option<&str>) -> Result<u8, Malformed> {
    let word = word.ok_or(Malformed::Missing("the register offset"))?;
    match word.as_bytes() {
        [digit @ b'0'..=b'7'] => Ok(digit - b'0'),
        _ => Err(Malformed::Offset(word.to_owned())),
    }
}

fn byte(word: &str) -> Result<u8, Malformed> {
    match bytes(word) {
        Ok(one) if one.len() == 1 => Ok(one[0]),
        _ => Err(Malformed::Byte(word.to_owned())),
    }
}

fn bytes(word: &str) -> Result<Vec<u8>, Malformed> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = word.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some((digit(*high)? << 4 | digit(*low)?) as u8),
        _ => None,
    });
    pairs
        .collect::<Option<Vec<u8>>>()
        .ok_or_else(|| Malformed::Bytes(word.to_owned()))
}

fn number(word: &str) -> Result<u64, Malformed> {
    word.parse().map_err(|_| Malformed::Number(word.to_owned()))
}

fn level(word: &str) -> Result<bool, Malformed> {
    match word {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(Malformed::Level(word.to_owned())),
    }
}
