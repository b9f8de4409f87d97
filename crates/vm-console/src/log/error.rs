//! Errors of a log's sizes, its file or its image.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a log could not be made, opened or imported. Appending and reading have no errors.
///
/// Each message names the boot log, so print it without a prefix that does.
#[derive(Debug)]
#[non_exhaustive]
pub enum LogError {
    /// A size in [`LogConfig`](super::LogConfig) is out of range.
    Size {
        /// The field's name.
        field: &'static str,
        /// The value given.
        given: u64,
        /// The least that is allowed.
        min: u64,
        /// The most that is allowed.
        max: u64,
    },
    /// The memory could not be mapped.
    Map(vm_memory::mmap::MmapRegionError),
    /// The system refused a step on the file.
    Io {
        /// The step, as a verb.
        doing: &'static str,
        /// The file, if it was given by name.
        path: Option<PathBuf>,
        /// The system's error.
        source: io::Error,
    },
    /// Something is wrong with a file that was given by name.
    InFile {
        /// The name.
        path: PathBuf,
        /// What is wrong: any other variant.
        cause: Box<LogError>,
    },
    /// The file does not begin like a boot log.
    NotALog,
    /// The file is a boot log of a format that this version does not know.
    Version {
        /// The version in the file.
        found: u64,
        /// The newest version understood.
        known: u64,
    },
    /// The file is shorter than its header says.
    CutShort {
        /// Bytes in the file.
        len: u64,
        /// Bytes that the header asks for.
        expected: u64,
    },
    /// The fixed part of the header, or an image, does not match its check sum.
    Damaged,
    /// A field of the header, or of an image, contradicts another.
    Inconsistent {
        /// The rule that is broken.
        rule: &'static str,
        /// The value that breaks it.
        value: u64,
    },
    /// The bytes are not the image of a log.
    NotAnImage,
    /// An image can be restored only into a new log, and this one has been written to.
    NotEmpty,
    /// Another live process (or another handle in this one) writes this log.
    InUse,
    /// Another live process (or another handle in this one) writes these
    /// [`StreamFiles`](super::StreamFiles).
    StreamInUse {
        /// The name of the newest file.
        name: PathBuf,
    },
}

impl LogError {
    pub(crate) fn io(doing: &'static str, source: impl Into<io::Error>) -> Self {
        Self::Io {
            doing,
            path: None,
            source: source.into(),
        }
    }

    /// What is wrong, without the name of the file.
    #[must_use]
    pub fn cause(&self) -> &Self {
        match self {
            Self::InFile { cause, .. } => cause.cause(),
            cause => cause,
        }
    }

    /// As [`cause`](Self::cause), by value.
    #[must_use]
    pub fn into_cause(self) -> Self {
        match self {
            Self::InFile { cause, .. } => cause.into_cause(),
            cause => cause,
        }
    }

    /// The same error, naming the file it happened on.
    pub(crate) fn at(self, name: &std::path::Path) -> Self {
        match self {
            Self::Io {
                doing,
                path: None,
                source,
            } => Self::Io {
                doing,
                path: Some(name.into()),
                source,
            },
            // It happened on no file, or names it.
            named @ (Self::Io { .. }
            | Self::Size { .. }
            | Self::Map(_)
            | Self::InFile { .. }
            | Self::StreamInUse { .. }) => named,
            cause => Self::InFile {
                path: name.into(),
                cause: Box::new(cause),
            },
        }
    }
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size {
                field,
                given,
                min,
                max,
            } => {
                write!(f, "boot log: {field} is {given}, must be {min} to {max}")
            }
            Self::Map(source) => write!(f, "boot log: cannot map its memory: {source}"),
            Self::Io {
                doing,
                path: Some(path),
                source,
            } => {
                write!(f, "boot log: cannot {doing} {}: {source}", path.display())
            }
            Self::Io {
                doing,
                path: None,
                source,
            } => write!(f, "boot log: cannot {doing}: {source}"),
            Self::InFile { path, cause } => write!(f, "{}: {cause}", path.display()),
            Self::NotALog => f.write_str(
                "not a boot log: the file does not begin with VMBOOTLG; choose another path",
            ),
            Self::Version { found, known } => {
                write!(
                    f,
                    "boot log of version {found}; this program knows versions up to {known}"
                )
            }
            Self::CutShort { len, expected } => {
                write!(
                    f,
                    "boot log is cut short: {len} bytes, its header says {expected}; \
                     move it away to start anew"
                )
            }
            Self::Damaged => {
                f.write_str("boot log is damaged (check sum differs); move it away to start anew")
            }
            Self::Inconsistent { rule, value } => {
                write!(
                    f,
                    "boot log is damaged: {rule}, found {value}; move it away to start anew"
                )
            }
            Self::NotAnImage => {
                f.write_str("not the image of a boot log: it does not begin with VMLOGIMG")
            }
            Self::NotEmpty => f.write_str(
                "boot log is in use already, and an image goes into a new one only: \
                 remove its file or choose another, or go on with it without the image",
            ),
            Self::InUse => f.write_str(
                "boot log is being written by another process; stop it or choose another path",
            ),
            Self::StreamInUse { name } => write!(
                f,
                "boot log: {} and the full files beside it have another writer; \
                 stop it or choose another name",
                name.display()
            ),
        }
    }
}

impl std::error::Error for LogError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Map(source) => Some(source),
            Self::Io { source, .. } => Some(source),
            Self::InFile { cause, .. } => cause.source(),
            _ => None,
        }
    }
}
