//! The ways in which clients reach a console.
//!
//! | transport | carries | identity | can force | BREAK |
//! |---|---|---|---|---|
//! | [unix socket](unix), raw | bytes | `SO_PEERCRED` | if its listener does | no |
//! | control socket | [frames](crate::protocol) | `SO_PEERCRED`, a name | yes | yes |
//! | socket passed over that | bytes | of its sender, a name | yes | no |
//! | attached by the owner ([stdio]) | bytes | of this process | if the owner says so | `~B` |
//! | [pty] | bytes | none | no | no |
//! | [TCP](tcp), listening or connecting | bytes | an address, not authenticated | if told so | no |
//!
//! A client that the owner attaches may have [escapes](crate::escape), `~B` among them, and another
//! identity.
//!
//! # Descriptors in place of paths
//!
//! Each way in can begin with descriptors that were opened elsewhere: by a service manager (socket
//! activation), outside of a jail, or by an earlier VMM. So can the log and its copies.
//!
//! | what | by its path or address | by descriptors |
//! |---|---|---|
//! | unix socket, raw or control | [`UnixSocket::bind`] | [`UnixSocket::adopt`] |
//! | TCP | [`TcpSocket::bind`](tcp::TcpSocket::bind) | [`TcpSocket::adopt`](tcp::TcpSocket::adopt) |
//! | pty | [`Pty::open`](pty::Pty::open) | [`Pty::adopt`](pty::Pty::adopt) |
//! | a client | | [`FdClient`](stdio::FdClient) |
//! | boot log | [`open_or_create_file`](crate::BootLog::open_or_create_file) | [`in_file`](crate::BootLog::in_file), [`read_only`](crate::BootLog::read_only) |
//! | text log | [`append_to`](crate::text_log::TextLog::append_to) | [`in_file`](crate::text_log::TextLog::in_file), which does not rotate |
//! | text log that rotates | [`rotating`](crate::text_log::TextLog::rotating) | [`rotating_in`](crate::text_log::TextLog::rotating_in) a directory |
//! | stream files | [`StreamFiles::open`](crate::StreamFiles::open) | [`open_in`](crate::StreamFiles::open_in) a directory |
//!
//! # Over a restart
//!
//! A VMM that replaces itself, with its guest or without, keeps its ways in. [`UnixSocket::keep`],
//! [`TcpSocket::keep`](tcp::TcpSocket::keep) and [`Pty::keep`](pty::Pty::keep) give the owner a hold
//! beside the listener. When the service has let go of the console, clients that come wait: on a
//! socket in its backlog, at a pty with its slave open. Their hold then goes to the next process as
//! descriptors, which adopts them and serves whoever waits. Open sessions end with
//! [`ShuttingDown`](crate::session::EndReason::ShuttingDown).
//!
//! The log goes on in its [file](crate::BootLog::file), which may be a memfd: offsets, identity and
//! epoch. With [`export_in_place`](crate::Console::export_in_place) and
//! [`resume_in_place`](crate::Console::resume_in_place) its boot does too, and the input that waits;
//! without them another boot begins. A text log goes on where the last one
//! [ended](crate::text_log::TextLogHandle::written_until).
//!
//! The example `replaced_vmm` does all of it.

pub(crate) mod accept;
mod ancillary;
mod bind_error;
pub(crate) mod closer;
mod directory;
pub(crate) mod identity;
mod kept;
mod listening;
pub(crate) mod printable;
pub mod pty;
pub(crate) mod quota;
mod receiving_thread;
pub(crate) mod shared_socket;
pub(crate) mod socket;
mod socket_file;
pub mod stdio;
pub(crate) mod stream;
mod takeable;
pub mod tcp;
pub mod terminal;
pub mod unix;

use std::fmt;

use crate::lone_newline::LoneNewlines;
use accept::Accepts;
use unix::UnixSocket;

pub use kept::KeptSocket;

/// A client's way to the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// A unix stream socket that carries raw bytes.
    Unix,
    /// A control socket that carries frames.
    Control,
    /// The slave side of a pseudo-terminal.
    Pty,
    /// A pair of files that the owner attached, such as standard input and output.
    Stdio,
    /// A TCP connection that carries raw bytes, accepted or made here.
    Tcp,
    /// A connected socket that came as a descriptor: over a control socket, or from the owner.
    Passed,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unix => "unix socket",
            Self::Control => "control socket",
            Self::Pty => "pty",
            Self::Stdio => "terminal",
            Self::Tcp => "TCP",
            Self::Passed => "passed socket",
        })
    }
}

/// A way in for a console's clients. The owner makes the socket or pty, and so learns at once if
/// that fails, and gives the listener to [`ServiceHandle::add`](crate::service::ServiceHandle::add)
/// or [`ConsoleHandle::listen`](crate::service::ConsoleHandle::listen).
#[derive(Debug)]
pub struct Listener {
    pub(crate) source: Box<dyn Accepts>,
    pub(crate) kind: Kind,
}

/// How connections of a listener are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Raw {
        force: bool,
        read_only: bool,
        /// What makes carriage returns of newlines, if wanted.
        newlines: Option<LoneNewlines>,
    },
    Control,
}

/// Each connection is an attach without force.
const RAW: Kind = Kind::Raw {
    force: false,
    read_only: false,
    newlines: None,
};

impl Listener {
    /// Raw bytes, for `socat` and `nc`. Each connection is an attach, which is refused while
    /// another client holds the console.
    #[must_use]
    pub fn raw(socket: UnixSocket) -> Self {
        Self::of(Box::new(socket), RAW)
    }

    /// Raw bytes. Each connection takes the console from its holder by force.
    #[must_use]
    pub fn raw_forcing(socket: UnixSocket) -> Self {
        Self::raw(socket).forcing()
    }

    /// Raw bytes, for observers: each connection only watches, and its input is dropped.
    #[must_use]
    pub fn observers(socket: UnixSocket) -> Self {
        Self::raw(socket).read_only()
    }

    /// A control socket, which carries frames; see [`protocol`](crate::protocol).
    #[must_use]
    pub fn control(socket: UnixSocket) -> Self {
        Self::of(Box::new(socket), Kind::Control)
    }

    /// A pseudo-terminal, for `picocom` and `screen`. Each open is an attach without force.
    #[must_use]
    pub fn pty(pty: pty::Pty) -> Self {
        Self::of(Box::new(pty), RAW)
    }

    /// Raw bytes over TCP, for `socat` and `nc` on other hosts. Each connection is an attach without
    /// force, unless told [otherwise](Self::forcing). Nobody is [authenticated](tcp).
    #[must_use]
    pub fn tcp(socket: tcp::TcpSocket) -> Self {
        Self::of(Box::new(socket), RAW)
    }

    /// Raw bytes over TCP, to a peer that waits for the connection. Nobody is
    /// [authenticated](tcp).
    #[must_use]
    pub fn connecting(connector: tcp::TcpConnector) -> Self {
        Self::of(Box::new(connector), RAW)
    }

    /// Each raw client takes the console from its holder by force. No change for a control socket,
    /// whose clients ask for force themselves.
    #[must_use]
    pub fn forcing(mut self) -> Self {
        if let Kind::Raw { force, .. } = &mut self.kind {
            *force = true;
        }
        self
    }

    /// Each raw client only watches, and its input is dropped. No change for a control socket.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        if let Kind::Raw { read_only, .. } = &mut self.kind {
            *read_only = true;
        }
        self
    }

    /// Types a carriage return for each newline of a raw client that follows none, for guests that
    /// take only that for Enter (Windows SAC). No change for a control socket.
    #[must_use]
    pub fn newline_as_return(mut self) -> Self {
        if let Kind::Raw { newlines, .. } = &mut self.kind {
            *newlines = Some(LoneNewlines::default());
        }
        self
    }

    fn of(source: Box<dyn Accepts>, kind: Kind) -> Self {
        Self { source, kind }
    }
}
