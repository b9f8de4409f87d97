//! The two ends of a pty.

use std::ffi::{CString, OsStr};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags};
use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::{OptionalActions, QueueSelector};

#[derive(Debug)]
pub(super) struct Pair {
    master: OwnedFd,
    /// Inotify, readable after the slave was opened or closed.
    watch: OwnedFd,
    device: PathBuf,
}

impl Pair {
    pub(super) fn new() -> io::Result<Self> {
        let master =
            rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        rustix::pty::grantpt(&master)?;
        rustix::pty::unlockpt(&master)?;
        Self::of(master)
    }

    /// The pty of this master. Fails with `ENOTTY` if it is none.
    pub(super) fn of(master: OwnedFd) -> io::Result<Self> {
        let flags = rustix::fs::fcntl_getfl(&master)?;
        rustix::fs::fcntl_setfl(&master, flags | OFlags::NONBLOCK)?;
        let device: CString = rustix::pty::ptsname(&master, Vec::new())?;
        let watch = rustix::fs::inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let events = WatchFlags::OPEN | WatchFlags::CLOSE_WRITE | WatchFlags::CLOSE_NOWRITE;
        rustix::fs::inotify::add_watch(&watch, &device, events)?;
        let device = PathBuf::from(OsStr::from_bytes(device.as_bytes()));
        let pair = Self {
            master,
            watch,
            device,
        };
        let slave = pair.open_slave()?;
        let mut settings = rustix::termios::tcgetattr(&slave)?;
        settings.make_raw();
        rustix::termios::tcsetattr(&slave, OptionalActions::Now, &settings)?;
        // The master is hung up only after the slave was open once and is closed.
        drop(slave);
        Ok(pair)
    }

    fn open_slave(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        Ok(rustix::fs::open(&self.device, flags, Mode::empty())?)
    }

    pub(super) fn master(&self) -> io::Result<OwnedFd> {
        self.master.try_clone()
    }

    pub(super) fn watch(&self) -> RawFd {
        self.watch.as_raw_fd()
    }

    pub(super) fn device(&self) -> &Path {
        &self.device
    }

    /// Whether the slave is open in any process.
    pub(super) fn is_open(&self) -> bool {
        let mut buffer = [MaybeUninit::uninit(); 1024];
        let mut events = Reader::new(&self.watch, &mut buffer);
        // An error means that there is no further event now.
        while events.next().is_ok() {}
        let mut master = [PollFd::new(&self.master, PollFlags::empty())];
        let now = Timespec::default();
        match rustix::event::poll(&mut master, Some(&now)) {
            Ok(_) => !master[0].revents().contains(PollFlags::HUP),
            // The next event leads to another look.
            Err(_) => false,
        }
    }

    /// Drops the output that has not been read from the slave.
    pub(super) fn drop_unread(&self) -> io::Result<()> {
        let slave = self.open_slave()?;
        Ok(rustix::termios::tcflush(&slave, QueueSelector::IFlush)?)
    }
}
