//! A file that is appended to, and begun anew when it is full.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::log::folder::Folder;
use crate::log::numbered_files::shift;
use crate::log::{LogError, StreamLimits};

/// Something that takes bytes at its end.
pub(super) trait Append {
    /// Appends the beginning of `bytes`, at least one of them, and returns how many.
    fn append(&mut self, bytes: &[u8]) -> Result<usize, LogError>;
}

#[derive(Debug)]
pub(super) struct TextFile {
    file: File,
    /// Its name, unless the owner has opened it.
    name: Option<PathBuf>,
    folder: Folder,
    limits: Option<StreamLimits>,
}

impl TextFile {
    pub(super) fn open(
        folder: Folder,
        name: &Path,
        limits: Option<StreamLimits>,
    ) -> Result<Self, LogError> {
        Ok(Self {
            file: folder.open_append(name)?,
            name: Some(name.to_path_buf()),
            folder,
            limits,
        })
    }

    pub(super) fn adopt(file: OwnedFd) -> io::Result<Self> {
        // Whoever cuts the file (`copytruncate`) finds the next byte at its new end.
        let flags = rustix::fs::fcntl_getfl(&file)?;
        rustix::fs::fcntl_setfl(&file, flags | OFlags::APPEND)?;
        Ok(Self {
            file: file.into(),
            name: None,
            folder: Folder::working(),
            limits: None,
        })
    }

    /// How much of `bytes` goes into this file. Begins a new one first, if need be.
    fn piece(&mut self, bytes: &[u8]) -> Result<usize, LogError> {
        let (Some(name), Some(limits)) = (&self.name, self.limits) else {
            return Ok(bytes.len());
        };
        let len = |file: &File| {
            let meta = file.metadata();
            meta.map_or_else(
                |error| Err(LogError::io("examine", error).at(name)),
                |meta| Ok(meta.len()),
            )
        };
        let fits = whole_lines(bytes, len(&self.file)?, limits.file_bytes);
        if fits > 0 {
            return Ok(fits);
        }
        // After each step, the whole can be done again.
        if self.folder.is_at(name, &self.file) {
            shift(&self.folder, name, limits.full_files)
                .map_err(|error| LogError::io("rotate", error).at(name))?;
        }
        let file = self.folder.open_append(name)?;
        // Another process may have begun it.
        let fits = whole_lines(bytes, len(&file)?, limits.file_bytes);
        self.file = file;
        Ok(fits)
    }

    fn failed(&self, error: io::Error) -> LogError {
        let error = LogError::io("write", error);
        match &self.name {
            Some(name) => error.at(name),
            None => error,
        }
    }
}

/// How many of `bytes` go into a file that has `len` bytes already and may have `most`: 0 if a new
/// one has to be begun. It is cut at the end of a line, where one ends.
fn whole_lines(bytes: &[u8], len: u64, most: u64) -> usize {
    let room = usize::try_from(most.saturating_sub(len)).unwrap_or(usize::MAX);
    if bytes.len() <= room {
        return bytes.len();
    }
    let last = bytes[..room].iter().rposition(|&byte| byte == b'\n');
    match last {
        Some(last) => last + 1,
        None if len == 0 => room,
        None => 0,
    }
}

impl Append for TextFile {
    fn append(&mut self, bytes: &[u8]) -> Result<usize, LogError> {
        loop {
            let piece = self.piece(bytes)?;
            if piece == 0 {
                continue;
            }
            match self.file.write(&bytes[..piece]) {
                Ok(0) => return Err(self.failed(io::ErrorKind::WriteZero.into())),
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// All bytes are in the files, in their order. No file is longer than its limit, and none
        /// ends within a line that fits into the next.
        #[test]
        fn rotation_keeps_every_byte_and_its_limit(
            pieces in prop::collection::vec("[a-z\n]{1,40}", 1..8), most in 1u64..60,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let name = dir.path().join("text");
            let limits = StreamLimits { file_bytes: most, full_files: 320 };
            let mut file = TextFile::open(Folder::working(), &name, Some(limits)).unwrap();
            for piece in &pieces {
                let mut rest = piece.as_bytes();
                while !rest.is_empty() {
                    let taken = file.append(rest).unwrap();
                    rest = &rest[taken..];
                }
            }
            let mut found = std::fs::read_to_string(&name).unwrap();
            prop_assert!(found.len() as u64 <= most);
            for number in 1..320 {
                let Ok(older) = std::fs::read_to_string(dir.path().join(format!("text.{number}"))) else {
                    break;
                };
                prop_assert!((1..=most).contains(&(older.len() as u64)));
                found.insert_str(0, &older);
            }
            prop_assert_eq!(found, pieces.concat());
        }
    }

    #[test]
    fn a_file_ends_with_a_line_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().join("text");
        let limits = StreamLimits {
            file_bytes: 12,
            full_files: 1,
        };
        let mut file = TextFile::open(Folder::working(), &name, Some(limits)).unwrap();
        for line in ["first\n", "second\n", "third\n", "fourth\n"] {
            assert_eq!(file.append(line.as_bytes()).unwrap(), line.len());
        }
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).ok();
        assert_eq!(read("text").as_deref(), Some("fourth\n"));
        assert_eq!(read("text.1").as_deref(), Some("third\n"));
        assert_eq!(read("text.2"), None);
    }

    #[test]
    fn what_the_owner_has_opened_is_appended_to_even_if_it_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().join("text");
        std::fs::write(&name, "before\n").unwrap();
        let opened = File::options().write(true).open(&name).unwrap();
        let mut file = TextFile::adopt(opened.into()).unwrap();
        file.append(b"one\n").unwrap();
        assert_eq!(std::fs::read(&name).unwrap(), b"before\none\n");
        std::fs::write(&name, "").unwrap();
        file.append(b"two\n").unwrap();
        assert_eq!(std::fs::read(&name).unwrap(), b"two\n");
    }
}
