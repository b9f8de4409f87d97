//! The file of a listening unix socket, which is removed with it.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::directory::Directory;

type Inode = (u64, u64);

/// The file of a socket. It is removed with this, unless it was replaced.
#[derive(Debug)]
pub(super) struct SocketFile {
    dir: Directory,
    name: OsString,
    inode: Inode,
    path: PathBuf,
}

impl SocketFile {
    /// The file `name` in `dir`, which has `path`.
    pub(super) fn new(dir: Directory, name: &OsStr, inode: Inode, path: &Path) -> Self {
        Self {
            dir,
            name: name.to_owned(),
            inode,
            path: path.to_owned(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the file if it is still this one.
    pub(super) fn remove(&self) {
        if inode_at(&self.dir, &self.name) == Ok(self.inode) {
            // If this fails, the next owner replaces the dead socket.
            let _ = rustix::fs::unlinkat(&self.dir, &self.name, AtFlags::empty());
        }
    }
}

pub(super) fn inode_at(dir: impl AsFd, name: &OsStr) -> Result<Inode, Errno> {
    let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok((stat.st_dev, stat.st_ino))
}
