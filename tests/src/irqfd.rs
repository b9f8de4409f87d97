//! An eventfd as an interrupt line, as every VMM on KVM has it.

use vm_superio::Trigger;
use vmm_sys_util::eventfd::EventFd;

/// Each trigger is one write, and so one edge where the eventfd is bound as an irqfd.
#[derive(Debug)]
pub struct Irqfd(pub EventFd);

impl Trigger for Irqfd {
    type E = std::io::Error;

    fn trigger(&self) -> std::io::Result<()> {
        self.0.write(1)
    }
}
