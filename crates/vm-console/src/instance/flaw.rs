//! What keeps a name in the directory from being an instance.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;

use super::file::FileError;
use super::record::RecordError;
use super::{IdError, InstanceRecord, Liveness, names};

/// A name in the directory that is no instance, and why.
///
/// Its message fits on one line of any terminal: the name and what else comes from the entry are
/// escaped.
#[derive(Debug)]
pub struct Flaw {
    /// The name, which may be anything that the file system allows.
    pub name: OsString,
    /// What is wrong.
    pub kind: FlawKind,
}

/// What is wrong with an entry.
#[derive(Debug)]
#[non_exhaustive]
pub enum FlawKind {
    /// The name breaks the [rule](super::InstanceId).
    NotAnId(IdError),
    /// The entry is a symbolic link. None is followed.
    SymbolicLink,
    /// The entry is something else than a directory.
    NotADirectory {
        /// What it is, in words.
        is: &'static str,
    },
    /// The entry belongs to a user whom this process has no reason to trust; see
    /// [who may read](super#other-users).
    SomebodyElses {
        /// The user's id.
        uid: u32,
    },
    /// Others than its owner can write to the entry.
    OpenToOthers {
        /// Its permission bits.
        mode: u32,
    },
    /// There is no `instance.json`. If the entry is live, its VMM has just made it; otherwise its
    /// VMM was killed while it did.
    NoRecord {
        /// Whether a VMM has the entry.
        liveness: Liveness,
    },
    /// A file of the entry is something else than a file.
    NotAFile {
        /// The file's name.
        file: &'static str,
        /// What it is, in words.
        is: &'static str,
    },
    /// A file of the entry belongs to another user than the entry.
    ForeignFile {
        /// The file's name.
        file: &'static str,
        /// The user's id.
        uid: u32,
    },
    /// `instance.json` has more than [`InstanceRecord::MAX_LEN`] bytes.
    TooLarge {
        /// Its length in bytes.
        len: u64,
    },
    /// `instance.json` is not what it should be.
    NotJson {
        /// The line, from 1.
        line: usize,
        /// The column in it.
        column: usize,
        /// What is wrong there.
        what: String,
    },
    /// `instance.json` is of a version that this program does not know.
    Version {
        /// The version in the file.
        found: u64,
    },
    /// `instance.json` is about another instance: the entry was renamed or copied.
    OtherId {
        /// The id in the file.
        found: super::InstanceId,
    },
    /// The system refuses a step.
    Io {
        /// The step, as a verb.
        doing: &'static str,
        /// The file, if it is not the entry itself.
        file: Option<&'static str>,
        /// The system's error.
        source: io::Error,
    },
}

impl FlawKind {
    /// A word for programs, which stays the same: `not_an_id`, `symbolic_link` and so on.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::NotAnId(_) => "not_an_id",
            Self::SymbolicLink => "symbolic_link",
            Self::NotADirectory { .. } => "not_a_directory",
            Self::SomebodyElses { .. } => "somebody_elses",
            Self::OpenToOthers { .. } => "open_to_others",
            Self::NoRecord { .. } => "no_record",
            Self::NotAFile { .. } => "not_a_file",
            Self::ForeignFile { .. } => "foreign_file",
            Self::TooLarge { .. } => "too_large",
            Self::NotJson { .. } => "not_json",
            Self::Version { .. } => "version",
            Self::OtherId { .. } => "other_id",
            Self::Io { .. } => "io",
        }
    }

    /// True if the system lets others look at the entry, and not this process.
    pub(super) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }

    /// A file's error, but [`FileError::Missing`], which is no flaw in itself.
    pub(super) fn of_file(file: &'static str, error: FileError) -> Self {
        match error {
            FileError::Missing => Self::Io {
                doing: "open",
                file: Some(file),
                source: io::ErrorKind::NotFound.into(),
            },
            FileError::NotAFile { is } => Self::NotAFile { file, is },
            FileError::Foreign { uid } => Self::ForeignFile { file, uid },
            FileError::TooLarge { len } => Self::TooLarge { len },
            FileError::Io { doing, source } => Self::Io {
                doing,
                file: Some(file),
                source,
            },
        }
    }
}

impl From<RecordError> for FlawKind {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Version { found } => Self::Version { found },
            RecordError::NotJson { line, column, what } => Self::NotJson { line, column, what },
        }
    }
}

impl fmt::Display for FlawKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = names::RECORD;
        match self {
            Self::NotAnId(error) => error.fmt(f),
            Self::SymbolicLink => f.write_str("a symbolic link, and none is followed; remove it"),
            Self::NotADirectory { is } => write!(f, "{is}, not a directory; remove it"),
            Self::SomebodyElses { uid } => {
                write!(f, "it belongs to user {uid}; ask as that user, or as root")
            }
            Self::OpenToOthers { mode } => write!(
                f,
                "its mode {mode:04o} lets others than its owner write; make it 0700"
            ),
            Self::NoRecord {
                liveness: Liveness::Live,
            } => write!(f, "no {record} yet: its VMM is just starting"),
            Self::NoRecord {
                liveness: Liveness::Gone,
            } => write!(
                f,
                "no {record}: its VMM was killed as it started; start it again, or remove the entry"
            ),
            Self::NotAFile { file, is } => write!(f, "{file} is {is}, not a file; remove it"),
            Self::ForeignFile { file, uid } => {
                write!(f, "{file} belongs to another user, {uid}; remove it")
            }
            Self::TooLarge { len } => write!(
                f,
                "{record} has {len} bytes, and {} are the most; remove it",
                InstanceRecord::MAX_LEN
            ),
            Self::NotJson { what, .. } => write!(f, "{record} is damaged: {what}; remove it"),
            Self::Version { found } => write!(
                f,
                "{record} is of version {found}; this program knows versions up to {}",
                InstanceRecord::VERSION
            ),
            Self::OtherId { found } => {
                write!(
                    f,
                    "{record} is about {found}: the entry was renamed or copied"
                )
            }
            Self::Io {
                doing,
                file: Some(file),
                source,
            } => write!(f, "cannot {doing} {file}: {source}"),
            Self::Io {
                doing,
                file: None,
                source,
            } => write!(f, "cannot {doing} it: {source}"),
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", Escaped(&self.name), self.kind)
    }
}

impl std::error::Error for Flaw {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            FlawKind::Io { source, .. } => Some(source),
            FlawKind::NotAnId(error) => Some(error),
            _ => None,
        }
    }
}

/// A name that breaks the rule, so that it gives no orders to a terminal: at most 64 bytes of it.
struct Escaped<'a>(&'a OsStr);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LIMIT: usize = 64;
        let bytes = self.0.as_bytes();
        write!(f, "{}", bytes[..bytes.len().min(LIMIT)].escape_ascii())?;
        f.write_str(if bytes.len() > LIMIT { "..." } else { "" })
    }
}
