//! The trait of all ways in, through which the service accepts clients: a transport is one file.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::time::Duration;

use super::Transport;
use super::identity::Credentials;
use super::stream::Stream;

/// A way in for clients. No method has a default, so that each transport has to decide.
pub(crate) trait Accepts: fmt::Debug + Send {
    /// The descriptor that becomes readable when [`accept`](Self::accept) should be called. It may
    /// be another one after [`release`](Self::release), and there is none if that failed.
    fn descriptor(&self) -> Option<RawFd>;

    /// Accepts one client, without waiting.
    fn accept(&mut self) -> Came;

    /// Whether it is closed as soon as the service shuts down. A pty is not, because its client
    /// still reads its farewell through it.
    fn closes_at_shut_down(&self) -> bool;

    /// Makes it ready for another client, after the one from [`accept`](Self::accept) is gone.
    /// Called only for clients that were [exclusive](Accepted::exclusive). If it fails, call it
    /// again before any other method.
    fn release(&mut self, how: Release) -> io::Result<()>;
}

/// The outcome of [`Accepts::accept`].
#[derive(Debug)]
pub(crate) enum Came {
    /// A client was accepted.
    Client(Accepted),
    /// A client left before it was accepted. There may be another.
    Lost,
    /// No client waits.
    Nobody,
    /// The one client of this way in has left.
    Left,
    /// The peer to connect to does not answer. There will be another try.
    Unreachable(Unreachable),
    /// A client waits, but descriptors or memory have run out.
    Exhausted(io::Error),
    /// No client can come in here any more.
    Dead(io::Error),
}

/// A peer that does not answer, and why.
#[derive(Debug)]
pub(crate) struct Unreachable {
    pub(crate) address: SocketAddr,
    pub(crate) error: io::Error,
    /// Whether it answered the last time, or was never asked before.
    pub(crate) is_first: bool,
}

/// How a way in has lost its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// The client left.
    Left,
    /// The service disconnects it.
    LetGo,
}

/// A client that was accepted.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) transport: Transport,
    pub(crate) credentials: Option<Credentials>,
    /// The address that it comes from, if its transport has addresses.
    pub(crate) address: Option<SocketAddr>,
    /// Whether its user may connect here.
    pub(crate) admitted: bool,
    /// Whether this way in can have no other client while this one is there.
    pub(crate) exclusive: bool,
    /// How long to wait before anything is sent to it.
    pub(crate) settles: Duration,
}
