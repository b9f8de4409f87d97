//! Whether a terminal answers a sequence: whether some row of the table fits.

use super::form::{Form, Intermediates, Private, number};
use super::sequences::SEQUENCES;

/// Whether a terminal answers the escape sequence, ESC included. One that keeps only the first
/// intermediate byte leaves further ones out of account.
pub(super) fn is_answered_escape(sequence: &[u8]) -> bool {
    let rest = sequence.get(1..).unwrap_or_default();
    let ends = |bytes: &[u8]| (bytes.first().copied(), bytes.last().copied());
    SEQUENCES.iter().any(|row| {
        matches!(row.form, Form::Escape(begin) if rest.starts_with(begin) || ends(rest) == ends(begin))
    })
}

/// Whether a terminal answers the control sequence, given without its introducer, or whether it is
/// so malformed that terminals may differ in what they take it for.
pub(super) fn is_answered_csi(body: &[u8]) -> bool {
    let Some(csi) = Csi::parse(body) else {
        return true;
    };
    let Some(rows) = ROWS_BY_FINAL.get(usize::from(csi.last)).copied() else {
        return false;
    };
    if rows == 0 || csi.is_plain() && PLAIN_FINALS >> csi.last & 1 == 0 {
        return false;
    }
    let Some(numbers) = Numbers::read(csi.parameters) else {
        return true;
    };
    forms(rows).any(|form| match form {
        Form::Csi(private, parameters, intermediates, _) => {
            private.fits(csi.private)
                && parameters.fits(numbers.as_slice())
                && intermediates.fits(csi.intermediates)
        }
        _ => false,
    })
}

/// Whether a terminal answers the operating system command, given without introducer and end.
pub(super) fn is_answered_osc(body: &[u8]) -> bool {
    let border = body.iter().position(|byte| *byte == b';');
    let number = number(&body[..border.unwrap_or(body.len())]);
    forms(OSC_ROWS).any(|form| match form {
        Form::Osc(wanted, part) => wanted.fits(number) && part.fits(body),
        _ => false,
    })
}

/// The forms of the rows whose bits are set.
fn forms(mut rows: u128) -> impl Iterator<Item = &'static Form> {
    std::iter::from_fn(move || {
        let at = rows.trailing_zeros() as usize;
        rows &= rows.wrapping_sub(1);
        SEQUENCES.get(at).map(|row| &row.form)
    })
}

/// One bit for each row that is an operating system command.
const OSC_ROWS: u128 = {
    let mut rows = 0;
    let mut at = 0;
    while at < SEQUENCES.len() {
        if let Form::Osc(..) = SEQUENCES[at].form {
            rows |= 1 << at;
        }
        at += 1;
    }
    rows
};

/// For each final byte, one bit for each row of the table that has it.
const ROWS_BY_FINAL: [u128; 128] = {
    assert!(SEQUENCES.len() <= 128, "one bit for each row");
    let mut rows = [0; 128];
    let mut at = 0;
    while at < SEQUENCES.len() {
        if let Form::Csi(_, _, _, last) = SEQUENCES[at].form {
            rows[last as usize] |= 1 << at;
        }
        at += 1;
    }
    rows
};

/// Final bytes of the rows that fit control sequences without private marker and intermediate
/// bytes, one bit each: nearly all control sequences are of this kind, and ask nothing.
const PLAIN_FINALS: u128 = {
    let mut finals = 0;
    let mut at = 0;
    while at < SEQUENCES.len() {
        if let Form::Csi(
            Private::Any | Private::None,
            _,
            Intermediates::Any | Intermediates::Are([]),
            last,
        ) = SEQUENCES[at].form
        {
            finals |= 1 << last;
        }
        at += 1;
    }
    finals
};

struct Csi<'a> {
    private: Option<u8>,
    parameters: &'a [u8],
    intermediates: &'a [u8],
    last: u8,
}

impl<'a> Csi<'a> {
    /// ECMA-48, 5.4: parameter bytes, intermediate bytes, a final byte. DEC puts a private marker
    /// first, and nowhere else. Of two intermediate bytes, which no sequence in use has, a terminal
    /// may keep either.
    fn parse(body: &'a [u8]) -> Option<Self> {
        let (&last, front) = body.split_last()?;
        let (private, front) = match front.split_first() {
            Some((marker @ b'<'..=b'?', rest)) => (Some(*marker), rest),
            _ => (None, front),
        };
        let border = front.iter().position(|byte| !matches!(byte, b'0'..=b';'));
        let (parameters, intermediates) = front.split_at(border.unwrap_or(front.len()));
        matches!(intermediates, [] | [0x20..=0x2f]).then_some(Self {
            private,
            parameters,
            intermediates,
            last,
        })
    }

    fn is_plain(&self) -> bool {
        self.private.is_none() && self.intermediates.is_empty()
    }
}

/// The parameters of a control sequence as numbers.
struct Numbers {
    numbers: [u32; Self::LIMIT],
    count: usize,
}

impl Numbers {
    /// No terminal reads more than some thirty (xterm 30, VTE 32).
    const LIMIT: usize = 32;

    /// `None` if there are more than terminals read.
    fn read(parameters: &[u8]) -> Option<Self> {
        let mut numbers = [0; Self::LIMIT];
        let mut count = 0;
        for field in parameters.split(|byte| matches!(byte, b';' | b':')) {
            *numbers.get_mut(count)? = number(field);
            count += 1;
        }
        Some(Self { numbers, count })
    }

    fn as_slice(&self) -> &[u32] {
        &self.numbers[..self.count]
    }
}
