//! Events of the machine and its console, each at a byte of the output.

use super::time::UnixTime;

/// The event that a mark records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum MarkKind {
    /// The machine was switched on.
    PowerOn = 1,
    /// The machine was reset, or rebooted by itself.
    Reset = 2,
    /// The machine was switched off.
    PowerOff = 3,
    /// A BREAK was sent to the guest.
    Break = 4,
    /// A client became the holder of the console.
    Attach = 5,
    /// The holder left, or was disconnected.
    Detach = 6,
    /// The holder missed bytes.
    Gap = 7,
    /// The log came from another host, or from a snapshot.
    Imported = 8,
    /// A restarted VMM took the log up again.
    Reopened = 9,
}

impl MarkKind {
    const ALL: [Self; 9] = [
        Self::PowerOn,
        Self::Reset,
        Self::PowerOff,
        Self::Break,
        Self::Attach,
        Self::Detach,
        Self::Gap,
        Self::Imported,
        Self::Reopened,
    ];

    /// The kind in the last word of a stored mark; `None` if this version does not know it.
    pub(super) fn of_word(word: u64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|&kind| kind as u64 == word & 0xff)
    }

    /// Whether the event is one of the machine or its log, and not one of the console and its
    /// users.
    pub(super) fn is_about_machine(self) -> bool {
        match self {
            Self::PowerOn | Self::Reset | Self::PowerOff | Self::Imported | Self::Reopened => true,
            Self::Break | Self::Attach | Self::Detach | Self::Gap => false,
        }
    }
}

/// One mark. A bounded number is kept: [`BootLog::MARKS`](super::BootLog::MARKS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The event.
    pub kind: MarkKind,
    /// The offset of the first byte written after the event.
    pub offset: u64,
    /// The boot that it belongs to. A power-on or reset belongs to the boot that it begins.
    pub epoch: u64,
    /// The time by the owner's clock.
    pub at: UnixTime,
}

impl Mark {
    pub(super) fn to_words(self) -> [u64; 3] {
        [
            self.offset,
            self.at.as_nanos(),
            (self.epoch << 8) | self.kind as u64,
        ]
    }

    /// `None` for a kind that this version does not know.
    pub(super) fn from_words([offset, at, what]: [u64; 3]) -> Option<Self> {
        Some(Self {
            kind: MarkKind::of_word(what)?,
            offset,
            epoch: what >> 8,
            at: UnixTime::from_nanos(at),
        })
    }
}
