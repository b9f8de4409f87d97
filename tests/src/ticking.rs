//! The timer of a coalesced ring, served by a thread as a VMM's event loop does.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use vm_uart::bus::coalesced::CoalescedRing;
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};

use crate::background::Background;

/// Longest wait in milliseconds until the thread notices that it is to stop.
const TURN_MS: i32 = 50;

/// Ticks `ring` whenever it is due, until the thread is stopped or dropped.
///
/// # Errors
///
/// If descriptors are exhausted.
pub fn ticking(ring: Arc<CoalescedRing>) -> io::Result<Background<()>> {
    let epoll = Epoll::new()?;
    let due = EpollEvent::new(EventSet::IN, 0);
    epoll.ctl(ControlOperation::Add, ring.as_raw_fd(), due)?;
    Ok(Background::start(move |stop| {
        while !stop.load(Ordering::Relaxed) {
            let ready = epoll.wait(TURN_MS, &mut [EpollEvent::default()]);
            if ready.is_ok_and(|ready| ready > 0) {
                ring.tick();
            }
        }
    }))
}
