//! The directory in which a socket's file is made: held open, so that it stays the same one.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::SocketAddrUnix;

#[derive(Debug)]
pub(super) struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// The directory of the file at `path`.
    pub(super) fn of(path: &Path) -> Result<Self, Errno> {
        let path = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            fd: rustix::fs::open(path, flags, Mode::empty())?,
            path: path.to_owned(),
        })
    }

    /// The address of the socket `name` in it.
    ///
    /// An address holds 107 bytes of a path. A longer path goes through the directory's descriptor,
    /// which takes /proc: a VMM in a jail may have none.
    pub(super) fn address(&self, name: &OsStr) -> Result<SocketAddrUnix, AddressError> {
        if let Ok(address) = SocketAddrUnix::new(self.path.join(name)) {
            return Ok(address);
        }
        let itself = PathBuf::from(format!("/proc/self/fd/{}", self.fd.as_raw_fd()));
        if !itself.exists() {
            return Err(AddressError::NeedsProc);
        }
        SocketAddrUnix::new(itself.join(name)).map_err(|_| AddressError::NameTooLong)
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Why a socket can have no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AddressError {
    NameTooLong,
    NeedsProc,
}

impl AddressError {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::NameTooLong => "name too long",
            Self::NeedsProc => {
                "its path is too long for a socket's address, and /proc, which would help, is not \
                 mounted: choose a shorter one"
            }
        }
    }
}

impl From<AddressError> for Errno {
    fn from(_: AddressError) -> Self {
        Self::NAMETOOLONG
    }
}
