//! An epoll set of the service's own.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use event_manager::Events;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};
use vmm_sys_util::sock_ctrl_msg::ScmSocket;

use super::event_loop::Watching;

/// Most events that are taken at a time.
const BATCH: usize = 64;

pub(super) struct EpollSet {
    epoll: Epoll,
    /// The same epoll, for whoever watches it.
    descriptor: OwnedFd,
    /// Events that were taken, and are not handled yet.
    batch: VecDeque<(RawFd, EventSet)>,
}

impl EpollSet {
    pub(super) fn new() -> io::Result<Self> {
        let epoll = Epoll::new()?;
        Ok(Self {
            descriptor: duplicate(&epoll)?,
            epoll,
            batch: VecDeque::new(),
        })
    }

    /// Takes the events that are there now.
    pub(super) fn take(&mut self) -> io::Result<()> {
        let mut events = [EpollEvent::default(); BATCH];
        // It does not wait, so no signal interrupts it.
        let count = self.epoll.wait(0, &mut events)?;
        let taken = events[..count].iter();
        self.batch
            .extend(taken.map(|event| (event.fd(), event.event_set())));
        Ok(())
    }

    /// The next event that was taken.
    pub(super) fn next(&mut self) -> Option<Events> {
        let (fd, set) = self.batch.pop_front()?;
        Some(Events::new_raw(fd, set))
    }
}

impl AsFd for EpollSet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Watching for EpollSet {
    fn add(&mut self, fd: RawFd, set: EventSet) -> io::Result<()> {
        let event = EpollEvent::new(set, u64::from(fd.cast_unsigned()));
        self.epoll.ctl(ControlOperation::Add, fd, event)
    }

    fn modify(&mut self, fd: RawFd, set: EventSet) -> io::Result<()> {
        let event = EpollEvent::new(set, u64::from(fd.cast_unsigned()));
        self.epoll.ctl(ControlOperation::Modify, fd, event)
    }

    fn remove(&mut self, fd: RawFd) -> io::Result<()> {
        // Its number may be another descriptor's before the batch is handled.
        self.batch.retain(|(told, _)| *told != fd);
        self.epoll
            .ctl(ControlOperation::Delete, fd, EpollEvent::default())
    }
}

/// A descriptor of the same epoll. `Epoll` gives away only its number, and safe code gets from a
/// number to a descriptor by sending it through a socket.
fn duplicate(epoll: &Epoll) -> io::Result<OwnedFd> {
    let (from, to) = UnixStream::pair()?;
    from.send_with_fd(&[0][..], epoll.as_raw_fd())
        .map_err(|error| io::Error::from_raw_os_error(error.errno()))?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let buffers = &mut [IoSliceMut::new(&mut byte)];
    rustix::net::recvmsg(&to, buffers, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let passed = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    // The system drops what it has no descriptor for.
    passed.ok_or_else(|| rustix::io::Errno::MFILE.into())
}
