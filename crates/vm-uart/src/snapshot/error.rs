//! Why a snapshot was refused.

use core::fmt;

use super::Snapshot;

/// Why a snapshot was refused. A refused restore changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Taken by a version of this crate that this one does not know.
    UnknownVersion {
        /// The version it states.
        found: u16,
    },
    /// The number of bytes is not that of the layout.
    WrongLength {
        /// The number of bytes given.
        found: usize,
    },
    /// A field holds a value that no chip with this [`Config`](crate::Config) can hold: the
    /// snapshot is damaged, or was taken under another configuration.
    Impossible {
        /// The field of [`Snapshot`].
        field: &'static str,
        /// The value it holds.
        value: u64,
        /// The values it may hold.
        expected: &'static str,
    },
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownVersion { found } => write!(
                f,
                "serial port snapshot has version {found}, this program knows {}: restore it with \
                 the program that took it, or a newer one",
                Snapshot::VERSION
            ),
            Self::WrongLength { found } => {
                write!(
                    f,
                    "serial port snapshot is {found} bytes long, expected {}",
                    Snapshot::SIZE
                )
            }
            Self::Impossible {
                field,
                value,
                expected,
            } => write!(
                f,
                "serial port snapshot: {field} is {value:#x}, expected {expected}: it is damaged, \
                 or was taken from a port with another configuration"
            ),
        }
    }
}

impl core::error::Error for SnapshotError {}
