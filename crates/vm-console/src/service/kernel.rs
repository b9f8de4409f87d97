//! The seam between the service and the kernel: a clock, one alarm, and what is watched.
//!
//! Reading, writing and accepting are behind [`Stream`](crate::transport::stream::Stream) and
//! [`Accepts`](crate::transport::accept::Accepts). Together the three traits are all that the
//! service asks of its surroundings, so the same code runs over simulated ones.

use std::io;
use std::os::fd::RawFd;
use std::time::{Duration, SystemTime};

/// Names a console within a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ConsoleId(pub(super) u64);

/// Names a connection within a console. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ConnectionId(pub(super) u64);

/// What a watched descriptor is to the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watched {
    /// Commands from the owner.
    Commands,
    /// The alarm.
    Alarm,
    /// Something of this console.
    Console(ConsoleId, Part),
}

/// What a watched descriptor is to its console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The doorbell, which the guest's side rings.
    Bell,
    /// A listener, by its slot.
    Listener(usize),
    /// A client.
    Connection(ConnectionId),
}

/// What a descriptor is watched for. A hang-up is told whatever it is watched for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Interest {
    pub(super) readable: bool,
    pub(super) writable: bool,
}

impl Interest {
    pub(super) const READABLE: Self = Self {
        readable: true,
        writable: false,
    };

    pub(super) fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// What became of a descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Readiness {
    pub(super) readable: bool,
    pub(super) writable: bool,
    pub(super) hung_up: bool,
}

impl Readiness {
    pub(super) fn add(&mut self, more: Self) {
        self.readable |= more.readable;
        self.writable |= more.writable;
        self.hung_up |= more.hung_up;
    }
}

/// The rest of the service's surroundings.
pub(super) trait Kernel {
    /// Time since the service was made; it never goes back.
    fn now(&self) -> Duration;

    /// The time of day, for records.
    fn time_of_day(&self) -> SystemTime;

    /// The number of the batch of events of which one is being handled.
    fn batch(&self) -> u64;

    /// Starts to watch a descriptor. `Ok(false)`: it is of a kind that is always ready, as a
    /// regular file is, and cannot be watched.
    fn watch(&mut self, fd: RawFd, what: Watched, interest: Interest) -> io::Result<bool>;

    /// Changes what a watched descriptor is watched for.
    fn rewatch(&mut self, fd: RawFd, interest: Interest) -> io::Result<()>;

    /// Stops watching, and takes back what was reported and not handled yet. To be called before
    /// the descriptor is closed. Without effect on one that is not watched.
    fn unwatch(&mut self, fd: RawFd) -> io::Result<()>;

    /// Sets the one alarm to this moment, or takes it back.
    fn set_alarm(&mut self, at: Option<Duration>) -> io::Result<()>;
}
