//! The entry of an instance, as the VMM that has it uses it.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::access::Access;
use super::claim_error::{ClaimError, ClaimErrorKind as Kind};
use super::file;
use super::inspection::is_removed;
use super::liveness::LivenessLock;
use super::{ClaimOptions, Description, Directory, InstanceId, InstanceRecord, names};
use crate::log::{BootLog, LogConfig, LogError, LogWriter};
use crate::transport::Listener;
use crate::transport::unix::BindError;

/// How often an entry is removed anew that other VMMs have had meanwhile.
const TRIES: u32 = 64;

/// The entry of an instance, held by the VMM that runs it.
///
/// Keep it for as long as the machine may be found. Dropping it removes the control socket and
/// leaves the record and the log: the machine is then *gone*, and its log readable. The same is
/// left if the VMM is killed. [`retire`](Self::retire) removes all of it.
///
/// If the VMM drops privileges, claim afterwards, as the user that will remove the socket.
#[derive(Debug)]
pub struct Entry {
    place: OwnedFd,
    dir: OwnedFd,
    path: PathBuf,
    access: Access,
    record: InstanceRecord,
    /// Held for its `Drop`, and last: after that the next VMM may come.
    _lock: LivenessLock,
}

impl Entry {
    /// Publishes the instance `id` in `directory`: makes its entry, or takes over what a VMM left
    /// behind that has ended or was killed. Its boot log then goes on, its socket is removed, and
    /// its [incarnation](InstanceRecord::incarnation) grows.
    ///
    /// If two VMMs claim the same instance at once, exactly one of them gets it.
    ///
    /// The directory is made, with mode 0755, if it is missing; its parent is not. For VMMs of
    /// several users make it before, with mode 1777.
    ///
    /// # Errors
    /// See [`ClaimErrorKind`](super::ClaimErrorKind). Nothing that is not this process's user's own
    /// is changed or relied on.
    pub fn claim(
        directory: &Directory,
        id: &InstanceId,
        description: Description,
    ) -> Result<Self, ClaimError> {
        ClaimOptions::default().claim(directory, id, description)
    }

    pub(super) fn taken(
        place: OwnedFd,
        dir: OwnedFd,
        path: PathBuf,
        lock: LivenessLock,
        access: Access,
        record: InstanceRecord,
    ) -> Self {
        Self {
            place,
            dir,
            path,
            access,
            record,
            _lock: lock,
        }
    }

    /// The instance.
    #[must_use]
    pub fn id(&self) -> &InstanceId {
        &self.record.id
    }

    /// What `instance.json` says now.
    #[must_use]
    pub fn record(&self) -> &InstanceRecord {
        &self.record
    }

    /// The path of the entry.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the control socket.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.path.join(names::SOCKET)
    }

    /// Opens the boot log that an earlier VMM left in the entry, or makes it; see
    /// [`BootLog::open_or_create_file`].
    ///
    /// # Errors
    /// As [`BootLog::open_or_create_file`]. A symbolic link in its place is refused.
    pub fn boot_log(&self, config: LogConfig) -> Result<(LogWriter, BootLog), LogError> {
        let at = |error: LogError| error.at(&self.path.join(names::LOG));
        let flags = OFlags::RDWR | OFlags::CREATE;
        let (file, _) = file::open(&self.dir, names::LOG, geteuid().as_raw(), flags)
            .map_err(|error| at(error.into()))?;
        self.access
            .give_file(&file)
            .map_err(|error| at(LogError::io("set the mode of", error)))?;
        BootLog::in_file(file, config).map_err(at)
    }

    /// Listens on the control socket of the entry, for
    /// [`ServiceHandle::add`](crate::service::ServiceHandle::add) or
    /// [`ConsoleHandle::listen`](crate::service::ConsoleHandle::listen).
    ///
    /// # Errors
    /// As [`BindOptions::bind`](crate::transport::unix::BindOptions::bind).
    pub fn control_listener(&self) -> Result<Listener, BindError> {
        let socket = self.access.bind_options().bind(self.control_socket())?;
        Ok(Listener::control(socket))
    }

    /// Replaces what the record tells about the machine. A reader sees the old record or the new
    /// one, never a part.
    ///
    /// # Errors
    /// The record is too large or cannot be written; then the old one stays.
    pub fn update(&mut self, description: Description) -> Result<(), ClaimError> {
        let before = std::mem::replace(&mut self.record.description, description);
        self.write_record().map_err(|kind| {
            self.record.description = before;
            kind.at(&self.path)
        })
    }

    /// Removes the entry and all that is in it: the machine is no more, and its log is not wanted.
    ///
    /// # Errors
    /// A file cannot be removed. Of kind `DirectoryNotEmpty` if there are files in the entry that
    /// are not its own.
    pub fn retire(self) -> io::Result<()> {
        self.remove_socket();
        // The lock last: until then nobody else has the entry.
        let files = [names::LOG, names::NEXT_RECORD, names::RECORD, names::LOCK];
        for file in files {
            match rustix::fs::unlinkat(&self.dir, file, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        for _ in 0..TRIES {
            match rustix::fs::unlinkat(&self.place, self.id().as_str(), AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => return Ok(()),
                // The next VMM has it already, or has removed it, and this is a later one's.
                Err(Errno::NOTEMPTY) if self.has(names::LOCK) || is_removed(&self.dir) => {
                    return Ok(());
                }
                // The next VMM is just taking or leaving it; or there are other files.
                Err(Errno::NOTEMPTY) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Errno::NOTEMPTY.into())
    }

    fn has(&self, name: &str) -> bool {
        rustix::fs::statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    pub(super) fn remove_socket(&self) {
        // If there is none, there is nothing to do. If this fails, the next socket replaces it.
        let _ = rustix::fs::unlinkat(&self.dir, names::SOCKET, AtFlags::empty());
    }

    /// Writes the record under another name, and renames it.
    pub(super) fn write_record(&self) -> Result<(), Kind> {
        let json = json(&self.record)?;
        let cannot = |doing| Kind::io(doing, Some(names::RECORD));
        match rustix::fs::unlinkat(&self.dir, names::NEXT_RECORD, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(cannot("replace")(error)),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let (mut file, _) = file::open(&self.dir, names::NEXT_RECORD, geteuid().as_raw(), flags)
            .map_err(|error| Kind::of_file(names::RECORD, error))?;
        let written = self.fill(&mut file, &json).and_then(|()| {
            let (from, to) = (names::NEXT_RECORD, names::RECORD);
            rustix::fs::renameat(&self.dir, from, &self.dir, to).map_err(cannot("replace"))
        });
        if written.is_err() {
            // It is of no use, and an error here would hide the first one.
            let _ = rustix::fs::unlinkat(&self.dir, names::NEXT_RECORD, AtFlags::empty());
        }
        written
    }

    fn fill(&self, file: &mut File, json: &[u8]) -> Result<(), Kind> {
        self.access
            .give_file(file)
            .map_err(Kind::io("set the mode of", Some(names::RECORD)))?;
        file.write_all(json).map_err(|source| Kind::Io {
            doing: "write",
            file: Some(names::RECORD),
            source,
        })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.remove_socket();
    }
}

impl AsFd for Entry {
    /// The directory of the entry, opened as a path only: for a jail or a sandbox that is made
    /// around it.
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

/// The record as the file has it.
pub(super) fn json(record: &InstanceRecord) -> Result<Vec<u8>, Kind> {
    let json = record.to_json().map_err(|_| Kind::NotText)?;
    if json.len() > InstanceRecord::MAX_LEN {
        return Err(Kind::TooLarge { len: json.len() });
    }
    Ok(json)
}
