//! Which console is meant on the command line, and where it is.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser, ValueParser, ValueParserFactory};
use vm_console::client::{ClientError, ControlClient};
use vm_console::instance::{Directory, FindError, Instance, InstanceId, Liveness};
use vm_console::printable;

use crate::connect::{PATIENCE, connect};
use crate::failure::{Code, Failure};

/// Longest path that is shown, in bytes.
const NAME_LIMIT: usize = 256;

/// A console as the command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// An instance of this host.
    Id(InstanceId),
    /// A control socket, a boot log, or the directory of an instance.
    Path(PathBuf),
}

impl ValueParserFactory for Target {
    type Parser = ValueParser;

    fn value_parser() -> Self::Parser {
        OsStringValueParser::new().try_map(parse).into()
    }
}

/// What people call it: fit for a terminal.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Path(path) => f.write_str(&printable(&path.to_string_lossy(), NAME_LIMIT)),
        }
    }
}

fn parse(text: OsString) -> Result<Target, String> {
    if text.as_bytes().contains(&b'/') {
        return Ok(Target::Path(text.into()));
    }
    let text = text.to_string_lossy();
    text.parse().map(Target::Id).map_err(|error| {
        format!(
            "{error}; a path of a socket or a log has a slash in it: ./{}",
            printable(&text, 64)
        )
    })
}

/// Where a console is.
#[derive(Clone, Debug)]
pub(crate) struct Console {
    name: String,
    id: Option<InstanceId>,
    /// Its control socket, unless nobody can be there.
    socket: Option<PathBuf>,
    /// Its boot log, if that is a file.
    log: Option<PathBuf>,
}

impl Console {
    /// Finds what `target` names. Nobody is connected to.
    pub(crate) fn find(directory: &Directory, target: &Target) -> Result<Self, Failure> {
        match target {
            Target::Id(id) => Self::of_instance(directory, id),
            Target::Path(path) => Self::at(path, target.to_string()),
        }
    }

    fn of_instance(directory: &Directory, id: &InstanceId) -> Result<Self, Failure> {
        directory.find(id).map(Self::from).map_err(|error| {
            let code = match &error {
                FindError::NoSuchInstance { .. } | FindError::Directory(_) => Code::NoSuchConsole,
                _ => Code::Damaged,
            };
            match error {
                FindError::NoSuchInstance { .. } => {
                    let text = format!("{error}; `vmcon ls` lists those that there are");
                    Failure::new(code, text)
                }
                error => Failure::new(code, error),
            }
        })
    }

    fn at(path: &Path, name: String) -> Result<Self, Failure> {
        let kind = std::fs::metadata(path)
            .map_err(|error| Failure::new(Code::NoSuchConsole, error).of(&name))?
            .file_type();
        let path = path.to_owned();
        let (mut socket, mut log) = (None, None);
        if kind.is_socket() {
            socket = Some(path);
        } else if kind.is_file() {
            log = Some(path);
        } else if let Some(instance) = entry_at(&path) {
            return Ok(Self {
                name,
                ..instance.into()
            });
        } else if kind.is_dir() {
            socket = Some(path.join("control.sock"));
            log = Some(path.join("boot.log"));
        } else {
            let text = "neither a socket, nor a log, nor a directory";
            return Err(Failure::new(Code::Damaged, text).of(&name));
        }
        Ok(Self {
            name,
            id: None,
            socket,
            log,
        })
    }

    /// What people call it: fit for a terminal.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its id, unless it was named by a path.
    pub(crate) fn id(&self) -> Option<&str> {
        self.id.as_ref().map(InstanceId::as_str)
    }

    /// The file with its boot log, if there is one.
    pub(crate) fn log(&self) -> Option<&Path> {
        self.log.as_deref()
    }

    /// Whether it was named by the path of a log, so that nobody knows whether its VMM lives.
    pub(crate) fn is_only_a_file(&self) -> bool {
        self.id.is_none() && self.socket.is_none()
    }

    /// Whether a VMM can be behind it.
    pub(crate) fn may_live(&self) -> bool {
        self.socket.is_some()
    }

    /// Connects to it; each answer takes a bounded time.
    pub(crate) fn connect(&self) -> Result<ControlClient, Failure> {
        self.connect_within(PATIENCE)
    }

    /// As [`connect`](Self::connect); to connect takes no longer than `limit`.
    pub(crate) fn connect_within(&self, limit: Duration) -> Result<ControlClient, Failure> {
        let Some(socket) = &self.socket else {
            if self.is_only_a_file() {
                let text = "this is a file; give the console's id, socket or directory";
                return Err(Failure::new(Code::Damaged, text).of(&self.name));
            }
            let text = match &self.log {
                Some(_) => "its VMM is gone; `vmcon log` shows what it has left",
                None => "its VMM is gone",
            };
            return Err(Failure::new(Code::Gone, text).of(&self.name));
        };
        let mut client = connect(socket, limit).map_err(|failure| failure.of(&self.name))?;
        client.set_answer_limit(Some(PATIENCE));
        Ok(client)
    }

    /// A failure of this console's.
    pub(crate) fn failed(&self, error: ClientError) -> Failure {
        Failure::from(error).of(&self.name)
    }

    /// As [`failed`](Self::failed); with advice if somebody else holds the console.
    pub(crate) fn refused(&self, error: ClientError, advice: &str) -> Failure {
        let mut failure = self.failed(error);
        if failure.code == Code::InUse {
            failure.message = format!("{}; {advice}", failure.message);
        }
        failure
    }
}

/// The instance whose entry is this directory, if it is one: that tells whether its VMM lives.
fn entry_at(path: &Path) -> Option<Instance> {
    let path = path.canonicalize().ok()?;
    let id: InstanceId = path.file_name()?.to_str()?.parse().ok()?;
    Directory::new(path.parent()?).find(&id).ok()
}

impl From<Instance> for Console {
    fn from(instance: Instance) -> Self {
        let lives = instance.liveness == Liveness::Live;
        Self {
            name: instance.id.to_string(),
            socket: lives.then(|| instance.control_socket()),
            log: Some(instance.boot_log()),
            id: Some(instance.id),
        }
    }
}
