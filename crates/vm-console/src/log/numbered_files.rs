//! Files that become `NAME.1`, `NAME.2` and so on when they are full.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::folder::Folder;

/// Renames the full files up to the first free number, then `NAME` to `NAME.1`. At most
/// `full_files` are kept.
pub(crate) fn shift(folder: &Folder, name: &Path, full_files: u32) -> io::Result<()> {
    if full_files == 0 {
        return folder.remove(name);
    }
    let is_free = |number: &u32| folder.stat(&numbered(name, *number)).is_err();
    let free = (1..full_files).find(is_free);
    for number in (1..free.unwrap_or(full_files)).rev() {
        folder.rename(&numbered(name, number), &numbered(name, number + 1))?;
    }
    folder.rename(name, &numbered(name, 1))
}

pub(super) fn numbered(name: &Path, number: u32) -> PathBuf {
    with_suffix(name, &format!(".{number}"))
}

pub(super) fn with_suffix(name: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(name);
    name.push(suffix);
    name.into()
}
