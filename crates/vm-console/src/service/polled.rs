//! The service for event loops of any kind.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use super::Service;
use super::epoll_set::EpollSet;

/// A service with an epoll descriptor of its own, for an owner whose event loop is not an
/// [`EventManager`](event_manager::EventManager).
///
/// Watch its [descriptor](AsFd), and call [`dispatch`](Self::dispatch) when it is readable. A
/// loop that is told once for each change (edge-triggered epoll, tokio's `AsyncFd`) calls it again
/// until it has handled nothing. The example `async_vmm` hosts it in tokio.
///
/// ```
/// use std::os::fd::AsRawFd;
/// use vm_console::service::Service;
/// use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};
///
/// let (service, handle) = Service::new()?;
/// let mut service = service.polled()?;
/// // The owner's epoll, which watches its other descriptors too.
/// let epoll = Epoll::new()?;
/// let readable = EpollEvent::new(EventSet::IN, 7);
/// epoll.ctl(ControlOperation::Add, service.as_raw_fd(), readable)?;
/// # handle.shut_down();
/// while !service.is_finished() {
///     let mut events = [EpollEvent::default(); 16];
///     let count = epoll.wait(-1, &mut events)?;
///     for event in &events[..count] {
///         if event.data() == 7 {
///             service.dispatch()?;
///         }
///     }
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct PolledService {
    service: Service,
    set: EpollSet,
}

impl fmt::Debug for PolledService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolledService")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

impl PolledService {
    pub(super) fn host(mut service: Service) -> io::Result<Self> {
        let mut set = EpollSet::new()?;
        service.begin(&mut set)?;
        Ok(Self { service, set })
    }

    /// Handles what is ready now, without waiting. Returns the number of events that were handled.
    ///
    /// # Errors
    /// The system refuses to tell what is ready, which leaves nothing to do but to drop this.
    pub fn dispatch(&mut self) -> io::Result<usize> {
        self.set.take()?;
        let mut handled = 0;
        while let Some(event) = self.set.next() {
            self.service.handle(event, &mut self.set);
            handled += 1;
        }
        Ok(handled)
    }

    /// Whether it was [told to shut down](super::ServiceHandle::shut_down), and has finished. It is
    /// never readable again then.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.service.desk.is_finished()
    }
}

impl AsFd for PolledService {
    /// Its epoll descriptor. It is readable while there is something to [`dispatch`](Self::dispatch).
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.set.as_fd()
    }
}

impl AsRawFd for PolledService {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
