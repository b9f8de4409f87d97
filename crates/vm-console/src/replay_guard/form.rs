//! The forms that sequences have, and whether one fits.

/// What the sequences of one row have in common.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// A single control character, C0 or C1.
    Control,
    /// ESC and bytes that begin with these.
    Escape(&'static [u8]),
    /// A control sequence: its private marker, parameters, intermediate bytes and final byte.
    Csi(Private, Parameters, Intermediates, u8),
    /// An operating system command: its number and what follows.
    Osc(Number, Body),
    /// A command string that is never let through: DCS, SOS, PM or APC.
    Command,
}

/// The byte `<`, `=`, `>` or `?` before the parameters of a control sequence.
#[derive(Clone, Copy, Debug)]
pub(super) enum Private {
    /// With any of them or without.
    Any,
    /// Without.
    None,
    Is(u8),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Parameters {
    Any,
    /// One of them is this.
    Include(u32),
    /// One of them lies between these two.
    IncludeWithin(u32, u32),
    /// The first lies between these two.
    FirstWithin(u32, u32),
    /// This one, counted from 0, is there and not zero: zero turns the thing off.
    NotZero(usize),
    /// There are so many at least.
    AtLeast(usize),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Intermediates {
    /// Any or none: a terminal that knows none may leave them out of account.
    Any,
    Are(&'static [u8]),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Any,
    Is(u32),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Body {
    Any,
    /// A field that begins with a question mark.
    Asks,
    /// Contains this, letter case aside.
    Contains(&'static [u8]),
}

/// The digits of `field` as a number. A terminal may let a long one overflow, so this does as well.
pub(super) fn number(field: &[u8]) -> u32 {
    field
        .iter()
        .filter(|byte| byte.is_ascii_digit())
        .fold(0, |number: u32, digit| {
            number
                .wrapping_mul(10)
                .wrapping_add(u32::from(digit - b'0'))
        })
}

/// Whether `number` is `wanted` for a terminal that keeps 32 bits of it, or for one that keeps 16.
fn is(number: u32, wanted: u32) -> bool {
    number == wanted || number & 0xffff == wanted
}

fn within(number: u32, low: u32, high: u32) -> bool {
    (low..=high).contains(&number) || (low..=high).contains(&(number & 0xffff))
}

impl Private {
    pub(super) fn fits(self, marker: Option<u8>) -> bool {
        match self {
            Self::Any => true,
            Self::None => marker.is_none(),
            Self::Is(wanted) => marker == Some(wanted),
        }
    }
}

impl Parameters {
    pub(super) fn fits(self, numbers: &[u32]) -> bool {
        match self {
            Self::Any => true,
            Self::Include(wanted) => numbers.iter().any(|number| is(*number, wanted)),
            Self::IncludeWithin(low, high) => {
                numbers.iter().any(|number| within(*number, low, high))
            }
            Self::FirstWithin(low, high) => within(numbers[0], low, high),
            Self::NotZero(at) => numbers.get(at).is_some_and(|number| *number != 0),
            Self::AtLeast(count) => numbers.len() >= count,
        }
    }
}

impl Intermediates {
    pub(super) fn fits(self, intermediates: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Are(wanted) => intermediates == wanted,
        }
    }
}

impl Number {
    pub(super) fn fits(self, number: u32) -> bool {
        match self {
            Self::Any => true,
            Self::Is(wanted) => is(number, wanted),
        }
    }
}

impl Body {
    pub(super) fn fits(self, body: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Asks => body
                .windows(2)
                .any(|pair| matches!(pair, [b';' | b'=', b'?'])),
            Self::Contains(wanted) => body
                .windows(wanted.len())
                .any(|part| part.eq_ignore_ascii_case(wanted)),
        }
    }
}
