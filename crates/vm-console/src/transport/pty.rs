//! A pseudo-terminal with a stable name, for `picocom` and `screen`.
//!
//! A session begins when the slave is opened and ends when it is closed, as on a socket. Whether
//! somebody has it open is the master's state: as long as nobody does, the master is hung up. An
//! open causes no event on the master, so inotify on the slave's device tells when to look; its
//! events are not counted, since the kernel merges equal neighbours. The line's settings (raw) stay
//! while the master is open.
//!
//! To disconnect a client (taken over, idle, refused) the pty is closed, which hangs it up, and another is made; the
//! symlink is moved to it in one step. BREAK cannot cross a pty: use a control socket.

use std::ffi::{CString, OsStr};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pty::OpenptFlags;
use rustix::termios::{OptionalActions, QueueSelector};

use super::Transport;
use super::accept::{Accepted, Accepts, Came, Release};
use super::stream::File;
use super::unix::BindError;

/// Terminal programs set the line up after opening it and flush what has arrived by then; replay waits this long.
const SETTLE: Duration = Duration::from_millis(150);

/// A pseudo-terminal, its slave reachable through a symlink. Dropping it removes the symlink.
#[derive(Debug)]
pub struct Pty {
    link: PathBuf,
    device: PathBuf,
    /// `None` when another one could not be had yet.
    pair: Option<Pair>,
    /// Last, so that the symlink is gone when another owner may make it.
    _claim: LinkClaim,
    /// A client of it was accepted and not released.
    is_served: bool,
}

#[derive(Debug)]
struct Pair {
    master: OwnedFd,
    /// Tells opens and closes of the slave.
    watch: OwnedFd,
    device: PathBuf,
}

impl Pty {
    /// Makes a pty and a symlink to its slave at `link`. A symlink that is there is replaced, unless
    /// its owner lives; anything else is left alone. A lock on `link.lock` beside it, which is gone
    /// with the pty, tells owners apart: a device's number alone is soon another terminal's.
    ///
    /// # Errors
    /// Somebody else serves a pty there (`AddrInUse`), no pty can be had, or the symlink cannot be
    /// made.
    pub fn open(link: impl AsRef<Path>) -> Result<Self, BindError> {
        let link = link.as_ref();
        let error = |what, source: io::Error| BindError::new(link.as_os_str(), what, source);
        let claim = LinkClaim::take(link).map_err(|source| match source.kind() {
            io::ErrorKind::WouldBlock => {
                let source = io::ErrorKind::AddrInUse.into();
                error("somebody else serves a pty there", source)
            }
            _ => error("cannot lock the symlink's name", source),
        })?;
        let pair = Pair::new().map_err(|source| error("cannot make a pty", source))?;
        point(link, &pair.device).map_err(|source| error("cannot make the symlink", source))?;
        Ok(Self {
            link: link.to_owned(),
            device: pair.device.clone(),
            pair: Some(pair),
            _claim: claim,
            is_served: false,
        })
    }

    /// The device that the symlink leads to at present.
    #[must_use]
    pub fn device(&self) -> &Path {
        &self.device
    }
}

impl Accepts for Pty {
    fn descriptor(&self) -> Option<RawFd> {
        self.pair.as_ref().map(|pair| pair.watch.as_raw_fd())
    }

    fn accept(&mut self) -> Came {
        let Some(pair) = &self.pair else {
            return Came::Nobody;
        };
        match (pair.is_open(), self.is_served) {
            (false, true) => Came::Left,
            (true, false) => match pair.master.try_clone() {
                Ok(master) => {
                    self.is_served = true;
                    Came::Client(Accepted {
                        stream: Box::new(File(master)),
                        transport: Transport::Pty,
                        credentials: None,
                        admitted: true,
                        exclusive: true,
                        settles: SETTLE,
                    })
                }
                Err(error) => Came::Exhausted(error),
            },
            (true, true) | (false, false) => Came::Nobody,
        }
    }

    fn closes_at_shut_down(&self) -> bool {
        false
    }

    fn release(&mut self, how: Release) -> io::Result<()> {
        self.is_served = false;
        if let (Release::Left, Some(pair)) = (how, &self.pair) {
            // What the last client left unread is not for the next, unless that is there already.
            // An error leaves it what there is.
            if !pair.is_open() {
                let _ = pair.drop_unread();
            }
            return Ok(());
        }
        // Closing the pty hangs its client up. The next one is made first, so that the symlink
        // leads somewhere at all times. If it cannot be had, the client is hung up all the same, and
        // that may free the descriptors for it.
        let pair = Pair::new().or_else(|_| {
            self.pair = None;
            Pair::new()
        })?;
        point(&self.link, &pair.device)?;
        self.device.clone_from(&pair.device);
        self.pair = Some(pair);
        Ok(())
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if std::fs::read_link(&self.link).is_ok_and(|target| target == self.device) {
            // A symlink that stays behind is replaced next time.
            let _ = std::fs::remove_file(&self.link);
        }
    }
}

/// The right to make the symlink, while it lives.
#[derive(Debug)]
struct LinkClaim {
    path: PathBuf,
    file: std::fs::File,
}

impl LinkClaim {
    /// `WouldBlock`: somebody else has it.
    fn take(link: &Path) -> io::Result<Self> {
        let mut path = link.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        loop {
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create(true).mode(0o600);
            options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
            let file = options.open(&path)?;
            file.try_lock()?;
            // Its last owner may have removed it between the two steps.
            let is_there = std::fs::metadata(&path).is_ok_and(|found| {
                file.metadata()
                    .is_ok_and(|ours| (ours.dev(), ours.ino()) == (found.dev(), found.ino()))
            });
            if is_there {
                return Ok(Self { path, file });
            }
        }
    }
}

impl Drop for LinkClaim {
    fn drop(&mut self) {
        // Removed first: whoever locks it afterwards sees that it is not the one at the path.
        let _ = std::fs::remove_file(&self.path);
        // Closing is not enough: a process that was forked meanwhile may hold it open for a while.
        let _ = self.file.unlock();
    }
}

impl Pair {
    fn new() -> io::Result<Self> {
        let master =
            rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        rustix::pty::grantpt(&master)?;
        rustix::pty::unlockpt(&master)?;
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
        // Only a slave that was open and is closed shows on the master.
        drop(slave);
        Ok(pair)
    }

    fn open_slave(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        Ok(rustix::fs::open(&self.device, flags, Mode::empty())?)
    }

    /// Whether somebody has the slave open.
    fn is_open(&self) -> bool {
        let mut buffer = [MaybeUninit::uninit(); 1024];
        let mut events = Reader::new(&self.watch, &mut buffer);
        // An error means: nothing more to read for now.
        while events.next().is_ok() {}
        let mut master = [PollFd::new(&self.master, PollFlags::empty())];
        let now = Timespec::default();
        match rustix::event::poll(&mut master, Some(&now)) {
            Ok(_) => !master[0].revents().contains(PollFlags::HUP),
            // The next event asks again.
            Err(_) => false,
        }
    }

    /// Drops what waits to be read from the slave.
    fn drop_unread(&self) -> io::Result<()> {
        let slave = self.open_slave()?;
        Ok(rustix::termios::tcflush(&slave, QueueSelector::IFlush)?)
    }
}

/// Makes `link` lead to `device`, in one step if it led elsewhere before.
fn point(link: &Path, device: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(link) {
        Ok(found) if !found.is_symlink() => return Err(io::ErrorKind::AlreadyExists.into()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let name = link.file_name().ok_or(Errno::INVAL)?;
    let mut draft = std::ffi::OsString::from(".");
    draft.push(name);
    draft.push(format!(".{}", std::process::id()));
    let draft = link.with_file_name(draft);
    // Left over from a process of the same id, if at all.
    let _ = std::fs::remove_file(&draft);
    std::os::unix::fs::symlink(device, &draft)?;
    std::fs::rename(&draft, link).inspect_err(|_| {
        let _ = std::fs::remove_file(&draft);
    })
}
