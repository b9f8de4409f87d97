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
    /// Makes a log in this process's memory. Pages that were never written cost nothing.
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

    /// Makes a log in a new file of mode 0600, and allocates all its blocks. If this fails, no file
    /// is left.
    ///
    /// # Errors
    /// [`LogError::Size`]; [`LogError::Io`] if the file exists, its directory does not, or the disk
    /// is full.
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
                // The file is ours: it did not exist before, and its lock was free.
                let _ = fs::remove_file(path);
                error.at(path)
            })
    }

    /// Opens a log that an earlier writer left in a file: offsets, epochs and marks go on. The log
    /// keeps the sizes it was made with; see [`config`](Self::config).
    ///
    /// If the file's mode lets others open it, and the file belongs to this process's user, the
    /// mode becomes 0600. If it belongs to another user, it stays. A warning through the `log`
    /// crate reports either. To let others read the log, pass them a descriptor, or change the mode
    /// while the writer lives.
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
    /// [`LogError`], in nearly every variant. The file is checked before a byte of it is relied on.
    /// If anything is wrong, it is left as it is.
    pub fn open_file(path: impl AsRef<Path>) -> Result<(LogWriter, Self), LogError> {
        let path = path.as_ref();
        let file = options()
            .open(path)
            .map_err(|e| LogError::io("open", e).at(path))?;
        let lock = WriterLock::take(&file).map_err(|e| e.at(path))?;
        resume(file, lock, Some(path)).map_err(|e| e.at(path))
    }

    /// [Opens the file](Self::open_file) if there is one, else [creates it](Self::create_file). An
    /// empty file, and one whose creation was interrupted, are made anew.
    ///
    /// An existing log keeps its sizes. If `config` has another, and not by default, a warning
    /// through the `log` crate reports both, and [`config`](Self::config) answers those that the log has. To change
    /// them, move the file away.
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

    /// As [`open_or_create_file`](Self::open_or_create_file), in a file that somebody else has
    /// opened for reading and writing. Its mode is left alone. The file may be a memfd.
    ///
    /// The lock that keeps a second writer away belongs to the open file, and not to the process.
    /// It does not keep away a process that was handed this very descriptor, or a duplicate of it:
    /// before that one opens the log, drop this writer.
    ///
    /// # Errors
    /// As [`open_file`](Self::open_file).
    pub fn in_file(file: File, config: LogConfig) -> Result<(LogWriter, Self), LogError> {
        config.check()?;
        open_or_format(file, config, None)
    }

    /// Opens a log for reading only, while its writer lives or afterwards. This needs no permission
    /// to write and takes no lock, and the writer does not notice it. To follow a live writer, read
    /// again after a while, because no doorbell rings across processes.
    ///
    /// # Errors
    /// As [`open_file`](Self::open_file), but never [`LogError::InUse`].
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, LogError> {
        let path = path.as_ref();
        let mut options = OpenOptions::new();
        // Opening a FIFO must not wait for the other end.
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

/// Opens the log in this file, or makes it if the file is empty or its making was interrupted.
/// `path` is given if the file was opened here by name.
fn open_or_format(
    file: File,
    config: LogConfig,
    path: Option<&Path>,
) -> Result<(LogWriter, BootLog), LogError> {
    let lock = WriterLock::take(&file)?;
    let len = regular_len(&file)?;
    if len == 0 {
        if let Err(error) = format(&file, Layout::new(&config)) {
            // The file is empty again. A second error would add nothing.
            let _ = file.set_len(0);
            return Err(error);
        }
    } else if len == FIXED as u64 {
        // `format` was interrupted after the header.
        let layout = fixed_header(&file, len)?;
        format(&file, layout)?;
    }
    let (writer, log) = resume(file, lock, path)?;
    if config.asks_to_change(log.config()) {
        let name = path.unwrap_or(Path::new("in a passed file"));
        ::log::warn!(
            "boot log {}: keeps its sizes, {}, and not those asked for, {config}; for others, \
             begin a new file",
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

/// Lets nobody but its owner open the file. If that cannot be done, a warning must suffice: the log
/// is needed more than its privacy.
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

/// Gives the log an identity if it has none: it is new, or of an older version, or its maker was
/// killed before the identity was whole.
fn identify(memory: &Memory) -> Result<(), LogError> {
    if id::load(memory) == id::Stored::None {
        id::store(memory, LogId::random()?);
    }
    Ok(())
}
