//! A way in, as the service sees it: one trait, so that a transport is one file.

use std::fmt;
use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use super::Transport;
use super::identity::Credentials;
use super::stream::Stream;

/// Somewhere that clients come in. Nothing has a default: each transport has to decide.
pub(crate) trait Accepts: fmt::Debug + Send {
    /// The descriptor that is readable when [`accept`](Self::accept) may have something to say. It
    /// may be another one after [`release`](Self::release), and none if that failed.
    fn descriptor(&self) -> Option<RawFd>;

    /// Looks once whether a client has come, without waiting.
    fn accept(&mut self) -> Came;

    /// Whether it is of no use once the service shuts down. A pty is: it carries its client's
    /// farewell.
    fn closes_at_shut_down(&self) -> bool;

    /// The client that [`accept`](Self::accept) gave is gone, for `how`. If this fails it is to be
    /// called again, before anything else.
    fn release(&mut self, how: Release) -> io::Result<()>;
}

/// What looking for a client came to.
#[derive(Debug)]
pub(crate) enum Came {
    /// A client.
    Client(Accepted),
    /// One that was gone before it was accepted. There may be another.
    Lost,
    /// Nobody.
    Nobody,
    /// The one client of this way in has left.
    Left,
    /// Somebody waits, but descriptors or memory have run out.
    Exhausted(io::Error),
    /// Nobody can come in here any more.
    Dead(io::Error),
}

/// Why a way in has no client any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// It left.
    Left,
    /// The service let it go.
    LetGo,
}

/// A client that has come.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) transport: Transport,
    pub(crate) credentials: Option<Credentials>,
    /// Whether its user may come in here.
    pub(crate) admitted: bool,
    /// Whether this way in has no other client as long as this one is there.
    pub(crate) exclusive: bool,
    /// How long it needs before it can be shown anything.
    pub(crate) settles: Duration,
}
