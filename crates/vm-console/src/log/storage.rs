//! Making and opening logs: in memory, or in a file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

use rustix::fs::{FallocateFlags, OFlags, fallocate};
use rustix::io::Errno;

use super::config::LogConfig;
use super::error::LogError;
use super::id::{self, LogId};
use super::layout::{BLOCK, FIXED, Layout, MAGIC, MAX_EPOCH, MAX_OFFSET, at, boot_entry, fitting};
use super::memory::Memory;
use super::protocol::Cells;
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
            .and_then(|()| resume(file, lock))
            .map_err(|error| {
                // Only its maker can come here: the lock was taken on a file that did not exist before.
                let _ = fs::remove_file(path);
                error.at(path)
            })
    }

    /// Takes up a log that an earlier writer left in a file: offsets, boot count and marks go on. Its sizes are
    /// those it was created with.
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
        take_up(file).map_err(|e| e.at(path))
    }

    /// [`open_file`](Self::open_file) if there is one, which then keeps its own sizes, else
    /// [`create_file`](Self::create_file). An empty file, and one whose creation was interrupted, are made anew.
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
            Ok(file) => Self::in_file(file, config).map_err(|e| e.at(path)),
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
        resume(file, lock)
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

fn take_up(file: File) -> Result<(LogWriter, BootLog), LogError> {
    let lock = WriterLock::take(&file)?;
    resume(file, lock)
}

/// Checks and maps a file whose lock is held.
fn resume(file: File, lock: WriterLock) -> Result<(LogWriter, BootLog), LogError> {
    let layout = whole_layout(&file)?;
    allocate(&file, layout)?;
    let memory = Memory::of_writer(file, layout)?;
    check_counters(&memory)?;
    check_at_rest(&memory)?;
    identify(&memory)?;
    Ok(with_reader(LogWriter::resume(Arc::new(memory), Some(lock))))
}

/// Gives the log an identity, unless it has one: the log is new, or older than identities, or its maker
/// was killed before the identity was whole.
fn identify(memory: &Memory) -> Result<(), LogError> {
    if id::load(memory) == id::Stored::None {
        id::store(memory, LogId::random()?);
    }
    Ok(())
}

/// Makes an empty log: header, then length. A writer killed in between leaves the header alone, which
/// [`BootLog::in_file`] knows.
fn format(file: &File, layout: Layout) -> Result<(), LogError> {
    file.write_all_at(&layout.fixed_header(), 0)
        .map_err(|e| LogError::io("write", e))?;
    file.set_len(layout.length())
        .map_err(|e| LogError::io("size", e))?;
    allocate(file, layout)
}

/// Allocates every block of the file, so that no store into the mapping can meet a full disk (SIGBUS). A file
/// that was copied with holes gets them filled here too.
fn allocate(file: &File, layout: Layout) -> Result<(), LogError> {
    match fallocate(file, FallocateFlags::empty(), 0, layout.length()) {
        Ok(()) => Ok(()),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
            rewrite(file, layout.length()).map_err(|e| LogError::io("allocate", e))
        }
        Err(error) => Err(LogError::io("allocate", error)),
    }
}

/// Allocates by writing each block as it is, for file systems without fallocate.
fn rewrite(file: &File, len: u64) -> io::Result<()> {
    let mut block = [0; BLOCK as usize];
    for at in (0..len).step_by(block.len()) {
        file.read_exact_at(&mut block, at)?;
        file.write_all_at(&block, at)?;
    }
    Ok(())
}

fn regular_len(file: &File) -> Result<u64, LogError> {
    let meta = file.metadata().map_err(|e| LogError::io("examine", e))?;
    if meta.is_file() {
        Ok(meta.len())
    } else {
        Err(LogError::NotALog)
    }
}

/// The sizes of a file that is a log and has its full length.
fn whole_layout(file: &File) -> Result<Layout, LogError> {
    let len = regular_len(file)?;
    let layout = fixed_header(file, len)?;
    if len < layout.length() {
        return Err(LogError::CutShort {
            len,
            expected: layout.length(),
        });
    }
    Ok(layout)
}

fn fixed_header(file: &File, len: u64) -> Result<Layout, LogError> {
    let mut header = [0; FIXED];
    let there = fitting(header.len(), len);
    file.read_exact_at(&mut header[..there], 0)
        .map_err(|e| LogError::io("read", e))?;
    if there < FIXED {
        let ours = there >= 8 && header[..8] == MAGIC.to_le_bytes();
        return Err(if ours {
            LogError::CutShort {
                len,
                expected: FIXED as u64,
            }
        } else {
            LogError::NotALog
        });
    }
    Layout::parse(&header)
}

fn demand(rules: &[(bool, &'static str, u64)]) -> Result<(), LogError> {
    match rules.iter().find(|(holds, ..)| !holds) {
        Some(&(_, rule, value)) => Err(LogError::Inconsistent { rule, value }),
        None => Ok(()),
    }
}

/// Checks the counters of a log that may be being written.
fn check_counters(memory: &Memory) -> Result<(), LogError> {
    let head = memory.load(at::HEAD, Acquire);
    // Loaded after `head`, so a live writer can only have made it larger.
    let reserved = memory.load(at::RESERVED, Relaxed);
    let floor = memory.load(at::FLOOR, Relaxed);
    let epoch = memory.load(at::EPOCH, Relaxed);
    if let id::Stored::Damaged(check) = id::load(memory) {
        return Err(LogError::Inconsistent {
            rule: "the identity must match its check sum",
            value: check,
        });
    }
    demand(&[
        (
            head <= MAX_OFFSET,
            "the write offset must not exceed 2^62",
            head,
        ),
        (
            reserved >= head,
            "the reserved offset must not be below the write offset",
            reserved,
        ),
        (
            reserved.is_multiple_of(BLOCK),
            "the reserved offset must be a multiple of 4096",
            reserved,
        ),
        (
            floor <= head,
            "the floor must not be above the write offset",
            floor,
        ),
        (
            epoch < MAX_EPOCH,
            "the boot count must be below 2^56",
            epoch,
        ),
    ])
}

/// Checks what holds besides as long as nobody writes.
fn check_at_rest(memory: &Memory) -> Result<(), LogError> {
    let head = memory.load(at::HEAD, Acquire);
    let reserved = memory.load(at::RESERVED, Relaxed);
    let epoch = memory.load(at::EPOCH, Relaxed);
    demand(&[(
        reserved - head <= BLOCK,
        "the reserved offset must be at most 4096 ahead",
        reserved,
    )])?;
    let boot = |slot| {
        let at = boot_entry(slot);
        (memory.load(at, Relaxed), memory.load(at + 8, Relaxed))
    };
    let mut boots: Vec<_> = (0..memory.layout.boots)
        .map(boot)
        .filter(|&(number, _)| number != 0)
        .collect();
    boots.sort_unstable();
    for (&(number, start), next) in boots
        .iter()
        .zip(boots.iter().skip(1).map(Some).chain([None]))
    {
        let (next_number, next_start) = next.copied().unwrap_or((u64::MAX, head));
        demand(&[
            (
                number <= epoch + 1,
                "no boot in the table may be above the boot count",
                number,
            ),
            (
                number < next_number,
                "a boot must be in the table once",
                number,
            ),
            (
                start <= next_start,
                "boots must begin in their order, and not after the write offset",
                start,
            ),
        ])?;
    }
    Ok(())
}
