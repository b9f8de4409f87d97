//! The directory that holds the entries, as a reader sees it.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::Errno;

use super::inspection::{Inspector, Reader};
use super::{Flaw, Instance, InstanceId, natural_order};

/// Where consoles are found on a host, unless [`DIRECTORY_VARIABLE`] says otherwise.
pub const DEFAULT_DIRECTORY: &str = "/run/vm-console";

/// The environment variable that names another directory.
pub const DIRECTORY_VARIABLE: &str = "VMCON_DIR";

/// The directory that holds an entry for each instance of this host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// The directory at `path`, which need not be there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The directory that `$VMCON_DIR` names, or else [`DEFAULT_DIRECTORY`]. An empty variable
    /// names none.
    #[must_use]
    pub fn from_env() -> Self {
        let named = std::env::var_os(DIRECTORY_VARIABLE).filter(|path| !path.is_empty());
        Self::new(named.unwrap_or_else(|| DEFAULT_DIRECTORY.into()))
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the entry of `id`.
    #[must_use]
    pub fn entry_path(&self, id: &InstanceId) -> PathBuf {
        self.path.join(id.as_str())
    }

    /// All instances, in their [order](InstanceId), and among them what is in the directory and is
    /// none. Names that begin with a dot are left out.
    ///
    /// Nothing in the directory can keep this waiting, and nothing is connected to. It costs some
    /// ten system calls for each entry.
    ///
    /// # Errors
    /// The directory cannot be opened or read. What is wrong with an entry is told in its place.
    pub fn list(&self) -> Result<Vec<Result<Instance, Flaw>>, DirectoryError> {
        let opened = self.open()?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&opened).map_err(self.cannot("read"))? {
            let entry = entry.map_err(self.cannot("read"))?;
            let name = entry.file_name().to_bytes();
            if !name.starts_with(b".") {
                names.push(std::ffi::OsString::from_vec(name.to_vec()));
            }
        }
        names.sort_by(|a, b| natural_order::compare(a.as_bytes(), b.as_bytes()));
        let inspector = self.inspector(&opened);
        let entries = names.into_iter();
        Ok(entries
            // An entry that was removed meanwhile is no flaw.
            .filter_map(|name| inspector.inspect(name).transpose())
            .collect())
    }

    /// The instance `id`.
    ///
    /// # Errors
    /// See [`FindError`].
    pub fn find(&self, id: &InstanceId) -> Result<Instance, FindError> {
        let opened = self.open().map_err(FindError::Directory)?;
        match self.inspector(&opened).inspect(id.as_str().into()) {
            Ok(Some(instance)) => Ok(instance),
            Ok(None) => Err(FindError::NoSuchInstance {
                id: id.clone(),
                directory: self.path.clone(),
            }),
            Err(flaw) => Err(FindError::Flaw(flaw)),
        }
    }

    fn open(&self) -> Result<OwnedFd, DirectoryError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(&self.path, flags, Mode::empty()).map_err(self.cannot("open"))
    }

    fn inspector<'a>(&'a self, opened: &'a impl AsFd) -> Inspector<'a> {
        Inspector {
            directory: &self.path,
            opened: opened.as_fd(),
            reader: Reader::this_process(),
        }
    }

    fn cannot(&self, doing: &'static str) -> impl Fn(Errno) -> DirectoryError {
        let path = self.path.clone();
        move |source| DirectoryError {
            path: path.clone(),
            doing,
            source: source.into(),
        }
    }
}

impl AsRef<OsStr> for Directory {
    fn as_ref(&self) -> &OsStr {
        self.path.as_os_str()
    }
}

/// Why a [`Directory`] cannot be read.
#[derive(Debug)]
pub struct DirectoryError {
    path: PathBuf,
    doing: &'static str,
    source: io::Error,
}

impl DirectoryError {
    /// The kind of the system's error: `NotFound` if no VMM has ever published an instance there.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, doing, source) = (self.path.display(), self.doing, &self.source);
        write!(
            f,
            "{path}: cannot {doing} the directory of consoles: {source}"
        )?;
        match self.kind() {
            io::ErrorKind::NotFound => {
                write!(
                    f,
                    "; no VMM has published one there, or {DIRECTORY_VARIABLE} is wrong"
                )
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for DirectoryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Why [`Directory::find`] finds no instance.
#[derive(Debug)]
#[non_exhaustive]
pub enum FindError {
    /// There is no entry of this name.
    NoSuchInstance {
        /// The name.
        id: InstanceId,
        /// The directory.
        directory: PathBuf,
    },
    /// There is an entry of this name, and it is no instance.
    Flaw(Flaw),
    /// The directory cannot be opened.
    Directory(DirectoryError),
}

impl fmt::Display for FindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchInstance { id, directory } => {
                write!(f, "{id}: no such instance in {}", directory.display())
            }
            Self::Flaw(flaw) => flaw.fmt(f),
            Self::Directory(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for FindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoSuchInstance { .. } => None,
            Self::Flaw(flaw) => Some(flaw),
            Self::Directory(error) => Some(error),
        }
    }
}
