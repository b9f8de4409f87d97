//! Making and opening logs: in memory, or in a file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, fchmod};
use rustix::process::geteuid;

use super::checks::{check_at_rest, check_counters};
use super::config::LogConfig;
use super::error::LogError;
use super::id::{self, LogId};
use super::layout::{FIXED, Layout};
use super::log_file::{allocate, fixed_header, format, regular_len, whole_layout};
use super::memory::Memory;
use super::reader::BootLog;
use super::writer::{LogWriter, WriterLock};

impl BootLog {
    /// A log in this process's memory. Pages that were never written cost nothing.
    ///
    /// # Errors
    /// [`LogError::Size`] for a size out of range, [`LogError::Map`] if no address space is left,
    /// [`LogError::Io`] if the system has no random numbers for the log's [identity](LogId).
    pub fn in_memory(config: LogConfig) -> Result<(LogWriter, Self), LogError> {
        config.check()?;
        let memory = Memory::anonymous(Layout::new(&config))?;
        identify(&memory)?;
        Ok(with_reader(LogWriter::resume(Arc::new(memory), None)))
    }

    /// A log in a new file, of mode 0600, all of whose blocks are allocated now. If this fails, no file is left.
    ///
    /// # Errors
    /// [`LogError::Size`]; [`LogError::Io`] if the file exists, its directory does not, or the disk is full.
    pub fn create_file(
        path: impl AsRef<Path>,
        config: LogConfig,
    ) -> Result<(LogWriter, Self), LogError> {
        let path = path.as_ref();
        config.check()?;
        let file = options()
            .create_new(true)
            .open(path)
            .map_err(|e| LogError::io("create", e).at(path))?;
        let lock = WriterLock::take(&file).map_err(|e| e.at(path))?;
        format(&file, Layout::new(&config))
            .and_then(|()| resume(file, lock, None))
            .map_err(|error| {
                // Only its maker can come here: the lock was taken on a file that did not exist before.
                let _ = fs::remove_file(path);
                error.at(path)
            })
    }

    /// Takes up a log that an earlier writer left in a file: offsets, boot count and marks go on. Its sizes are
    /// those it was created with; see [`config`](Self::config).
    ///
    /// The file becomes private again, with mode 0600, if it is not and belongs to this process's user; both this and a
    /// file of another user that others may open are told as a warning in the `log` crate. Whoever lets others read it
    /// passes them a descriptor, or changes the mode while the writer lives.
    ///
    /// ```
    /// use vm_console::{BootLog, LogConfig, MarkKind, UnixTime};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let path = dir.path().join("ttyS0.log");
    /// let (mut writer, _) = BootLog::create_file(&path, LogConfig::default())?;
    /// writer.begin_boot(MarkKind::PowerOn, UnixTime::from_nanos(0));
    /// writer.append(b"before");
    /// assert!(BootLog::open_file(&path).unwrap_err().to_string().contains("another process"));
    /// drop(writer);
    ///
    /// let (mut writer, log) = BootLog::open_file(&path)?;
    /// writer.append(b" and after");
    /// assert_eq!((log.read_at(0, 100).bytes, log.epoch()), (b"before and after".to_vec(), 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Every variant of [`LogError`]: the file is checked before a byte of it is relied on, and left as it is if
    /// anything is wrong.
    pub fn open_file(path: impl AsRef<Path>) -> Result<(LogWriter, Self), LogError> {
        let path = path.as_ref();
        let file = options()
            .open(path)
            .map_err(|e| LogError::io("open", e).at(path))?;
        let lock = WriterLock::take(&file).map_err(|e| e.at(path))?;
        resume(file, lock, Some(path)).map_err(|e| e.at(path))
    }

    /// [`open_file`](Self::open_file) if there is one, else [`create_file`](Self::create_file). An empty file, and one
    /// whose creation was interrupted, are made anew.
    ///
    /// A file that is there keeps its own sizes. If they are not those of `config`, a warning in the `log` crate tells
    /// both, and [`config`](Self::config) tells those that hold; to change them, move the file away.
    ///
    /// # Errors
    /// As those two.
    pub fn open_or_create_file(
        path: impl AsRef<Path>,
        config: LogConfig,
    ) -> Result<(LogWriter, Self), LogError> {
        let path = path.as_ref();
        config.check()?;
        match options().open(path) {
            Ok(file) => open_or_format(file, config, Some(path)).map_err(|e| e.at(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Self::create_file(path, config)
            }
            Err(error) => Err(LogError::io("open", error).at(path)),
        }
    }

    /// A log in a file that was opened by somebody else, for reading and writing: made there if the file is empty
    /// or its making was interrupted, taken up if not. A memfd will do.
    ///
    /// # Errors
    /// As [`open_file`](Self::open_file).
    pub fn in_file(file: File, config: LogConfig) -> Result<(LogWriter, Self), LogError> {
        config.check()?;
        open_or_format(file, config, None)
    }

    /// A log for reading only, while its writer lives or after. It needs no permission to write, takes no lock,
    /// and is never noticed by the writer. To follow a live writer, read again after a while: nothing rings across
    /// processes.
    ///
    /// # Errors
    /// As [`open_file`](Self::open_file), but never [`LogError::InUse`].
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, LogError> {
        let path = path.as_ref();
        let mut options = OpenOptions::new();
        // Opening a FIFO must not wait for its other end.
        options
            .read(true)
            .custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let file = options
            .open(path)
            .map_err(|e| LogError::io("open", e).at(path))?;
        Self::read_only(file).map_err(|e| e.at(path))
    }

    /// As [`open_read_only`](Self::open_read_only), in a file that was opened by somebody else.
    ///
    /// # Errors
    /// As [`open_read_only`](Self::open_read_only).
    pub fn read_only(file: File) -> Result<Self, LogError> {
        let layout = whole_layout(&file)?;
        let memory = Memory::of_reader(file, layout)?;
        check_counters(&memory)?;
        Ok(Self::of(Arc::new(memory)))
    }
}

impl WriterLock {
    fn take(file: &File) -> Result<Self, LogError> {
        match file.try_lock() {
            Ok(()) => file
                .try_clone()
                .map(Self)
                .map_err(|e| LogError::io("duplicate", e)),
            Err(TryLockError::WouldBlock) => Err(LogError::InUse),
            Err(TryLockError::Error(error)) => Err(LogError::io("lock", error)),
        }
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .mode(0o600)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    options
}

fn with_reader(writer: LogWriter) -> (LogWriter, BootLog) {
    let log = writer.log();
    (writer, log)
}

/// Takes a log up, or makes it in a file that is empty or whose making was interrupted. The path is that by which
/// the file was opened here.
fn open_or_format(
    file: File,
    config: LogConfig,
    path: Option<&Path>,
) -> Result<(LogWriter, BootLog), LogError> {
    let lock = WriterLock::take(&file)?;
    let len = regular_len(&file)?;
    if len == 0 {
        if let Err(error) = format(&file, Layout::new(&config)) {
            // As empty as it was. A second error would add nothing.
            let _ = file.set_len(0);
            return Err(error);
        }
    } else if len == FIXED as u64 {
        // `format` writes this much before it gives the file its length.
        let layout = fixed_header(&file, len)?;
        format(&file, layout)?;
    }
    let (writer, log) = resume(file, lock, path)?;
    if log.config() != config {
        let name = path.unwrap_or(Path::new("in a passed file"));
        ::log::warn!(
            "boot log {}: keeps its sizes, {}, and not those asked for, {config}",
            name.display(),
            log.config()
        );
    }
    Ok((writer, log))
}

/// Checks and maps a file whose lock is held.
fn resume(
    file: File,
    lock: WriterLock,
    path: Option<&Path>,
) -> Result<(LogWriter, BootLog), LogError> {
    let layout = whole_layout(&file)?;
    allocate(&file, layout)?;
    let private = path.map(|path| (path, file.try_clone()));
    let memory = Memory::of_writer(file, layout)?;
    check_counters(&memory)?;
    check_at_rest(&memory)?;
    identify(&memory)?;
    if let Some((path, Ok(file))) = private {
        make_private(&file, path);
    }
    Ok(with_reader(LogWriter::resume(Arc::new(memory), Some(lock))))
}

/// Takes the file's access from all but its owner. The log goes on if that cannot be done: it is told.
fn make_private(file: &File, path: &Path) {
    let Ok(meta) = file.metadata() else { return };
    let mode = meta.mode() & 0o7777;
    if !Mode::from_raw_mode(mode).intersects(Mode::RWXG | Mode::RWXO) {
        return;
    }
    let path = path.display();
    let is_owner = meta.uid() == geteuid().as_raw();
    if is_owner && fchmod(file, Mode::RUSR | Mode::WUSR).is_ok() {
        ::log::warn!("boot log {path}: its mode {mode:04o} let others open it, and is 0600 now");
    } else {
        ::log::warn!("boot log {path}: its mode {mode:04o} lets others open it; make it 0600");
    }
}

/// Gives the log an identity, unless it has one: the log is new, or older than identities, or its maker
/// was killed before the identity was whole.
fn identify(memory: &Memory) -> Result<(), LogError> {
    if id::load(memory) == id::Stored::None {
        id::store(memory, LogId::random()?);
    }
    Ok(())
}
