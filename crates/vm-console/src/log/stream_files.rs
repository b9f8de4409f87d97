//! The complete output in files of bounded size, for owners who keep more than a log can.

use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::cursor::{Cursor, GapPolicy, Read};
use super::error::LogError;
use super::folder::Folder;
use super::id::LogId;
use super::numbered_files::{numbered, shift, with_suffix};
use super::reader::BootLog;
use super::start::Start;
use super::writer::WriterLock;

/// Bounds of [`StreamFiles`], and of a rotating [text log](crate::text_log).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Most bytes in one file; at least 1, 16 MiB by default.
    pub file_bytes: u64,
    /// How many full files are kept beside the one being written, 9 by default: `NAME.1`, the
    /// newest, to `NAME.9`. With 0, a full file is deleted.
    pub full_files: u32,
}

impl StreamLimits {
    pub(crate) fn check(self) -> Result<(), LogError> {
        if self.file_bytes == 0 {
            return Err(LogError::Size {
                field: "file_bytes",
                given: 0,
                min: 1,
                max: u64::MAX,
            });
        }
        Ok(())
    }
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            file_bytes: 16 << 20,
            full_files: 9,
        }
    }
}

/// Copies all of a log's output to the file `NAME`, which becomes `NAME.1` when it is full, and so
/// on.
///
/// The files hold each byte once, in order. This is a reader like any other, and the guest never
/// waits for it: [`pump`](Self::pump) may block and fail, so call it on a thread that may. Bytes
/// that the log has overwritten before they were copied are counted in [`lost`](Self::lost).
///
/// Beside these files, `NAME.offset` holds the offset of the log at which the newest file began,
/// its inode number, and the [identity](super::LogId) of the log. From these and the file's length
/// a later process finds where to go on, even after SIGKILL at any step. With another log, it goes
/// on at that log's beginning.
///
/// The files have one owner at a time, which holds a lock on `NAME.lock`. A handle that is opened
/// meanwhile writes nothing: its [`pump`](Self::pump) fails with [`LogError::StreamInUse`] until
/// the owner is gone, and then goes on where the owner ended. So a VMM that is restarted, or
/// replaces its handle, need not wait for the old one.
///
/// ```
/// use vm_console::{BootLog, LogConfig, StreamFiles, StreamLimits};
///
/// let dir = tempfile::tempdir()?;
/// let name = dir.path().join("console");
/// let (mut writer, log) = BootLog::in_memory(LogConfig::default())?;
/// let mut files = StreamFiles::open(&name, StreamLimits { file_bytes: 8, full_files: 2 }, &log)?;
/// writer.append(b"all of the output");
/// files.pump()?;
/// assert_eq!(std::fs::read(dir.path().join("console.2"))?, b"all of t");
/// assert_eq!(std::fs::read(dir.path().join("console.1"))?, b"he outpu");
/// assert_eq!(std::fs::read(&name)?, b"t");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct StreamFiles {
    folder: Folder,
    name: PathBuf,
    limits: StreamLimits,
    cursor: Cursor,
    /// Held by the owner of the files.
    lock: Option<WriterLock>,
    file: File,
    /// Bytes in `file`.
    len: u64,
    /// Read from the log, not yet written to a file: `waiting[done..]`.
    waiting: Vec<u8>,
    done: usize,
    /// A gap has changed the offset at which the newest file would have begun. Note it before
    /// writing more.
    note_due: bool,
    errors: u64,
}

/// Bytes read from the log at a time.
const CHUNK: usize = 64 << 10;

impl StreamFiles {
    /// Opens `name`, or makes it with mode 0600, and goes on where an earlier process ended. If
    /// there was none, or it copied another log, this begins at the beginning of the log.
    ///
    /// # Errors
    /// [`LogError::Size`] for a limit of 0 bytes, [`LogError::Io`] if the system refuses a step.
    pub fn open(
        name: impl AsRef<Path>,
        limits: StreamLimits,
        log: &BootLog,
    ) -> Result<Self, LogError> {
        Self::of(Folder::working(), name.as_ref(), limits, log)
    }

    /// As [`open`](Self::open), in a directory that the owner has opened: one that its jail or its
    /// file rights do not let it open by name. `name` is relative to it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_in(
        directory: OwnedFd,
        name: impl AsRef<Path>,
        limits: StreamLimits,
        log: &BootLog,
    ) -> Result<Self, LogError> {
        Self::of(Folder::opened(directory), name.as_ref(), limits, log)
    }

    fn of(
        folder: Folder,
        name: &Path,
        limits: StreamLimits,
        log: &BootLog,
    ) -> Result<Self, LogError> {
        let name = name.to_path_buf();
        limits.check()?;
        let lock = try_lock(&folder, &name)?;
        let cursor = cursor_after(&folder, &name, log);
        let file = folder.open_append(&name)?;
        let mut files = Self {
            folder,
            name,
            limits,
            cursor,
            lock: None,
            file,
            len: 0,
            waiting: Vec::new(),
            done: 0,
            note_due: false,
            errors: 0,
        };
        if let Some(lock) = lock {
            files.own(lock)?;
        }
        Ok(files)
    }

    /// Goes on where the last owner of the files ended.
    fn own(&mut self, lock: WriterLock) -> Result<(), LogError> {
        self.cursor = cursor_after(&self.folder, &self.name, self.cursor.log());
        self.file = self.folder.open_append(&self.name)?;
        self.len = self.note_offset(&self.file)?;
        self.lock = Some(lock);
        Ok(())
    }

    /// Copies all that was written to the log before this call. If it fails, nothing is lost or
    /// written twice, and the next call goes on. But the log goes on too, and may overwrite bytes
    /// that were not read.
    ///
    /// # Errors
    /// [`LogError::Io`], or [`LogError::StreamInUse`] while the files have another owner. Both are
    /// counted in [`errors`](Self::errors).
    pub fn pump(&mut self) -> Result<(), LogError> {
        let result = self.pump_all();
        self.errors += u64::from(result.is_err());
        result
    }

    fn pump_all(&mut self) -> Result<(), LogError> {
        if self.lock.is_none() {
            let Some(lock) = try_lock(&self.folder, &self.name)? else {
                return Err(LogError::StreamInUse {
                    name: self.name.clone(),
                });
            };
            self.own(lock)?;
        }
        // This call must return even if the guest writes faster than the disk.
        let head = self.cursor.log().head();
        loop {
            self.flush()?;
            if self.cursor.offset() >= head {
                return Ok(());
            }
            self.waiting.resize(CHUNK, 0);
            self.done = 0;
            let read = self.cursor.read(&mut self.waiting);
            let count = if let Read::Bytes(count) = read {
                count
            } else {
                0
            };
            self.waiting.truncate(count);
            match read {
                Read::Bytes(_) => {}
                Read::Gap { .. } => self.note_due = true,
                Read::UpToDate => return Ok(()),
                Read::Ended(_) => {
                    return Err(
                        self.failed("read the log for", io::ErrorKind::UnexpectedEof.into())
                    );
                }
            }
        }
    }

    fn flush(&mut self) -> Result<(), LogError> {
        while self.done < self.waiting.len() {
            if self.note_due {
                self.note_offset(&self.file)?;
                self.note_due = false;
            }
            if self.len >= self.limits.file_bytes {
                self.rotate()?;
            }
            let room = usize::try_from(self.limits.file_bytes - self.len).unwrap_or(usize::MAX);
            let bytes = &self.waiting[self.done..];
            match self.file.write(&bytes[..bytes.len().min(room)]) {
                Ok(0) => return Err(self.failed("write", io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    self.done += count;
                    self.len += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed("write", error)),
            }
        }
        Ok(())
    }

    /// Begins a new file. After each step, the whole can be done again.
    fn rotate(&mut self) -> Result<(), LogError> {
        if self.folder.is_at(&self.name, &self.file) {
            shift(&self.folder, &self.name, self.limits.full_files)
                .map_err(|error| self.failed("rotate", error))?;
        }
        let file = self.folder.open_append(&self.name)?;
        let len = self.note_offset(&file)?;
        self.file = file;
        self.len = len;
        Ok(())
    }

    /// Notes the offset at which the newest file would have begun if it had no gaps: this plus its
    /// length is the offset to go on at. Returns the length.
    fn note_offset(&self, file: &File) -> Result<u64, LogError> {
        let meta = file
            .metadata()
            .map_err(|error| self.failed("examine", error))?;
        let begin = self.written_until().wrapping_sub(meta.len());
        let new = with_suffix(&self.name, ".offset.new");
        let id = LogId::to_value(self.cursor.log().id());
        self.folder
            .write(&new, &format!("{begin} {} {id:032x}\n", meta.ino()))
            .and_then(|()| {
                self.folder
                    .rename(&new, &with_suffix(&self.name, ".offset"))
            })
            .map_err(|error| self.failed("write the offset of", error))?;
        Ok(meta.len())
    }

    fn failed(&self, doing: &'static str, error: io::Error) -> LogError {
        LogError::io(doing, error).at(&self.name)
    }

    /// The offset of the log up to which the files are written.
    #[must_use]
    pub fn written_until(&self) -> u64 {
        self.cursor.offset() - (self.waiting.len() - self.done) as u64
    }

    /// Bytes that the log overwrote before they were read.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.cursor.lost()
    }

    /// How often [`pump`](Self::pump) failed.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.errors
    }
}

/// The lock of the files' one owner; `None` if there is another.
fn try_lock(folder: &Folder, name: &Path) -> Result<Option<WriterLock>, LogError> {
    let name = with_suffix(name, ".lock");
    let file = folder.open_append(&name)?;
    match file.try_lock() {
        // Unlocked when dropped: a process forked meanwhile may hold the file open for a while.
        Ok(()) => Ok(Some(WriterLock(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(LogError::io("lock", error).at(&name)),
    }
}

/// A reader that begins after what is in the files already.
fn cursor_after(folder: &Folder, name: &Path, log: &BootLog) -> Cursor {
    let offset = written_until(folder, name, log.id())
        .filter(|&offset| offset <= log.head())
        .unwrap_or(0);
    log.cursor(Start::Offset(offset))
        .with_gap_policy(GapPolicy::Note)
}

/// The offset up to which an earlier process copied this log, by its note; `None` if it copied
/// another.
fn written_until(folder: &Folder, name: &Path, id: Option<LogId>) -> Option<u64> {
    let note = folder.read_to_string(&with_suffix(name, ".offset")).ok()?;
    let mut words = note.split_whitespace();
    let (begin, inode): (u64, u64) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    // A note of an older version has no identity, and an older log has none.
    let noted = words
        .next()
        .and_then(|word| LogId::new(u128::from_str_radix(word, 16).ok()?));
    if let (Some(noted), Some(id)) = (noted, id)
        && noted != id
    {
        return None;
    }
    // Killed while it rotated, the process may have left the noted file as `NAME.1`.
    let files = [name.to_path_buf(), numbered(name, 1)]
        .into_iter()
        .filter_map(|name| folder.stat(&name).ok());
    let noted = files.into_iter().find(|stat| stat.st_ino == inode)?;
    Some(begin.wrapping_add(noted.st_size.cast_unsigned()))
}
