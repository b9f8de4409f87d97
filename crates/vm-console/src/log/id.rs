//! Which log it is: an identity that tells one log's offsets from another's.

use std::fmt;
use std::num::NonZero;
use std::sync::atomic::Ordering::Relaxed;

use rustix::io::retry_on_intr;
use rustix::rand::{GetRandomFlags, getrandom};

use super::error::LogError;
use super::layout::{at, check_sum};
use super::protocol::{Cells, Seal};

/// The identity of a log: 128 random bits, drawn when the log is made.
///
/// An offset means something only together with the log it counts in. A client that wants to resume
/// later keeps both, and compares the identity before it trusts the offset. A log keeps its
/// identity when a file is opened again and when it moves to another host as a
/// [`LogImage`](super::LogImage).
///
/// Shown as 32 hexadecimal digits.
///
/// ```
/// use vm_console::{BootLog, LogConfig, LogId};
///
/// let (_, one) = BootLog::in_memory(LogConfig::default())?;
/// let (_, other) = BootLog::in_memory(LogConfig::default())?;
/// assert_ne!(one.id(), other.id());
/// let id = LogId::new(0xc0ffee).unwrap();
/// assert_eq!(id.to_string(), "00000000000000000000000000c0ffee");
/// # Ok::<(), vm_console::LogError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogId(NonZero<u128>);

impl LogId {
    /// The identity with this value. `None` for 0, which means "no identity" wherever one is
    /// stored.
    #[must_use]
    pub const fn new(value: u128) -> Option<Self> {
        match NonZero::new(value) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// Its value.
    #[must_use]
    pub const fn get(self) -> u128 {
        self.0.get()
    }

    /// A new one, from the kernel's random numbers.
    pub(super) fn random() -> Result<Self, LogError> {
        let mut bytes = [0; 16];
        // The kernel never returns a part of so few bytes.
        retry_on_intr(|| getrandom(&mut bytes, GetRandomFlags::empty()))
            .map_err(|e| LogError::io("get random numbers for its identity", e))?;
        let value = NonZero::new(u128::from_le_bytes(bytes));
        Ok(Self(value.unwrap_or(NonZero::<u128>::MAX)))
    }

    /// Its value; 0 for `None`.
    pub(super) fn to_value(id: Option<Self>) -> u128 {
        id.map_or(0, Self::get)
    }

    /// The low and the high half; zeros for `None`.
    pub(super) fn to_words(id: Option<Self>) -> [u64; 2] {
        let value = Self::to_value(id);
        [value as u64, (value >> 64) as u64]
    }

    pub(super) fn from_words([low, high]: [u64; 2]) -> Option<Self> {
        Self::new(u128::from(high) << 64 | u128::from(low))
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.get())
    }
}

/// The identity as the header has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// An older version made the log, or its maker was killed before the identity was whole.
    None,
    Id(LogId),
    /// It does not match its check sum, which is this.
    Damaged(u64),
}

/// The check sum guards the identity and is stored last, so half an identity is never taken for a
/// whole one.
const SEAL: Seal = Seal { at: at::ID_CHECK };

fn seal_number(words: [u64; 2]) -> u64 {
    let bytes = words.map(u64::to_le_bytes);
    // Never 0, which means that there is none.
    check_sum(bytes.as_flattened()) | 1
}

/// Reads the identity; `None` while the writer is storing it.
pub(super) fn load<C: Cells>(cells: &C) -> Stored {
    let number = SEAL.number(cells);
    let words = [at::ID, at::ID + 8].map(|at| cells.load(at, Relaxed));
    if number == 0 || !SEAL.holds(cells, number) {
        return Stored::None;
    }
    match LogId::from_words(words) {
        Some(id) if number == seal_number(words) => Stored::Id(id),
        _ => Stored::Damaged(number),
    }
}

/// Stores the identity. Only the one writer calls it.
pub(super) fn store<C: Cells>(cells: &C, id: LogId) {
    let words = LogId::to_words(Some(id));
    SEAL.open(cells);
    for (at, word) in [at::ID, at::ID + 8].into_iter().zip(words) {
        cells.store(at, word, Relaxed);
    }
    SEAL.close(cells, seal_number(words));
}
