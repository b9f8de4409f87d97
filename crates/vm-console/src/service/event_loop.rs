//! The real kernel, reached through the event loop that hosts the service.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::{Duration, Instant, SystemTime};

use event_manager::{EventOps, EventSet, Events};
use rustix::io::Errno;

use super::kernel::{Interest, Kernel, Readiness, Watched};
use crate::timer::Timer;

/// What is watched, and the timer.
pub(super) struct EventLoop {
    /// With the last batch that told of it.
    watched: HashMap<RawFd, (Watched, u64)>,
    batch: u64,
    timer: Timer,
    origin: Instant,
}

/// The epoll set in which the service's descriptors are watched.
pub(super) trait Watching {
    fn add(&mut self, fd: RawFd, set: EventSet) -> io::Result<()>;

    fn modify(&mut self, fd: RawFd, set: EventSet) -> io::Result<()>;

    /// Also takes back the events of the current batch that are not handled yet.
    fn remove(&mut self, fd: RawFd) -> io::Result<()>;
}

impl Watching for EventOps<'_> {
    fn add(&mut self, fd: RawFd, set: EventSet) -> io::Result<()> {
        EventOps::add(self, Events::new_raw(fd, set)).map_err(io_error)
    }

    fn modify(&mut self, fd: RawFd, set: EventSet) -> io::Result<()> {
        EventOps::modify(self, Events::new_raw(fd, set)).map_err(io_error)
    }

    fn remove(&mut self, fd: RawFd) -> io::Result<()> {
        EventOps::remove(self, Events::empty_raw(fd)).map_err(io_error)
    }
}

/// The kernel for the time of one event.
pub(super) struct RealKernel<'a> {
    pub(super) events: &'a mut EventLoop,
    pub(super) ops: &'a mut dyn Watching,
}

impl EventLoop {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            watched: HashMap::new(),
            batch: 0,
            timer: Timer::new()?,
            origin: Instant::now(),
        })
    }

    pub(super) fn timer(&self) -> RawFd {
        self.timer.as_fd().as_raw_fd()
    }

    /// What an event is about. A descriptor that was removed earlier in the same batch is nobody's.
    pub(super) fn watched(&mut self, event: Events) -> Option<Watched> {
        let (watched, told) = self.watched.get_mut(&event.fd())?;
        // The event loop does not say where a batch ends, but none tells of a descriptor twice.
        if *told == self.batch {
            self.batch += 1;
        }
        *told = self.batch;
        if *watched == Watched::Alarm {
            self.timer.clear();
        }
        Some(*watched)
    }
}

/// What an event tells.
pub(super) fn readiness(event: Events) -> Readiness {
    let set = event.event_set();
    Readiness {
        readable: set.contains(EventSet::IN),
        writable: set.contains(EventSet::OUT),
        hung_up: set.intersects(EventSet::HANG_UP | EventSet::ERROR),
    }
}

fn event_set(interest: Interest) -> EventSet {
    let mut set = EventSet::empty();
    set.set(EventSet::IN, interest.readable);
    set.set(EventSet::OUT, interest.writable);
    set
}

fn io_error(error: event_manager::Error) -> io::Error {
    match error {
        event_manager::Error::Epoll(error) => io::Error::from_raw_os_error(error.errno()),
        other => io::Error::other(other),
    }
}

impl Kernel for RealKernel<'_> {
    fn now(&self) -> Duration {
        self.events.origin.elapsed()
    }

    fn time_of_day(&self) -> SystemTime {
        SystemTime::now()
    }

    fn batch(&self) -> u64 {
        self.events.batch
    }

    fn watch(&mut self, fd: RawFd, what: Watched, interest: Interest) -> io::Result<bool> {
        match self.ops.add(fd, event_set(interest)) {
            Ok(()) => {
                self.events.watched.insert(fd, (what, 0));
                Ok(true)
            }
            Err(error) if error.raw_os_error() == Some(Errno::PERM.raw_os_error()) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn rewatch(&mut self, fd: RawFd, interest: Interest) -> io::Result<()> {
        self.ops.modify(fd, event_set(interest))
    }

    fn unwatch(&mut self, fd: RawFd) -> io::Result<()> {
        // The event loop panics on an event for a descriptor that it does not know, and only this
        // takes back events that wait in the current batch.
        match self.events.watched.remove(&fd) {
            Some(_) => self.ops.remove(fd),
            None => Ok(()),
        }
    }

    fn set_alarm(&mut self, at: Option<Duration>) -> io::Result<()> {
        let span = at.map(|at| at.saturating_sub(self.now()));
        self.events.timer.set(span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::epoll_set::EpollSet;

    #[test]
    fn a_batch_tells_of_a_descriptor_once() {
        let mut events = EventLoop::new().unwrap();
        let mut set = EpollSet::new().unwrap();
        for fd in [3, 4] {
            events.watched.insert(fd, (Watched::Commands, 0));
        }
        let mut batches = Vec::new();
        for fd in [3, 4, 4, 3, 3] {
            let watched = events.watched(Events::empty_raw(fd));
            assert_eq!(watched, Some(Watched::Commands));
            assert_eq!(events.watched(Events::empty_raw(5)), None);
            let (events, ops) = (&mut events, &mut set);
            batches.push(RealKernel { events, ops }.batch());
        }
        assert_eq!(batches, [1, 1, 2, 2, 3]);
    }
}
