//! The lock that a VMM holds for as long as it lives.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

/// Whether a VMM has the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Liveness {
    /// A VMM holds the lock of the entry.
    Live,
    /// No VMM holds it: what is left is the log and the record of one that has ended or was killed.
    Gone,
}

/// The lock, held until this is dropped.
#[derive(Debug)]
pub(super) struct LivenessLock(File);

impl LivenessLock {
    /// Takes the lock of `file`, which is open for writing. `None` if another holds it.
    pub(super) fn take(file: File) -> io::Result<Option<Self>> {
        loop {
            let taken = fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file(libc::F_WRLCK)));
            return match taken {
                Ok(_) => Ok(Some(Self(file))),
                Err(Errno::EAGAIN | Errno::EACCES) => Ok(None),
                Err(Errno::EINTR) => continue,
                Err(error) => Err(error.into()),
            };
        }
    }

    pub(super) fn file(&self) -> &File {
        &self.0
    }
}

impl Drop for LivenessLock {
    fn drop(&mut self) {
        // Closing the file would not do if a child process that was just forked has it open too.
        let _ = fcntl(&self.0, FcntlArg::F_OFD_SETLK(&whole_file(libc::F_UNLCK)));
    }
}

/// Whether somebody holds the lock of `file`, which is open for reading. Takes no lock, so it can
/// be in nobody's way.
pub(super) fn of(file: impl AsFd) -> io::Result<Liveness> {
    let mut held = whole_file(libc::F_WRLCK);
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut held))?;
    Ok(if i32::from(held.l_type) == libc::F_WRLCK {
        Liveness::Live
    } else {
        Liveness::Gone
    })
}

fn whole_file(kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}
