//! The seam to the simulated kernel.

use std::io;
use std::os::fd::RawFd;
use std::time::{Duration, SystemTime};

use rustix::io::Errno;
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};

use super::net::{Net, Shared, lock};
use crate::service::kernel::{Interest, Kernel, Readiness, Watched};

/// Simulated descriptors, and the real doorbells beside them.
pub(super) struct SimulatedKernel {
    net: Shared,
    /// For the eventfds, which are real: they cross to the guest's thread.
    bells: Epoll,
}

impl SimulatedKernel {
    pub(super) fn new(net: Shared) -> io::Result<Self> {
        Ok(Self {
            net,
            bells: Epoll::new()?,
        })
    }

    /// Asks for everything that is due, unless some of it was not handed over yet.
    pub(super) fn collect(&mut self) {
        let mut net = lock(&self.net);
        if !net.batch.is_empty() {
            return;
        }
        let mut rung = [EpollEvent::default(); 8];
        // An error counts as nothing due, and the run then does not end as it should.
        let count = self.bells.wait(0, &mut rung).unwrap_or(0);
        let due = |net: &Net| {
            let watched = net.watched.iter();
            let ready = watched.map(|(fd, what, interest)| {
                let ready = if net.node(*fd).is_some() {
                    net.readiness(*fd, *interest)
                } else {
                    let readable = rung[..count].iter().any(|event| event.fd() == *fd);
                    Readiness {
                        readable,
                        ..Readiness::default()
                    }
                };
                (*fd, *what, ready)
            });
            let due = ready.filter(|(.., ready)| *ready != Readiness::default());
            due.collect::<Vec<_>>()
        };
        let mut batch = due(&net);
        // Later than what else is due, as threads may be.
        if net.deliver() && batch.is_empty() {
            batch = due(&net);
        }
        net.batch = batch;
        net.batches += 1;
    }
}

impl Kernel for SimulatedKernel {
    fn now(&self) -> Duration {
        let mut net = lock(&self.net);
        net.asked();
        net.now
    }

    fn time_of_day(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + lock(&self.net).now
    }

    fn batch(&self) -> u64 {
        lock(&self.net).batches
    }

    fn watch(&mut self, fd: RawFd, what: Watched, interest: Interest) -> io::Result<bool> {
        let mut net = lock(&self.net);
        net.called();
        if net.failing_watches > 0 {
            net.failing_watches -= 1;
            return Err(Errno::NOSPC.into());
        }
        if net.is_always_ready(fd) {
            return Ok(false);
        }
        if net.is_watched(fd) {
            net.breaks(format!("descriptor {fd} is watched twice: {what:?}"));
            return Err(Errno::EXIST.into());
        }
        if net.node(fd).is_none() {
            let event = EpollEvent::new(EventSet::IN, u64::from(fd.unsigned_abs()));
            self.bells.ctl(ControlOperation::Add, fd, event)?;
        }
        net.watched.push((fd, what, interest));
        Ok(true)
    }

    fn rewatch(&mut self, fd: RawFd, interest: Interest) -> io::Result<()> {
        let mut net = lock(&self.net);
        net.called();
        let mut watched = net.watched.iter_mut();
        if let Some((_, _, watched)) = watched.find(|(watched, ..)| *watched == fd) {
            if *watched == interest {
                net.breaks(format!("descriptor {fd} is rewatched for nothing"));
                return Ok(());
            }
            *watched = interest;
            return Ok(());
        }
        net.breaks(format!("descriptor {fd} is rewatched, and is not watched"));
        Err(Errno::NOENT.into())
    }

    fn unwatch(&mut self, fd: RawFd) -> io::Result<()> {
        let mut net = lock(&self.net);
        net.called();
        let is_watched = net.is_watched(fd);
        net.watched.retain(|(watched, ..)| *watched != fd);
        if is_watched && net.node(fd).is_none() {
            self.bells
                .ctl(ControlOperation::Delete, fd, EpollEvent::default())?;
        }
        net.batch.retain(|(due, _, _)| *due != fd);
        Ok(())
    }

    fn set_alarm(&mut self, at: Option<Duration>) -> io::Result<()> {
        let mut net = lock(&self.net);
        net.called();
        net.alarm = at;
        Ok(())
    }
}
