//! The guest's output as a text file, appended to while the guest runs.
//!
//! This is for people and for log shippers. The [boot log](crate::log) is bounded, binary and in
//! memory; [`StreamFiles`](crate::StreamFiles) hold each byte at a place that can be computed. A
//! text log holds what was printed, byte by byte, and optionally the time before each line.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use std::time::Duration;
//! use vm_console::service::Service;
//! use vm_console::text_log::TextLog;
//! use vm_console::{BootLog, Console, ConsoleConfig, LogConfig, StreamLimits};
//! use vm_uart::SerialPort;
//!
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("vm-7.txt");
//! let (service, thread) = Service::spawn()?;
//! let (writer, _) = BootLog::in_memory(LogConfig::default())?;
//! let (line, console) = Console::new(ConsoleConfig::named("vm-7"), writer)?;
//! let port = Arc::new(Mutex::new(SerialPort::new((), line)));
//! let console = service.add(console, port.clone(), Vec::new())?;
//!
//! let text = console.log_text(TextLog::rotating(&path, StreamLimits::default())?)?;
//! port.lock().unwrap().write_string(0, b"Linux version 6.1.0\r\n");
//!
//! // At the end, what is left is written. The process should not exit before that.
//! service.shut_down();
//! thread.join().unwrap();
//! assert!(text.wait_finished(Duration::from_secs(10)));
//! assert_eq!(std::fs::read(&path)?, b"Linux version 6.1.0\r\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is in the file
//! The bytes of the log, unchanged: carriage returns and escape sequences too. Bytes that the boot
//! log overwrote before they were written are told in a line of their own, which ends an unfinished
//! one: `[4096 bytes of output lost]`. So `bytes in the file + bytes told as lost = bytes printed`,
//! apart from these lines and the times. A guest can print such a line too: ask
//! [`TextLogHandle::lost`].
//!
//! # Who waits
//! Writing a regular file waits for a slow disk, so each text log has a thread of its own,
//! `vm-console-text`. It is a reader of the boot log as any other: it holds up neither the guest
//! nor the service, and if the disk is slower than the guest for longer than the boot log can
//! bridge, that is a gap. The service wakes it when there is output, at most every 4 ms while
//! output flows; otherwise it sleeps.
//!
//! If a write fails (the disk is full, say), that is counted and warned of once, and tried again
//! each second. Nothing is written twice. When the service lets go of the console, the thread
//! writes what is left and ends; a write that fails then is not tried again, and what is left is
//! counted as lost.

mod copier;
mod file;
mod thread;

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

pub use self::thread::TextLogHandle;
pub(crate) use self::thread::Waker;

use self::copier::Copier;
use self::file::TextFile;
use crate::console::Console;
use crate::log::folder::Folder;
use crate::log::line_text::Times;
use crate::log::{LogError, Start, StreamLimits};

/// A text file and what to write to it; see the [module](self).
///
/// Unless told otherwise it begins at the oldest output that the boot log keeps, and puts no times.
#[derive(Debug)]
pub struct TextLog {
    file: TextFile,
    has_times: bool,
    start: Start,
}

impl TextLog {
    /// Appends to the file at `path`, which is made with mode 0600 if it is not there. It grows
    /// without bound.
    ///
    /// # Errors
    /// [`LogError::Io`]: the file cannot be opened.
    pub fn append_to(path: impl AsRef<Path>) -> Result<Self, LogError> {
        Ok(Self::of(TextFile::open(
            Folder::working(),
            path.as_ref(),
            None,
        )?))
    }

    /// As [`append_to`](Self::append_to). A file that is full becomes `NAME.1`, and so on, as
    /// `limits` say: at the end of a line, where one ends.
    ///
    /// # Errors
    /// [`LogError::Size`] for a limit of 0 bytes, [`LogError::Io`] if the file cannot be opened.
    pub fn rotating(path: impl AsRef<Path>, limits: StreamLimits) -> Result<Self, LogError> {
        Self::rotating_at(Folder::working(), path.as_ref(), limits)
    }

    /// As [`rotating`](Self::rotating), in a directory that the owner has opened: one outside of a
    /// jail. `name` is relative to it.
    ///
    /// # Errors
    /// As [`rotating`](Self::rotating).
    pub fn rotating_in(
        directory: OwnedFd,
        name: impl AsRef<Path>,
        limits: StreamLimits,
    ) -> Result<Self, LogError> {
        Self::rotating_at(Folder::opened(directory), name.as_ref(), limits)
    }

    fn rotating_at(folder: Folder, name: &Path, limits: StreamLimits) -> Result<Self, LogError> {
        limits.check()?;
        Ok(Self::of(TextFile::open(folder, name, Some(limits))?))
    }

    /// Appends to a file that the owner has opened: one outside of a jail, or a pipe to another
    /// program. It grows without bound, since a file without a name cannot be begun anew.
    ///
    /// # Errors
    /// The descriptor is not open.
    pub fn in_file(file: OwnedFd) -> io::Result<Self> {
        Ok(Self::of(TextFile::adopt(file)?))
    }

    fn of(file: TextFile) -> Self {
        Self {
            file,
            has_times: false,
            start: Start::Oldest,
        }
    }

    /// Puts the time before each line, in RFC 3339 and UTC: `[2023-11-14T22:13:20.250Z] `. It is
    /// the time that the log keeps, if [`ConsoleConfig::line_times`](crate::ConsoleConfig) is on,
    /// and otherwise the time at which the line's beginning is read: some milliseconds later while
    /// the disk keeps up.
    #[must_use]
    pub fn with_times(mut self) -> Self {
        self.has_times = true;
        self
    }

    /// Begins at this place of the boot log. If both files outlive the VMM, begin at
    /// [`Start::Now`], or where the last one [ended](TextLogHandle::written_until).
    #[must_use]
    pub fn starting_at(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Starts the thread that writes it.
    pub(crate) fn start(self, console: &Console) -> io::Result<(Waker, TextLogHandle)> {
        let times = match (self.has_times, console.config.line_times) {
            (false, _) => Times::Omitted,
            (true, true) => Times::Kept,
            (true, false) => Times::Clock(crate::line::now),
        };
        let cursor = console.log.cursor(self.start);
        thread::start(Copier::new(cursor, times, self.file), console)
    }
}
