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

mod link;
mod pair;

use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::link::{LinkClaim, point};
use self::pair::Pair;
use super::Transport;
use super::accept::{Accepted, Accepts, Came, Release};
use super::bind_error::BindError;
use super::stream::File;

/// How long the replay waits after an open. Terminal programs first set the line up, and flush the
/// output that has arrived by then.
const SETTLE: Duration = Duration::from_millis(150);

/// A pseudo-terminal, whose slave is reached through a symlink. Dropping it removes the symlink,
/// unless the owner [keeps](Self::keep) the pty.
#[derive(Debug)]
pub struct Pty {
    place: Arc<Place>,
    /// Whether a client was accepted and not released yet.
    is_served: bool,
}

/// The pty at a symlink. It may become another one; the symlink follows.
#[derive(Debug)]
struct Place {
    link: PathBuf,
    device: PtyDevice,
    /// `None` while no new pty could be made.
    pair: Mutex<Option<Pair>>,
    /// Released after the symlink is gone, so that the next owner finds none.
    claim: LinkClaim,
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
        let claim = LinkClaim::take(link).map_err(|source| not_claimed(link, source))?;
        let pair = Pair::new().map_err(|source| error("cannot make a pty", source))?;
        Self::at(link, claim, pair)
    }

    /// Takes over a pty from the VMM that this one replaces, with its symlink at `link`; or one that
    /// somebody else has made, with a new symlink. It is made raw and non-blocking. A client that
    /// has its slave open is served.
    ///
    /// # Errors
    /// As [`open`](Self::open), and if the master is none. The descriptors are closed then.
    pub fn adopt(descriptors: PtyDescriptors, link: impl AsRef<Path>) -> Result<Self, BindError> {
        let link = link.as_ref();
        let error = |what, source: io::Error| BindError::pty(link.as_os_str(), what, source);
        let claim = match descriptors.lock {
            Some(lock) => LinkClaim::adopt(link, lock.into()),
            None => LinkClaim::take(link),
        };
        let claim = claim.map_err(|source| not_claimed(link, source))?;
        let pair = Pair::of(descriptors.master)
            .map_err(|source| error("cannot use the master that was passed", source))?;
        Self::at(link, claim, pair)
    }

    fn at(link: &Path, claim: LinkClaim, pair: Pair) -> Result<Self, BindError> {
        let error = |what, source: io::Error| BindError::pty(link.as_os_str(), what, source);
        point(link, pair.device()).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => error(
                "a file that is no symlink is in the way: remove it, or choose another path",
                source,
            ),
            _ => error("cannot make the symlink", source),
        })?;
        let place = Place {
            link: link.to_owned(),
            device: PtyDevice::new(pair.device().to_owned()),
            pair: Mutex::new(Some(pair)),
            claim,
        };
        Ok(Self {
            place: Arc::new(place),
            is_served: false,
        })
    }

    /// A hold on the pty for the owner, who gives this to a service: pty and symlink stay when the
    /// service has let go of them. See [`transport`](super#over-a-restart).
    #[must_use]
    pub fn keep(&self) -> KeptPty {
        KeptPty(Arc::clone(&self.place))
    }

    /// Tells the slave's device, also after this was given to a [`Listener`](super::Listener).
    #[must_use]
    pub fn device(&self) -> PtyDevice {
        self.place.device.clone()
    }
}

fn not_claimed(link: &Path, source: io::Error) -> BindError {
    let (what, source) = match source.kind() {
        io::ErrorKind::WouldBlock => (
            "another server has a pty there: stop it, or choose another path",
            io::ErrorKind::AddrInUse.into(),
        ),
        _ => ("cannot lock the symlink's name", source),
    };
    BindError::pty(link.as_os_str(), what, source)
}

/// Keeps a pty and its symlink when their [`Listener`](super::Listener) is gone, for the VMM that
/// replaces this one. Dropping it removes the symlink, unless a service has the pty.
#[derive(Debug)]
pub struct KeptPty(Arc<Place>);

/// A pty on its way to another process: what [`Pty::adopt`] takes.
#[derive(Debug)]
pub struct PtyDescriptors {
    /// The master. The slave and its settings stay for as long as it is open.
    pub master: OwnedFd,
    /// The locked file `link.lock`, so that nobody else takes the symlink's place meanwhile; `None`
    /// if the pty has no symlink yet.
    pub lock: Option<OwnedFd>,
}

impl KeptPty {
    /// Gives the pty to another process. From then on nothing that is dropped here ends it or
    /// removes its symlink. Call it once the service has let go of the pty, which would otherwise
    /// replace it after its next client.
    ///
    /// # Errors
    /// No descriptor is left, or there is no pty, because the last one was closed with its client
    /// and no other could be made.
    pub fn into_descriptors(self) -> io::Result<PtyDescriptors> {
        let Some(pair) = &*self.0.pair() else {
            return Err(io::Error::other("no pty could be made after the last one"));
        };
        Ok(PtyDescriptors {
            master: pair.master()?,
            lock: Some(self.0.claim.leave()?),
        })
    }
}

impl Accepts for Pty {
    fn descriptor(&self) -> Option<RawFd> {
        self.place.pair().as_ref().map(Pair::watch)
    }

    fn accept(&mut self) -> Came {
        let pair = self.place.pair();
        let Some(pair) = &*pair else {
            return Came::Nobody;
        };
        match (pair.is_open(), self.is_served) {
            (false, true) => Came::Left,
            (true, false) => match pair.master() {
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
        let mut pair = self.place.pair();
        if let (Release::Left, Some(pair)) = (how, &*pair) {
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
        let next = Pair::new().or_else(|_| {
            *pair = None;
            Pair::new()
        })?;
        point(&self.place.link, next.device())?;
        self.place.device.set(next.device().to_owned());
        *pair = Some(next);
        Ok(())
    }
}

impl Place {
    fn pair(&self) -> MutexGuard<'_, Option<Pair>> {
        self.pair.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let leads_here =
            || std::fs::read_link(&self.link).is_ok_and(|target| target == self.device.path());
        if !self.claim.is_left() && leads_here() {
            // If this fails, the next owner replaces the symlink.
            let _ = std::fs::remove_file(&self.link);
        }
    }
}
