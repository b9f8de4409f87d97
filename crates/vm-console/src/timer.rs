//! A timer that is a descriptor.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

/// Readable when its time has come.
#[derive(Debug)]
pub(crate) struct Timer(OwnedFd);

const NEVER: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

impl Timer {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        Ok(Self(rustix::time::timerfd_create(
            TimerfdClockId::Monotonic,
            flags,
        )?))
    }

    /// Sets it to this span from now on, or stops it. It is not readable any more until then.
    pub(crate) fn set(&self, span: Option<Duration>) -> io::Result<()> {
        // Zero would stop it.
        let value = span.map_or(NEVER, |span| Timespec {
            tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: span.max(Duration::from_nanos(1)).subsec_nanos().into(),
        });
        let once = Itimerspec {
            it_interval: NEVER,
            it_value: value,
        };
        rustix::time::timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }

    /// Makes it not readable any more, if it has run out.
    pub(crate) fn clear(&self) {
        // How often it expired is of no interest, nor is an expiry that was taken back since.
        let _ = rustix::io::read(&self.0, &mut [0u8; 8]);
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
