//! Taking an entry for a VMM: a new one, or one that an earlier VMM left behind.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::access::{Access, WRITABLE_BY_OTHERS};
use super::claim_error::{ClaimError, ClaimErrorKind as Kind};
use super::file::{self, FileError};
use super::inspection::{open_entry, read_record};
use super::liveness::LivenessLock;
use super::{Description, Directory, Entry, InstanceId, InstanceRecord, entry, names};

/// How often an entry is tried anew that another process has removed meanwhile.
const TRIES: u32 = 64;
const STICKY: u32 = 0o1000;

/// The options for publishing an instance.
///
/// ```
/// use vm_console::instance::{ClaimOptions, Description, Directory};
///
/// let dir = tempfile::tempdir()?;
/// let options = ClaimOptions { group: Some(rustix::process::getegid().as_raw()), ..ClaimOptions::default() };
/// let entry = options.claim(&Directory::new(dir.path()), &"vm-7".parse()?, Description::default())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimOptions {
    /// The id of a group whose members may read the entry and connect to its control socket: the
    /// operators. The entry then has mode 0750, its socket 0660 and its files 0640. This process's
    /// user has to be in that group, or to be root. Default: none, so only this process's user and
    /// root may.
    pub group: Option<u32>,
    /// The least [incarnation](InstanceRecord::incarnation), from whoever placed the instance here.
    /// Default: 0, so that its time and its last incarnation decide.
    pub incarnation: u64,
}

impl ClaimOptions {
    /// As [`Entry::claim`], with these options.
    ///
    /// # Errors
    /// As [`Entry::claim`].
    pub fn claim(
        &self,
        directory: &Directory,
        id: &InstanceId,
        description: Description,
    ) -> Result<Entry, ClaimError> {
        let path = directory.entry_path(id);
        let place = open_or_make(directory.path()).map_err(|e| e.at(directory.path()))?;
        let access = Access::of(self.group);
        // What is wrong with the description is known before anything is made.
        let mut record = InstanceRecord::new(id.clone(), description);
        entry::json(&record).map_err(|kind| kind.at(&path))?;
        for _ in 0..TRIES {
            let taken = take(&place, id, access).map_err(|kind| kind.at(&path))?;
            let Some((dir, lock)) = taken else { continue };
            record.incarnation = self.next_incarnation(&dir, &record);
            let entry = Entry::taken(place, dir, path.clone(), lock, access, record);
            // Nobody is to connect to what a dead VMM left behind.
            entry.remove_socket();
            entry.write_record().map_err(|kind| kind.at(&path))?;
            return Ok(entry);
        }
        Err(Kind::Restless.at(&path))
    }

    fn next_incarnation(&self, dir: impl AsFd, record: &InstanceRecord) -> u64 {
        // A record that cannot be read is no reason to refuse a machine its console.
        let last = read_record(dir, geteuid().as_raw()).map_or(0, |record| record.incarnation);
        record
            .incarnation
            .max(last.saturating_add(1))
            .max(self.incarnation)
    }
}

/// Opens the directory of entries. If it is missing, makes it with mode 0755.
fn open_or_make(path: &Path) -> Result<OwnedFd, Kind> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = || rustix::fs::open(path, flags, Mode::empty());
    let opened = match open() {
        Err(Errno::NOENT) => match rustix::fs::mkdir(path, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => open(),
            Err(error) => return Err(Kind::io("make", None)(error)),
        },
        opened => opened,
    };
    let place = opened.map_err(Kind::io("open", None))?;
    let stat = rustix::fs::fstat(&place).map_err(Kind::io("examine", None))?;
    // Without the sticky bit a neighbour could move our entry away and put its own in the place.
    if stat.st_mode & WRITABLE_BY_OTHERS != 0 && stat.st_mode & STICKY == 0 {
        return Err(Kind::OpenToOthers {
            mode: stat.st_mode & 0o7777,
        });
    }
    Ok(place)
}

/// Makes or opens the entry, and takes its lock. `None` if it was removed meanwhile.
fn take(
    place: &OwnedFd,
    id: &InstanceId,
    access: Access,
) -> Result<Option<(OwnedFd, LivenessLock)>, Kind> {
    match rustix::fs::mkdirat(place, id.as_str(), Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(Kind::io("make", None)(error)),
    }
    let dir = match open_entry(place, Path::new(id.as_str())) {
        Ok(dir) => dir,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(what_is_in_the_way(place, id, error)),
    };
    let stat = rustix::fs::fstat(&dir).map_err(Kind::io("examine", None))?;
    check_owner(&stat)?;
    let flags = OFlags::RDWR | OFlags::CREATE;
    let file = match file::open(&dir, names::LOCK, stat.st_uid, flags) {
        Ok((file, _)) => file,
        Err(FileError::Missing) => return Ok(None),
        Err(error) => return Err(Kind::of_file(names::LOCK, error)),
    };
    let taken = LivenessLock::take(file).map_err(|source| Kind::Io {
        doing: "lock",
        file: Some(names::LOCK),
        source,
    })?;
    let Some(lock) = taken else {
        let record = read_record(&dir, stat.st_uid).ok();
        return Err(Kind::Live {
            holder: record.map(|record| (record.pid, record.started)),
        });
    };
    if !is_in_place(place, id, &stat, lock.file()) {
        return Ok(None);
    }
    access
        .give_entry(&dir)
        .and_then(|()| access.give_file(lock.file()))
        .map_err(Kind::io("set the mode of", None))?;
    Ok(Some((dir, lock)))
}

/// Whether entry and lock are the ones that others find there: the last VMM may have removed them
/// before we had the lock.
fn is_in_place(place: &OwnedFd, id: &InstanceId, entry: &Stat, lock: &File) -> bool {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    let found = rustix::fs::statat(place, id.as_str(), flags);
    let found_lock = rustix::fs::statat(place, Path::new(id.as_str()).join(names::LOCK), flags);
    let same = |a: &Stat, b: &Stat| (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino);
    let (Ok(found), Ok(found_lock), Ok(lock)) = (found, found_lock, rustix::fs::fstat(lock)) else {
        return false;
    };
    same(&found, entry) && same(&found_lock, &lock)
}

fn check_owner(entry: &Stat) -> Result<(), Kind> {
    if entry.st_uid != geteuid().as_raw() {
        return Err(Kind::SomebodyElses {
            file: None,
            uid: entry.st_uid,
        });
    }
    if entry.st_mode & WRITABLE_BY_OTHERS != 0 {
        return Err(Kind::OpenToOthers {
            mode: entry.st_mode & 0o7777,
        });
    }
    Ok(())
}

fn what_is_in_the_way(place: &OwnedFd, id: &InstanceId, error: Errno) -> Kind {
    match rustix::fs::statat(place, id.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Kind::io("open", None)(error),
            other => Kind::NotADirectory {
                is: file::kind(other),
            },
        },
        Err(_) => Kind::io("open", None)(error),
    }
}
