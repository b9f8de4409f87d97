//! Looking at one entry of the directory without trusting it.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid, getgroups};

use super::access::WRITABLE_BY_OTHERS;
use super::file::{self, FileError};
use super::{Flaw, FlawKind, InstanceId, InstanceRecord, Liveness, liveness, names};
use crate::log::{BootLog, LogError};

/// An instance that was found in the directory.
///
/// The paths are those of the moment; whoever owns the entry can change what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Instance {
    /// Its name.
    pub id: InstanceId,
    /// What its VMM tells about it.
    pub record: InstanceRecord,
    /// Whether its VMM lives. Do not connect to what a dead one left behind.
    pub liveness: Liveness,
    /// The user that its files belong to, and as whom its VMM runs.
    pub uid: u32,
    path: PathBuf,
}

impl Instance {
    /// The path of its entry.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of its control socket, which is there while it is live, and from when its VMM
    /// serves it.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.path.join(names::SOCKET)
    }

    /// The path of its boot log, which is there if its VMM keeps one in the entry.
    #[must_use]
    pub fn boot_log(&self) -> PathBuf {
        self.path.join(names::LOG)
    }

    /// True if its VMM lives.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.liveness == Liveness::Live
    }

    /// Opens its boot log for reading, whether its VMM lives or not; see
    /// [`BootLog::open_read_only`]. Follows no symbolic link.
    ///
    /// # Errors
    /// As [`BootLog::open_read_only`]; of kind `NotFound` if its VMM keeps no log there.
    pub fn open_boot_log(&self) -> Result<BootLog, LogError> {
        let path = self.boot_log();
        let opened = open_entry(rustix::fs::CWD, &self.path)
            .map_err(FileError::io("open"))
            .and_then(|dir| file::open(&dir, names::LOG, self.uid, OFlags::RDONLY));
        let log = match opened {
            Ok((file, _)) => BootLog::read_only(file),
            Err(error) => Err(error.into()),
        };
        log.map_err(|error| error.at(&path))
    }
}

impl From<FileError> for LogError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Io { doing, source } => Self::io(doing, source),
            FileError::Missing => Self::io("open", std::io::ErrorKind::NotFound),
            FileError::Foreign { .. } => Self::io("trust", std::io::ErrorKind::PermissionDenied),
            FileError::NotAFile { .. } | FileError::TooLarge { .. } => Self::NotALog,
        }
    }
}

/// Whose entries can be relied on.
pub(super) struct Reader {
    uid: u32,
    groups: Vec<u32>,
}

impl Reader {
    pub(super) fn this_process() -> Self {
        let mut groups = vec![getegid().as_raw()];
        groups.extend(getgroups().unwrap_or_default().iter().map(|g| g.as_raw()));
        Self {
            uid: geteuid().as_raw(),
            groups,
        }
    }

    /// Root reads all. Others read their own entries, those of root, and those that are open to a
    /// group in which they are: a stranger cannot make such an entry.
    fn trusts(&self, entry: &Stat) -> bool {
        let opened_to_group = entry.st_mode & 0o050 == 0o050;
        [entry.st_uid, 0].contains(&self.uid)
            || entry.st_uid == 0
            || (opened_to_group && self.groups.contains(&entry.st_gid))
    }
}

/// Looks at entries of one opened directory.
pub(super) struct Inspector<'a> {
    pub(super) directory: &'a Path,
    pub(super) opened: BorrowedFd<'a>,
    pub(super) reader: Reader,
}

impl Inspector<'_> {
    /// The entry `name`; `None` if there is none.
    pub(super) fn inspect(&self, name: OsString) -> Result<Option<Instance>, Flaw> {
        self.look(&name).map_err(|kind| Flaw { name, kind })
    }

    fn look(&self, name: &std::ffi::OsStr) -> Result<Option<Instance>, FlawKind> {
        let id = InstanceId::try_from(name.as_bytes()).map_err(FlawKind::NotAnId)?;
        let dir = match open_entry(self.opened, Path::new(name)) {
            Ok(dir) => dir,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return self.why_not_opened(name, error),
        };
        let stat = rustix::fs::fstat(&dir).map_err(cannot("examine"))?;
        if !self.reader.trusts(&stat) {
            return Err(FlawKind::SomebodyElses { uid: stat.st_uid });
        }
        if stat.st_mode & WRITABLE_BY_OTHERS != 0 {
            return Err(FlawKind::OpenToOthers {
                mode: stat.st_mode & 0o7777,
            });
        }
        // First the record: a VMM that starts meanwhile has the lock before it writes one.
        let record = match read_record(&dir, stat.st_uid) {
            Err(RecordFlaw::Missing) if is_removed(&dir) => return Ok(None),
            Err(RecordFlaw::Missing) => None,
            Err(RecordFlaw::Kind(kind)) if kind.is_forbidden() => {
                return Err(FlawKind::SomebodyElses { uid: stat.st_uid });
            }
            Err(RecordFlaw::Kind(kind)) => return Err(kind),
            Ok(record) if record.id == id => Some(record),
            Ok(record) => return Err(FlawKind::OtherId { found: record.id }),
        };
        let liveness = match file::open(&dir, names::LOCK, stat.st_uid, OFlags::RDONLY) {
            Ok((lock, _)) => liveness::of(&lock).map_err(|source| FlawKind::Io {
                doing: "ask for the lock of",
                file: Some(names::LOCK),
                source,
            })?,
            Err(FileError::Missing) => Liveness::Gone,
            Err(error) => return Err(FlawKind::of_file(names::LOCK, error)),
        };
        let Some(record) = record else {
            return Err(FlawKind::NoRecord { liveness });
        };
        Ok(Some(Instance {
            path: self.directory.join(id.as_str()),
            id,
            record,
            liveness,
            uid: stat.st_uid,
        }))
    }

    fn why_not_opened(
        &self,
        name: &std::ffi::OsStr,
        error: Errno,
    ) -> Result<Option<Instance>, FlawKind> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        match rustix::fs::statat(self.opened, name, flags) {
            Err(Errno::NOENT) => Ok(None),
            Err(_) => Err(cannot("open")(error)),
            Ok(stat) => Err(match FileType::from_raw_mode(stat.st_mode) {
                FileType::Symlink => FlawKind::SymbolicLink,
                FileType::Directory => cannot("open")(error),
                other => FlawKind::NotADirectory {
                    is: file::kind(other),
                },
            }),
        }
    }
}

/// Opens the directory of an entry for nothing but to find files in it.
pub(super) fn open_entry(dir: impl AsFd, path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, path, flags, Mode::empty())
}

/// A directory that was removed while we have it open has no links.
pub(super) fn is_removed(dir: impl AsFd) -> bool {
    rustix::fs::fstat(dir).is_ok_and(|stat| stat.st_nlink == 0)
}

/// Why a record cannot be read.
pub(super) enum RecordFlaw {
    Missing,
    Kind(FlawKind),
}

/// The record in `dir`, which belongs to user `owner`.
pub(super) fn read_record(dir: impl AsFd, owner: u32) -> Result<InstanceRecord, RecordFlaw> {
    let (file, len) = match file::open(dir, names::RECORD, owner, OFlags::RDONLY) {
        Ok(opened) => opened,
        Err(FileError::Missing) => return Err(RecordFlaw::Missing),
        Err(error) => return Err(RecordFlaw::Kind(FlawKind::of_file(names::RECORD, error))),
    };
    let bytes = file::read(&file, len, InstanceRecord::MAX_LEN)
        .map_err(|error| RecordFlaw::Kind(FlawKind::of_file(names::RECORD, error)))?;
    InstanceRecord::from_json(&bytes).map_err(|error| RecordFlaw::Kind(error.into()))
}

fn cannot(doing: &'static str) -> impl Fn(Errno) -> FlawKind {
    move |source| FlawKind::Io {
        doing,
        file: None,
        source: source.into(),
    }
}
