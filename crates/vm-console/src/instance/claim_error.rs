//! Why a VMM cannot have an entry.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::file::FileError;
use super::{InstanceRecord, names};
use crate::log::UnixTime;

/// Why an instance cannot be published, and what to do about it.
#[derive(Debug)]
pub struct ClaimError {
    /// The entry, or the directory if that is at fault.
    pub path: PathBuf,
    /// What is wrong.
    pub kind: ClaimErrorKind,
}

/// What is wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClaimErrorKind {
    /// A VMM that lives has the entry.
    Live {
        /// Its process and the time of its start, as its record tells them, if it has one yet.
        holder: Option<(u32, UnixTime)>,
    },
    /// Something else than a directory has the name.
    NotADirectory {
        /// What it is, in words.
        is: &'static str,
    },
    /// The entry, or a file in it, belongs to another user.
    SomebodyElses {
        /// The file, if it is not the entry itself.
        file: Option<&'static str>,
        /// The user's id.
        uid: u32,
    },
    /// Others can write to the entry, or replace entries of the directory.
    OpenToOthers {
        /// The permission bits.
        mode: u32,
    },
    /// A file of the entry is something else than a file.
    NotAFile {
        /// The file's name.
        file: &'static str,
        /// What it is, in words.
        is: &'static str,
    },
    /// The description would make `instance.json` larger than [`InstanceRecord::MAX_LEN`].
    TooLarge {
        /// The length, in bytes.
        len: usize,
    },
    /// The description cannot be written as JSON: a path in it is not UTF-8.
    NotText,
    /// Other processes keep making and removing the entry.
    Restless,
    /// The system refuses a step.
    Io {
        /// The step, as a verb.
        doing: &'static str,
        /// The file, if it is not the one at `path`.
        file: Option<&'static str>,
        /// The system's error.
        source: io::Error,
    },
}

impl ClaimErrorKind {
    pub(super) fn at(self, path: &Path) -> ClaimError {
        ClaimError {
            path: path.to_owned(),
            kind: self,
        }
    }

    pub(super) fn of_file(file: &'static str, error: FileError) -> Self {
        match error {
            FileError::NotAFile { is } => Self::NotAFile { file, is },
            FileError::Foreign { uid } => Self::SomebodyElses {
                file: Some(file),
                uid,
            },
            // Files are opened with leave to make them, and their length is not asked for.
            FileError::Missing | FileError::TooLarge { .. } => Self::Restless,
            FileError::Io { doing, source } => Self::Io {
                doing,
                file: Some(file),
                source,
            },
        }
    }

    pub(super) fn io(
        doing: &'static str,
        file: Option<&'static str>,
    ) -> impl Fn(rustix::io::Errno) -> Self {
        move |source| Self::Io {
            doing,
            file,
            source: source.into(),
        }
    }
}

impl fmt::Display for ClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.kind)
    }
}

impl fmt::Display for ClaimErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Live {
                holder: Some((pid, started)),
            } => write!(
                f,
                "process {pid} has it since {started}; stop that, or choose another id"
            ),
            Self::Live { holder: None } => {
                f.write_str("another process is just taking it; stop that, or choose another id")
            }
            Self::NotADirectory { is } => {
                write!(f, "{is} is in the way; remove it, or choose another id")
            }
            Self::SomebodyElses { file: None, uid } => write!(
                f,
                "it belongs to another user, {uid}; remove it, or choose another id"
            ),
            Self::SomebodyElses {
                file: Some(file),
                uid,
            } => write!(f, "its {file} belongs to another user, {uid}; remove that"),
            Self::OpenToOthers { mode } => write!(
                f,
                "its mode {mode:04o} lets others replace what is in it; \
                 make an entry 0700, and a shared directory 1777"
            ),
            Self::NotAFile { file, is } => {
                write!(f, "its {file} is {is}, not a file; remove that")
            }
            Self::TooLarge { len } => write!(
                f,
                "{} would have {len} bytes, and {} are the most; give shorter labels",
                names::RECORD,
                InstanceRecord::MAX_LEN
            ),
            Self::NotText => write!(
                f,
                "a path in {} is not UTF-8; choose another",
                names::RECORD
            ),
            Self::Restless => f.write_str("other processes keep making and removing it; stop them"),
            Self::Io {
                doing,
                file: None,
                source,
            } => write!(
                f,
                "cannot {doing} it: {source}; make the directory of consoles beforehand, \
                 with mode 1777 for several users, or choose another"
            ),
            Self::Io {
                doing,
                file: Some(file),
                source,
            } => write!(
                f,
                "cannot {doing} its {file}: {source}; choose another directory"
            ),
        }
    }
}

impl std::error::Error for ClaimError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            ClaimErrorKind::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
