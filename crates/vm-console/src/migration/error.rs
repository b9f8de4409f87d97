//! Errors of a console's image.

use std::fmt;
use std::io;

use crate::log::LogError;

/// Why an image cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum ImageError {
    /// It does not begin as the image of a console.
    NotAnImage,
    /// It is of a version that this program does not know.
    Version {
        /// The version of the image.
        found: u32,
        /// The newest version understood.
        known: u32,
    },
    /// It is shorter than it says.
    Length,
    /// It does not match its check sum.
    Damaged,
    /// A value is out of range.
    Invalid {
        /// The rule that is broken.
        rule: &'static str,
        /// The value that breaks it.
        value: u64,
    },
    /// Its log is damaged, or does not fit into the writer's log.
    Log(LogError),
    /// The writer's log is not the one that the image was taken from, or an older copy of it.
    OtherLog,
    /// No descriptor is left for the console's doorbell.
    Io(io::Error),
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnImage => {
                f.write_str("not the image of a console: it does not begin with vmconsol")
            }
            Self::Version { found, known } => write!(
                f,
                "console image of version {found}; this program knows versions up to {known}"
            ),
            Self::Length => f.write_str("the console image is cut short"),
            Self::Damaged => f.write_str("the console image is damaged (check sum differs)"),
            Self::Invalid { rule, value } => write!(f, "console image: {rule}, found {value}"),
            // This is about the log that the image is to go into.
            Self::Log(error @ LogError::NotEmpty) => error.fmt(f),
            Self::Log(error) => write!(f, "the console image's log: {error}"),
            Self::OtherLog => f.write_str(
                "the console image was taken from another log, or from a later state of this one: \
                 open the file that its VMM wrote",
            ),
            Self::Io(error) => write!(f, "cannot make the console: {error}"),
        }
    }
}

impl std::error::Error for ImageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Log(error) => Some(error),
            Self::Io(error) => Some(error),
            Self::NotAnImage
            | Self::Version { .. }
            | Self::Length
            | Self::Damaged
            | Self::OtherLog
            | Self::Invalid { .. } => None,
        }
    }
}

pub(super) fn rule_holds(holds: bool, rule: &'static str, value: u64) -> Result<(), ImageError> {
    if holds {
        Ok(())
    } else {
        Err(ImageError::Invalid { rule, value })
    }
}
