//! The symlink to a pty's slave, and the lock on its name.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::OFlags;
use rustix::io::Errno;

/// The right to make the symlink, for as long as this lives.
#[derive(Debug)]
pub(super) struct LinkClaim {
    path: PathBuf,
    file: File,
    /// Another process has it from now on.
    is_left: AtomicBool,
}

impl LinkClaim {
    /// Fails with `WouldBlock` if another owner has it.
    pub(super) fn take(link: &Path) -> io::Result<Self> {
        let path = lock_path(link);
        loop {
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create(true).mode(0o600);
            options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
            let file = options.open(&path)?;
            file.try_lock()?;
            // The last owner may have removed the file before it was locked here.
            if is_at(&path, &file) {
                return Ok(Self::of(path, file));
            }
        }
    }

    /// Goes on with the claim of another process, by the file that this has locked. Fails with
    /// `WouldBlock` if somebody else has it.
    pub(super) fn adopt(link: &Path, file: File) -> io::Result<Self> {
        let path = lock_path(link);
        if !is_at(&path, &file) {
            return Err(io::ErrorKind::NotFound.into());
        }
        file.try_lock()?;
        Ok(Self::of(path, file))
    }

    fn of(path: PathBuf, file: File) -> Self {
        Self {
            path,
            file,
            is_left: AtomicBool::new(false),
        }
    }

    /// The file that it has locked, for another process that has the claim from then on.
    pub(super) fn leave(&self) -> io::Result<OwnedFd> {
        let file = self.file.try_clone()?;
        self.is_left.store(true, Ordering::Relaxed);
        Ok(file.into())
    }

    pub(super) fn is_left(&self) -> bool {
        self.is_left.load(Ordering::Relaxed)
    }
}

fn lock_path(link: &Path) -> PathBuf {
    let mut path = link.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}

/// Whether `file` is the one at `path`.
fn is_at(path: &Path, file: &File) -> bool {
    std::fs::metadata(path).is_ok_and(|found| {
        file.metadata()
            .is_ok_and(|ours| (ours.dev(), ours.ino()) == (found.dev(), found.ino()))
    })
}

impl Drop for LinkClaim {
    fn drop(&mut self) {
        if self.is_left() {
            return;
        }
        // The file is removed while it is locked. An owner that has it open sees after locking it
        // that it is not the file at the path.
        let _ = std::fs::remove_file(&self.path);
        // Closing is not enough: a process forked meanwhile may keep the file open for a while.
        let _ = self.file.unlock();
    }
}

/// Makes `link` a symlink to `device`. A symlink that is there is replaced in one step.
pub(super) fn point(link: &Path, device: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(link) {
        Ok(found) if !found.is_symlink() => return Err(io::ErrorKind::AlreadyExists.into()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let name = link.file_name().ok_or(Errno::INVAL)?;
    let mut draft = std::ffi::OsString::from(".");
    draft.push(name);
    draft.push(format!(".{}", std::process::id()));
    let draft = link.with_file_name(draft);
    // There is one only if an earlier process of the same id has left it.
    let _ = std::fs::remove_file(&draft);
    std::os::unix::fs::symlink(device, &draft)?;
    std::fs::rename(&draft, link).inspect_err(|_| {
        let _ = std::fs::remove_file(&draft);
    })
}
