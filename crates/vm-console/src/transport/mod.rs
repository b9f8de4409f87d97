//! How clients reach a console.
//!
//! | transport | carries | identity | can force | BREAK |
//! |---|---|---|---|---|
//! | [unix socket](unix), raw | bytes, nothing else | `SO_PEERCRED` | by a listener made for it | no |
//! | control socket | [frames](crate::protocol) | `SO_PEERCRED` and a name | yes | yes |
//! | passed socket (`SCM_RIGHTS`) | bytes | of who passed it | yes | no |
//! | [stdio] | bytes, with [escapes](crate::escape) if wanted | of this process | as the owner says | `~B` |
//! | [pty] | bytes | none | no | no |

pub(crate) mod accept;
mod closer;
pub(crate) mod identity;
mod listening;
mod printable;
pub mod pty;
pub mod stdio;
pub(crate) mod stream;
pub mod terminal;
pub mod unix;

use std::fmt;

use accept::Accepts;
use unix::UnixSocket;

/// How a client reached the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// A unix stream socket that carries raw bytes.
    Unix,
    /// A control socket that carries frames.
    Control,
    /// The slave side of a pseudo-terminal.
    Pty,
    /// A pair of descriptors that the owner handed over, as standard input and output.
    Stdio,
    /// A connected socket that arrived as a descriptor.
    Passed,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unix => "unix socket",
            Self::Control => "control socket",
            Self::Pty => "pty",
            Self::Stdio => "terminal",
            Self::Passed => "passed socket",
        })
    }
}

/// Where a console's clients come in. Made by the owner, who so learns at once if a socket cannot be
/// had; then given to [`ServiceHandle::add`](crate::service::ServiceHandle::add).
#[derive(Debug)]
pub struct Listener {
    pub(crate) source: Box<dyn Accepts>,
    pub(crate) kind: Kind,
}

/// What a connection is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Raw { force: bool, read_only: bool },
    Control,
}

/// A connection is an attach, refused if the console is taken.
const RAW: Kind = Kind::Raw {
    force: false,
    read_only: false,
};

impl Listener {
    /// Raw bytes: `socat`, `nc`. A connection is an attach; refused if the console is taken.
    #[must_use]
    pub fn raw(socket: UnixSocket) -> Self {
        Self::of(Box::new(socket), RAW)
    }

    /// Raw bytes, and whoever connects takes the console from its holder.
    #[must_use]
    pub fn raw_forcing(socket: UnixSocket) -> Self {
        Self::of(
            Box::new(socket),
            Kind::Raw {
                force: true,
                read_only: false,
            },
        )
    }

    /// Raw bytes, output only: whoever connects watches. What it sends is dropped.
    #[must_use]
    pub fn observers(socket: UnixSocket) -> Self {
        Self::of(
            Box::new(socket),
            Kind::Raw {
                force: false,
                read_only: true,
            },
        )
    }

    /// Frames; see [`protocol`](crate::protocol).
    #[must_use]
    pub fn control(socket: UnixSocket) -> Self {
        Self::of(Box::new(socket), Kind::Control)
    }

    /// A pseudo-terminal: `picocom`, `screen`.
    #[must_use]
    pub fn pty(pty: pty::Pty) -> Self {
        Self::of(Box::new(pty), RAW)
    }

    fn of(source: Box<dyn Accepts>, kind: Kind) -> Self {
        Self { source, kind }
    }
}
