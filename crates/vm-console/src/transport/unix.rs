//! Listening unix stream sockets: made without a race, replaced only if nobody listens, removed in
//! the end.

use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::{AtFlags, Mode, RenameFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::{Gid, Uid};

use super::Transport;
use super::accept::{Accepted, Accepts, Came, Release};
use super::directory::Directory;
use super::identity::Credentials;
use super::kept::KeptSocket;
use super::listening::{ListeningSocket, accept};
use super::socket::Socket;
use super::socket_file::{SocketFile, inode_at};

pub use super::bind_error::BindError;

/// Most connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// The users that may connect, by their effective user id (`SO_PEERCRED`). A socket in the file
/// system is also guarded by its mode; an abstract one has no mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peers {
    /// All users, as far as the socket's mode lets them in.
    Anyone,
    /// Only the users with these ids.
    Uids(Vec<u32>),
}

impl Peers {
    /// The user that runs this process, and root.
    #[must_use]
    pub fn own() -> Self {
        Self::Uids(vec![rustix::process::geteuid().as_raw(), 0])
    }

    pub(crate) fn admit(&self, uid: Option<u32>) -> bool {
        match self {
            Self::Anyone => true,
            Self::Uids(uids) => uid.is_some_and(|uid| uids.contains(&uid)),
        }
    }
}

/// The options for making a socket file.
///
/// ```
/// use vm_console::transport::unix::BindOptions;
///
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("vm-7.sock");
/// let socket = BindOptions { mode: 0o660, ..BindOptions::default() }.bind(&path)?;
/// assert!(path.exists());
/// drop(socket);
/// assert!(!path.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindOptions {
    /// Permission bits of the file. Default: 0600.
    pub mode: u32,
    /// User id and group id of the file's owner. Default: those of this process.
    pub owner: Option<(u32, u32)>,
    /// The users that may connect. Default: all that the mode lets in.
    pub peers: Peers,
}

impl Default for BindOptions {
    fn default() -> Self {
        Self {
            mode: 0o600,
            owner: None,
            peers: Peers::Anyone,
        }
    }
}

impl BindOptions {
    /// Makes a listening socket at `path`.
    ///
    /// The socket is made under another name in the same directory, and renamed when it is ready.
    /// So there is never a file at `path` that has a wider mode or another owner than asked for, or
    /// that does not listen. A socket file that is there already is replaced only if nobody listens
    /// on it; anything else is left alone.
    ///
    /// A path of more than 107 bytes takes /proc, which a jail may lack; so does one of a few bytes
    /// less whose last part is shorter than 9 bytes.
    ///
    /// # Errors
    /// By its [kind](BindError::kind): `AddrInUse` if somebody listens there, `AlreadyExists` if
    /// there is something that is no socket, `InvalidInput` if `path` has no file name. Otherwise
    /// the system's error, with the step that failed.
    pub fn bind(&self, path: impl AsRef<Path>) -> Result<UnixSocket, BindError> {
        let path = path.as_ref();
        let error = |what| move |source: Errno| BindError::socket(path.as_os_str(), what, source);
        let Some(name) = path.file_name() else {
            return Err(BindError::socket(
                path.as_os_str(),
                "names no file: give the path of the socket itself",
                io::ErrorKind::InvalidInput,
            ));
        };
        let dir = Directory::of(path).map_err(error("cannot open its directory"))?;
        let fresh = Draft::new(&dir);
        let socket = socket_of(SocketType::STREAM).map_err(error("cannot make a socket"))?;
        // The file gets its mode from the socket, so it is never wider than this, whatever the
        // umask.
        rustix::fs::fchmod(&socket, Mode::from_raw_mode(0o600))
            .map_err(error("cannot set the mode"))?;
        let address = dir
            .address(&fresh.name)
            .map_err(|source| error(source.text())(source.into()))?;
        rustix::net::bind(&socket, &address).map_err(error("cannot bind"))?;
        rustix::net::listen(&socket, BACKLOG).map_err(error("cannot listen"))?;
        if let Some((uid, gid)) = self.owner {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            rustix::fs::chownat(
                &dir,
                &fresh.name,
                Some(uid),
                Some(gid),
                AtFlags::SYMLINK_NOFOLLOW,
            )
            .map_err(error("cannot set the owner"))?;
        }
        if self.mode != 0o600 {
            rustix::fs::chmodat(
                &dir,
                &fresh.name,
                Mode::from_raw_mode(self.mode),
                AtFlags::empty(),
            )
            .map_err(error("cannot set the mode"))?;
        }
        let inode = inode_at(&dir, &fresh.name).map_err(error("cannot look at it"))?;
        publish(&dir, &fresh.name, name)
            .map_err(|(what, source)| BindError::socket(path.as_os_str(), what, source))?;
        fresh.was_renamed();
        let file = SocketFile::new(dir, name, inode, path);
        let socket = ListeningSocket::own(socket);
        Ok(UnixSocket::of(socket, self.peers.clone(), Some(file)))
    }
}

/// A listening unix socket. Dropping it closes it and removes its file, unless that was replaced, or
/// the owner [keeps](Self::keep) the socket.
#[derive(Debug)]
pub struct UnixSocket {
    bound: Arc<BoundSocket>,
    peers: Peers,
}

/// What ends when nobody in this process holds the socket any more.
#[derive(Debug)]
pub(super) struct BoundSocket {
    socket: ListeningSocket,
    file: Option<SocketFile>,
    is_left: AtomicBool,
}

impl BoundSocket {
    /// From now on the socket and its file are another process's.
    pub(super) fn leave_to_another_process(&self) {
        self.is_left.store(true, Ordering::Relaxed);
    }
}

impl Drop for BoundSocket {
    fn drop(&mut self) {
        if *self.is_left.get_mut() {
            self.socket.share();
        } else if let Some(file) = &self.file {
            file.remove();
        }
    }
}

impl UnixSocket {
    /// Listens at `path`, with mode 0600. See [`BindOptions::bind`].
    ///
    /// # Errors
    /// As [`BindOptions::bind`].
    pub fn bind(path: impl AsRef<Path>) -> Result<Self, BindError> {
        BindOptions::default().bind(path)
    }

    /// Listens at an abstract address (`ABSTRACT-CONNECT:name` to socat), which has no file and no
    /// mode. Only this process's user and root may connect, unless [`with_peers`](Self::with_peers)
    /// says otherwise.
    ///
    /// # Errors
    /// The name is taken (kind `AddrInUse`), or longer than 107 bytes.
    pub fn bind_abstract(name: &[u8]) -> Result<Self, BindError> {
        let shown: Vec<u8> = [b"@", name].concat();
        let error = |what| move |source: Errno| (what, source);
        let bind = || {
            let address =
                SocketAddrUnix::new_abstract_name(name).map_err(error("name too long"))?;
            let socket = socket_of(SocketType::STREAM).map_err(error("cannot make a socket"))?;
            rustix::net::bind(&socket, &address).map_err(error("cannot bind"))?;
            rustix::net::listen(&socket, BACKLOG).map_err(error("cannot listen"))?;
            Ok(socket)
        };
        let socket = bind()
            .map_err(|(what, source)| BindError::socket(OsStr::from_bytes(&shown), what, source))?;
        Ok(Self::of(ListeningSocket::own(socket), Peers::own(), None))
    }

    fn of(socket: ListeningSocket, peers: Peers, file: Option<SocketFile>) -> Self {
        let bound = BoundSocket {
            socket,
            file,
            is_left: AtomicBool::new(false),
        };
        Self {
            bound: Arc::new(bound),
            peers,
        }
    }

    /// Takes over a listening socket that was made elsewhere, and makes it non-blocking. Its file,
    /// if it has one, is left alone, and another process may go on listening on it.
    ///
    /// Do not set `SO_PASSPIDFD` on it (`PassPIDFD=` of a service manager): its clients' sockets
    /// would inherit that, and each of their messages would open a descriptor here.
    #[must_use]
    pub fn adopt(socket: OwnedFd, peers: Peers) -> Self {
        make_non_blocking(&socket);
        Self::of(ListeningSocket::shared(socket), peers, None)
    }

    /// As [`adopt`](Self::adopt), of a socket whose file is at `path`, from a process that will not
    /// listen on it any more: the VMM that this one replaces. Socket and file end with this.
    ///
    /// # Errors
    /// By its [kind](BindError::kind): `ConnectionRefused` if nobody listens on the socket at
    /// `path`, `AlreadyExists` if there is no socket, `InvalidInput` if `path` has no file name.
    /// Otherwise the system's error, with the step that failed. The descriptor is closed then.
    pub fn adopt_with_file(
        socket: OwnedFd,
        peers: Peers,
        path: impl AsRef<Path>,
    ) -> Result<Self, BindError> {
        let path = path.as_ref();
        let error = |what, source| BindError::socket(path.as_os_str(), what, source);
        let io = |what| move |source: Errno| error(what, io::Error::from(source));
        let name = path.file_name().ok_or_else(|| {
            error(
                "names no file: give the path of the socket itself",
                io::ErrorKind::InvalidInput.into(),
            )
        })?;
        let dir = Directory::of(path).map_err(io("cannot open its directory"))?;
        let inode = inode_at(&dir, name).map_err(io("cannot look at it"))?;
        match is_listening(&dir, name) {
            Ok(true) => {}
            Ok(false) => {
                return Err(error(
                    "nobody listens there: give the path of the socket that was passed",
                    io::ErrorKind::ConnectionRefused.into(),
                ));
            }
            Err(Errno::NOTSOCK) => {
                return Err(error(
                    "is no socket: give the path of the socket that was passed",
                    io::ErrorKind::AlreadyExists.into(),
                ));
            }
            Err(source) => return Err(io("cannot find out whether somebody listens")(source)),
        }
        make_non_blocking(&socket);
        let file = SocketFile::new(dir, name, inode, path);
        Ok(Self::of(ListeningSocket::own(socket), peers, Some(file)))
    }

    /// A hold on the socket for the owner, who gives this to a service: the socket goes on
    /// listening when the service has let go of it. See [`transport`](super#over-a-restart).
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn keep(&self) -> io::Result<KeptSocket> {
        let socket = self.bound.socket.as_fd().try_clone_to_owned()?;
        Ok(KeptSocket::new(socket, Some(Arc::clone(&self.bound))))
    }

    /// The same socket, to which these users may connect from now on.
    #[must_use]
    pub fn with_peers(mut self, peers: Peers) -> Self {
        self.peers = peers;
        self
    }

    /// The path of its file, if that ends with it.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.bound.file.as_ref().map(SocketFile::path)
    }
}

impl From<UnixListener> for UnixSocket {
    /// Takes over a listener from elsewhere, such as a service manager; see
    /// [`adopt`](UnixSocket::adopt). All users may connect that its mode lets in.
    fn from(listener: UnixListener) -> Self {
        Self::adopt(OwnedFd::from(listener), Peers::Anyone)
    }
}

impl Accepts for UnixSocket {
    fn descriptor(&self) -> Option<RawFd> {
        Some(self.bound.socket.as_fd().as_raw_fd())
    }

    fn accept(&mut self) -> Came {
        // Of another kind, if it was adopted.
        let not_a_stream =
            |error| (error == Errno::OPNOTSUPP).then(|| Came::Dead(Errno::OPNOTSUPP.into()));
        let connection = match accept(self.bound.socket.as_fd(), not_a_stream) {
            Ok(connection) => connection,
            Err(came) => return came,
        };
        let credentials = Credentials::of_peer(&connection);
        let uid = credentials.map(|peer| peer.uid);
        Came::Client(Accepted {
            stream: Box::new(Socket::new(connection, uid)),
            transport: Transport::Unix,
            credentials,
            address: None,
            admitted: self.peers.admit(uid),
            exclusive: false,
            settles: Duration::ZERO,
        })
    }

    fn closes_at_shut_down(&self) -> bool {
        true
    }

    fn release(&mut self, _how: Release) -> io::Result<()> {
        Ok(())
    }
}

/// Accepting must not wait if the client has left meanwhile.
fn make_non_blocking(socket: &OwnedFd) {
    // The only possible error is a closed descriptor, which an owned one is not.
    let _ = rustix::io::ioctl_fionbio(socket, true);
}

fn socket_of(kind: SocketType) -> Result<OwnedFd, Errno> {
    rustix::net::socket_with(
        AddressFamily::UNIX,
        kind,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )
}

/// A file under a temporary name. It is removed with this, unless it was renamed.
struct Draft<'a> {
    dir: BorrowedFd<'a>,
    name: OsString,
    renamed: bool,
}

impl<'a> Draft<'a> {
    fn new(dir: &'a Directory) -> Self {
        // By chance, since processes with one id may share the directory from several jails. And
        // short, so that it fits into an address where the file's own name does.
        let chance = RandomState::new().build_hasher().finish() as u32;
        Self {
            dir: dir.as_fd(),
            name: format!(".{chance:08x}").into(),
            renamed: false,
        }
    }

    fn was_renamed(mut self) {
        self.renamed = true;
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.renamed {
            // If the file was never made there is nothing to remove.
            let _ = rustix::fs::unlinkat(self.dir, &self.name, AtFlags::empty());
        }
    }
}

/// Renames `from` to `to`, replacing a socket on which nobody listens.
///
/// Such a dead socket is first moved aside, and asked again under its new name. Only then is it
/// removed, so a server that starts at the same time cannot lose its socket.
fn publish(dir: &Directory, from: &OsStr, to: &OsStr) -> Result<(), (&'static str, io::Error)> {
    for _ in 0..8 {
        match rustix::fs::renameat_with(dir, from, dir, to, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(()),
            Err(Errno::EXIST) => {}
            Err(source) => return Err(("cannot rename into place", source.into())),
        }
        match is_listening(dir, to) {
            Err(Errno::NOENT) => continue,
            Err(Errno::NOTSOCK) => {
                return Err((
                    "a file that is no socket is in the way: remove it, or choose another path",
                    io::ErrorKind::AlreadyExists.into(),
                ));
            }
            Err(source) => return Err(("cannot find out whether somebody listens", source.into())),
            Ok(true) => {
                return Err((
                    "another server listens there: stop it, or choose another path",
                    io::ErrorKind::AddrInUse.into(),
                ));
            }
            Ok(false) => {}
        }
        let aside = Draft::new(dir);
        match rustix::fs::renameat_with(dir, to, dir, &aside.name, RenameFlags::NOREPLACE) {
            Ok(()) | Err(Errno::NOENT | Errno::EXIST) => {}
            Err(source) => return Err(("cannot move the dead socket aside", source.into())),
        }
        if is_listening(dir, &aside.name) == Ok(true)
            && rustix::fs::renameat_with(dir, &aside.name, dir, to, RenameFlags::NOREPLACE).is_ok()
        {
            aside.was_renamed();
        }
    }
    Err((
        "other servers keep making it: stop them, or choose another path",
        io::ErrorKind::AddrInUse.into(),
    ))
}

fn is_listening(dir: &Directory, name: &OsStr) -> Result<bool, Errno> {
    let file = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if rustix::fs::FileType::from_raw_mode(file.st_mode) != rustix::fs::FileType::Socket {
        return Err(Errno::NOTSOCK);
    }
    // A connection would be an attach, and one by force would end the holder's session. A datagram
    // socket is turned away instead, with an error that tells whether the stream socket is open.
    let probe = socket_of(SocketType::DGRAM)?;
    match rustix::net::connect(probe, &dir.address(name)?) {
        // Somebody has it open. It may be of another kind, or bound and not listening yet.
        Ok(()) | Err(Errno::PROTOTYPE | Errno::PERM) => Ok(true),
        Err(Errno::CONNREFUSED) => Ok(false),
        Err(error) => Err(error),
    }
}
