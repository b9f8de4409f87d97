//! Who may use an entry, as modes.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Gid, Mode};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::transport::unix::BindOptions;

/// Permission bits with which others than the owner can write.
pub(super) const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Who may use an entry beside its owner and root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Owner,
    Group(u32),
}

impl Access {
    pub(super) fn of(group: Option<u32>) -> Self {
        group.map_or(Self::Owner, Self::Group)
    }

    /// Sets group and mode of an entry that is open as a path only.
    pub(super) fn give_entry(self, dir: &OwnedFd) -> Result<(), Errno> {
        self.chown(dir)?;
        let mode = match self {
            Self::Owner => 0o700,
            Self::Group(_) => 0o750,
        };
        rustix::fs::chmodat(dir, ".", Mode::from_raw_mode(mode), AtFlags::empty())
    }

    /// Sets group and mode of a file of the entry.
    pub(super) fn give_file(self, file: &File) -> Result<(), Errno> {
        let mode = match self {
            Self::Owner => 0o600,
            Self::Group(group) => {
                rustix::fs::fchown(file, None, Some(Gid::from_raw(group)))?;
                0o640
            }
        };
        rustix::fs::fchmod(file, Mode::from_raw_mode(mode))
    }

    /// How the control socket is made.
    pub(super) fn bind_options(self) -> BindOptions {
        match self {
            Self::Owner => BindOptions::default(),
            Self::Group(group) => BindOptions {
                mode: 0o660,
                owner: Some((geteuid().as_raw(), group)),
                ..BindOptions::default()
            },
        }
    }

    fn chown(self, dir: impl AsFd) -> Result<(), Errno> {
        match self {
            Self::Owner => Ok(()),
            Self::Group(group) => {
                let group = Some(Gid::from_raw(group));
                rustix::fs::chownat(dir, ".", None, group, AtFlags::empty())
            }
        }
    }
}
