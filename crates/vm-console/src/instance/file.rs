//! Opening the files of an entry, which may be something else than files.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

/// Why a file of an entry cannot be used.
#[derive(Debug)]
pub(super) enum FileError {
    /// There is none of this name.
    Missing,
    /// It is something else, such as a symbolic link or a FIFO.
    NotAFile { is: &'static str },
    /// It belongs to another user than the entry.
    Foreign { uid: u32 },
    /// It has more bytes than it may have.
    TooLarge { len: u64 },
    /// The system refuses a step.
    Io {
        doing: &'static str,
        source: io::Error,
    },
}

impl FileError {
    pub(super) fn io(doing: &'static str) -> impl Fn(Errno) -> Self {
        move |source| Self::Io {
            doing,
            source: source.into(),
        }
    }
}

/// Opens the regular file `name` in `dir`, which belongs to user `owner`. Follows no symbolic link
/// and waits for no other end of a FIFO.
pub(super) fn open(
    dir: impl AsFd,
    name: &str,
    owner: u32,
    flags: OFlags,
) -> Result<(File, u64), FileError> {
    let always = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    let file = match rustix::fs::openat(&dir, name, flags | always, mode) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Err(FileError::Missing),
        // A symbolic link; a socket; a directory that was to be written.
        Err(error @ (Errno::LOOP | Errno::NXIO | Errno::ISDIR)) => {
            return Err(
                match rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => FileError::NotAFile {
                        is: kind(FileType::from_raw_mode(stat.st_mode)),
                    },
                    Err(_) => FileError::io("open")(error),
                },
            );
        }
        Err(error) => return Err(FileError::io("open")(error)),
    };
    let stat = rustix::fs::fstat(&file).map_err(FileError::io("examine"))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        other => return Err(FileError::NotAFile { is: kind(other) }),
    }
    if stat.st_uid != owner {
        return Err(FileError::Foreign { uid: stat.st_uid });
    }
    Ok((file.into(), u64::try_from(stat.st_size).unwrap_or_default()))
}

/// The bytes of a file that has `len` of them, if these are no more than `limit`.
pub(super) fn read(mut file: &File, len: u64, limit: usize) -> Result<Vec<u8>, FileError> {
    if len > limit as u64 {
        return Err(FileError::TooLarge { len });
    }
    // One byte more tells whether it has grown.
    let mut bytes = vec![0; len as usize + 1];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => {
                return Err(FileError::Io {
                    doing: "read",
                    source,
                });
            }
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// What a file is, in words.
pub(super) fn kind(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Unknown => "of no known kind",
    }
}
