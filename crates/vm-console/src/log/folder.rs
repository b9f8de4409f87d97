//! The directory that relative names of files begin at: the working directory, or one that the
//! owner has opened.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat};

use super::error::LogError;

#[derive(Debug, Default)]
pub(crate) struct Folder(Option<OwnedFd>);

impl Folder {
    /// The working directory, and so where names in the file system usually begin.
    pub(crate) fn working() -> Self {
        Self::default()
    }

    pub(crate) fn opened(directory: OwnedFd) -> Self {
        Self(Some(directory))
    }

    /// Opens a file for appending, or makes it with mode 0600.
    pub(crate) fn open_append(&self, name: &Path) -> Result<File, LogError> {
        self.open(name, OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE)
            .map_err(|error| LogError::io("open", error).at(name))
    }

    pub(super) fn read_to_string(&self, name: &Path) -> io::Result<String> {
        let mut text = String::new();
        self.open(name, OFlags::RDONLY)?.read_to_string(&mut text)?;
        Ok(text)
    }

    /// Writes a file anew.
    pub(super) fn write(&self, name: &Path, text: &str) -> io::Result<()> {
        self.open(name, OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC)?
            .write_all(text.as_bytes())
    }

    fn open(&self, name: &Path, flags: OFlags) -> io::Result<File> {
        let mode = Mode::RUSR | Mode::WUSR;
        let file = rustix::fs::openat(self, name, flags | OFlags::CLOEXEC, mode)?;
        Ok(file.into())
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Ok(rustix::fs::renameat(self, from, self, to)?)
    }

    pub(super) fn remove(&self, name: &Path) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(self, name, AtFlags::empty())?)
    }

    pub(super) fn stat(&self, name: &Path) -> io::Result<Stat> {
        Ok(rustix::fs::statat(self, name, AtFlags::empty())?)
    }

    /// Whether `file` is the one that has this name.
    pub(crate) fn is_at(&self, name: &Path, file: &File) -> bool {
        let inode = |stat: Stat| (stat.st_dev, stat.st_ino);
        let there = self.stat(name).map(inode).ok();
        there == rustix::fs::fstat(file).map(inode).ok()
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_ref().map_or(CWD, AsFd::as_fd)
    }
}
