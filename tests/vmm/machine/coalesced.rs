//! THR writes by way of KVM's coalesced ring, and the thread that serves its timer.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use event_manager::{EventManager, EventOps, EventSet, Events, MutEventSubscriber, SubscriberOps};
use kvm_ioctls::{IoEventAddress, VcpuFd, VmFd};
use vm_uart::bus::coalesced::{CoalescedRing, DataRegister};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::COM1;
use crate::guest::SerialIo;

/// A port before which the ring is emptied at each access.
pub(super) struct Coalesced<P> {
    port: Arc<P>,
    ring: Arc<CoalescedRing>,
    stop: EventFd,
    timer: Option<JoinHandle<()>>,
}

impl<P: SerialIo + DataRegister + 'static> Coalesced<P> {
    pub(super) fn new(vm: &Arc<VmFd>, vcpu: &VcpuFd, port: Arc<P>) -> Result<Self, String> {
        let second = second_descriptor(vm, vcpu).map_err(|e| e.to_string())?;
        let ring = CoalescedRing::new(Arc::clone(vm), second, Box::new(|_, _| {}))
            .map_err(|e| e.to_string())?;
        ring.add(IoEventAddress::Pio(COM1.into()), port.clone())
            .map_err(|e| e.to_string())?;
        let ring = Arc::new(ring);
        let stop = EventFd::new(EFD_NONBLOCK).map_err(|e| e.to_string())?;
        let timer = serve_timer(Arc::clone(&ring), &stop).map_err(|e| e.to_string())?;
        Ok(Self {
            port,
            ring,
            stop,
            timer: Some(timer),
        })
    }
}

impl<P: SerialIo> SerialIo for Coalesced<P> {
    fn read(&self, offset: u8, data: &mut [u8]) {
        self.ring
            .before_access((COM1 + u16::from(offset)).into(), false);
        self.port.read(offset, data);
    }

    fn write(&self, offset: u8, data: &[u8]) {
        self.ring
            .before_access((COM1 + u16::from(offset)).into(), true);
        self.port.write(offset, data);
    }

    fn reset(&self) {
        self.settle();
        self.port.reset();
    }

    fn power_on(&self) {
        self.port.power_on();
    }

    fn power_off(&self) {
        self.settle();
        self.port.power_off();
    }

    fn settle(&self) {
        self.ring.drain();
    }
}

impl<P> Drop for Coalesced<P> {
    fn drop(&mut self) {
        // The one error is a full counter, and that wakes the thread just as well.
        let _ = self.stop.write(1);
        // A panic there has been reported by its hook.
        drop(self.timer.take().map(JoinHandle::join));
    }
}

/// The vCPU's own descriptor is borrowed as long as an exit is being handled, which is when the
/// ring is read.
#[allow(unsafe_code)]
fn second_descriptor(vm: &VmFd, vcpu: &VcpuFd) -> io::Result<VcpuFd> {
    // SAFETY: `vcpu` keeps its descriptor open for as long as it is borrowed here.
    let own = unsafe { BorrowedFd::borrow_raw(vcpu.as_raw_fd()) }.try_clone_to_owned()?;
    // SAFETY: the descriptor is a vCPU's, and nobody else owns this duplicate.
    unsafe { vm.create_vcpu_from_rawfd(own.into_raw_fd()) }
        .map_err(|e| io::Error::from_raw_os_error(e.errno()))
}

struct Timer {
    ring: Arc<CoalescedRing>,
    stop: EventFd,
    stopped: bool,
}

impl MutEventSubscriber for Timer {
    fn process(&mut self, events: Events, _: &mut EventOps<'_>) {
        if events.fd() == self.ring.as_raw_fd() {
            self.ring.tick();
        } else {
            self.stopped = true;
        }
    }

    fn init(&mut self, ops: &mut EventOps<'_>) {
        for fd in [self.ring.as_raw_fd(), self.stop.as_raw_fd()] {
            ops.add(Events::new_raw(fd, EventSet::IN))
                .expect("a fresh event loop takes two descriptors");
        }
    }
}

fn serve_timer(ring: Arc<CoalescedRing>, stop: &EventFd) -> io::Result<JoinHandle<()>> {
    let timer = Timer {
        ring,
        stop: stop.try_clone()?,
        stopped: false,
    };
    let mut events = EventManager::new().map_err(io::Error::other)?;
    let timer = events.add_subscriber(timer);
    thread::Builder::new()
        .name("coalesced".to_owned())
        .spawn(move || {
            while events
                .subscriber_mut(timer)
                .is_ok_and(|timer| !timer.stopped)
            {
                events
                    .run()
                    .expect("an event loop whose descriptors are open");
            }
        })
}
