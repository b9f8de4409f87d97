//! A pseudo-terminal with a stable name, for `picocom` and `screen`.
//!
//! A session begins when the slave is opened and ends when it is closed, as on a socket. The master
//! is hung up while nobody has the slave open. An open causes no event on the master, so inotify
//! watches the slave's device, and each of its events means a look at the master. They are not
//! counted, since the kernel merges equal events that follow each other. The line's settings (raw)
//! stay while the master is open.
//!
//! To disconnect a client (taken over, idle, refused), the service closes the pty, which hangs the
//! client up. It makes another pty and moves the symlink to that in one step. BREAK cannot cross a
//! pty: use a control socket.

use std::ffi::{CString, OsStr};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pty::OpenptFlags;
use rustix::termios::{OptionalActions, QueueSelector};

use super::Transport;
use super::accept::{Accepted, Accepts, Came, Release};
use super::bind_error::BindError;
use super::stream::File;

/// How long the replay waits after an open. Terminal programs first set the line up, and flush the
/// output that has arrived by then.
const SETTLE: Duration = Duration::from_millis(150);

/// A pseudo-terminal, whose slave is reached through a symlink. Dropping it removes the symlink.
#[derive(Debug)]
pub struct Pty {
    link: PathBuf,
    device: PtyDevice,
    /// `None` while no new pty could be made.
    pair: Option<Pair>,
    /// Released after the symlink is gone, so that the next owner finds none.
    _claim: LinkClaim,
    /// Whether a client was accepted and not released yet.
    is_served: bool,
}

/// Tells the slave's device of a [`Pty`] that was given away. Cheap to clone.
///
/// ```no_run
/// use vm_console::transport::{Listener, pty::Pty};
///
/// let pty = Pty::open("/run/vm/vm-7.pty")?;
/// let device = pty.device();
/// let listener = Listener::pty(pty);
/// println!("the console is at {}", device.path().display());
/// # Ok::<(), vm_console::transport::unix::BindError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PtyDevice(Arc<Mutex<PathBuf>>);

impl PtyDevice {
    fn new(path: PathBuf) -> Self {
        Self(Arc::new(Mutex::new(path)))
    }

    /// The path of the device to which the symlink leads now, such as `/dev/pts/3`. It is another
    /// one after a client was disconnected.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.lock().clone()
    }

    fn set(&self, path: PathBuf) {
        *self.lock() = path;
    }

    fn lock(&self) -> MutexGuard<'_, PathBuf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Pair {
    master: OwnedFd,
    /// Inotify, readable after the slave was opened or closed.
    watch: OwnedFd,
    device: PathBuf,
}

impl Pty {
    /// Makes a pty, and a symlink to its slave at `link`.
    ///
    /// A symlink of an owner that is gone is replaced; anything else at `link` is left alone. While
    /// the pty lives it holds a lock on the file `link.lock` beside it, and removes that file at
    /// the end. The symlink alone could not show that its owner is gone, because the device's
    /// number is soon given to another terminal.
    ///
    /// # Errors
    /// The [kind](BindError::kind) is `AddrInUse` if another owner serves a pty there, and
    /// `AlreadyExists` if there is something that is no symlink. Otherwise no pty can
    /// be made, or not the lock file or the symlink.
    pub fn open(link: impl AsRef<Path>) -> Result<Self, BindError> {
        let link = link.as_ref();
        let error = |what, source: io::Error| BindError::pty(link.as_os_str(), what, source);
        let claim = LinkClaim::take(link).map_err(|source| match source.kind() {
            io::ErrorKind::WouldBlock => {
                let source = io::ErrorKind::AddrInUse.into();
                error(
                    "another server has a pty there: stop it, or choose another path",
                    source,
                )
            }
            _ => error("cannot lock the symlink's name", source),
        })?;
        let pair = Pair::new().map_err(|source| error("cannot make a pty", source))?;
        point(link, &pair.device).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => error(
                "a file that is no symlink is in the way: remove it, or choose another path",
                source,
            ),
            _ => error("cannot make the symlink", source),
        })?;
        Ok(Self {
            link: link.to_owned(),
            device: PtyDevice::new(pair.device.clone()),
            pair: Some(pair),
            _claim: claim,
            is_served: false,
        })
    }

    /// Tells the slave's device, also after this was given to a [`Listener`](super::Listener).
    #[must_use]
    pub fn device(&self) -> PtyDevice {
        self.device.clone()
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
                        address: None,
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
            // Output that the last client did not read is not for the next one. If that is there
            // already, or if this fails, it gets that output.
            if !pair.is_open() {
                let _ = pair.drop_unread();
            }
            return Ok(());
        }
        // Closing the old pty hangs its client up. The new pty is made first, so that the symlink
        // never leads nowhere. If it cannot be made, the client is hung up all the same, which may
        // free the descriptors for another try.
        let pair = Pair::new().or_else(|_| {
            self.pair = None;
            Pair::new()
        })?;
        point(&self.link, &pair.device)?;
        self.device.set(pair.device.clone());
        self.pair = Some(pair);
        Ok(())
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if std::fs::read_link(&self.link).is_ok_and(|target| target == self.device.path()) {
            // If this fails, the next owner replaces the symlink.
            let _ = std::fs::remove_file(&self.link);
        }
    }
}

/// The right to make the symlink, for as long as this lives.
#[derive(Debug)]
struct LinkClaim {
    path: PathBuf,
    file: std::fs::File,
}

impl LinkClaim {
    /// Fails with `WouldBlock` if another owner has it.
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
            // The last owner may have removed the file before it was locked here.
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
        // The file is removed while it is locked. An owner that has it open sees after locking it
        // that it is not the file at the path.
        let _ = std::fs::remove_file(&self.path);
        // Closing is not enough: a process forked meanwhile may keep the file open for a while.
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
        // The master is hung up only after the slave was open once and is closed.
        drop(slave);
        Ok(pair)
    }

    fn open_slave(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        Ok(rustix::fs::open(&self.device, flags, Mode::empty())?)
    }

    /// Whether the slave is open in any process.
    fn is_open(&self) -> bool {
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
    fn drop_unread(&self) -> io::Result<()> {
        let slave = self.open_slave()?;
        Ok(rustix::termios::tcflush(&slave, QueueSelector::IFlush)?)
    }
}

/// Makes `link` a symlink to `device`. A symlink that is there is replaced in one step.
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
    // There is one only if an earlier process of the same id has left it.
    let _ = std::fs::remove_file(&draft);
    std::os::unix::fs::symlink(device, &draft)?;
    std::fs::rename(&draft, link).inspect_err(|_| {
        let _ = std::fs::remove_file(&draft);
    })
}
