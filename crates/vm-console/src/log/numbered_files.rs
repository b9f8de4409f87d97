//! Files that become `NAME.1`, `NAME.2` and so on when they are full.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::error::LogError;

/// Opens the file for appending, or makes it with mode 0600.
pub(crate) fn open_append(name: &Path) -> Result<File, LogError> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    options
        .open(name)
        .map_err(|error| LogError::io("open", error).at(name))
}

/// Renames the full files up to the first free number, then `NAME` to `NAME.1`. At most
/// `full_files` are kept.
pub(crate) fn shift(name: &Path, full_files: u32) -> io::Result<()> {
    if full_files == 0 {
        return fs::remove_file(name);
    }
    let free = (1..full_files).find(|&number| !numbered(name, number).exists());
    for number in (1..free.unwrap_or(full_files)).rev() {
        fs::rename(numbered(name, number), numbered(name, number + 1))?;
    }
    fs::rename(name, numbered(name, 1))
}

/// Whether `file` is the one that has this name.
pub(crate) fn is_same(name: &Path, file: &File) -> bool {
    let inode = |meta: io::Result<fs::Metadata>| meta.ok().map(|meta| (meta.dev(), meta.ino()));
    inode(fs::metadata(name)) == inode(file.metadata())
}

pub(super) fn numbered(name: &Path, number: u32) -> PathBuf {
    with_suffix(name, &format!(".{number}"))
}

pub(super) fn with_suffix(name: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(name);
    name.push(suffix);
    name.into()
}
