//! An end to each run of an interrupt handler.
//!
//! A handler that serves what IIR names until IIR says none ends on the chip after a few passes, as
//! sixteen characters take a millisecond or more. Here they take no time: while another CPU fills the
//! driver's buffer, or the host has input, there is always something pending. Linux gives up after
//! 512 passes and logs "too much work for irq4", on the console that kept it busy.
//!
//! So after [`LIMIT`] passes IIR says none once. What is pending stays so and interrupts anew at that
//! moment, as if it came right after the answer. The handler returns and is called again.

use crate::registers::InterruptId;

/// Passes after which IIR says none: fewer than the 512 of `serial8250_interrupt`, and more than
/// the 256 in which it empties a transmit buffer of 4 KiB that nobody fills.
pub(super) const LIMIT: u16 = 400;

/// The passes of a handler: answers of IIR that named an interrupt, each after the one before had
/// been served and LSR been read, as handlers with a loop do in each pass. Those without one read
/// IIR or nothing, and serve one character for each interrupt.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Passes {
    count: u16,
    /// LSR was read since IIR was read.
    pub(super) looked: bool,
    /// RBR was read or THR written since IIR was read.
    pub(super) served: bool,
}

impl Passes {
    /// IIR is about to report `pending`. Returns whether it has to say none instead.
    pub(super) fn are_over(&mut self, pending: InterruptId) -> bool {
        let looked = core::mem::take(&mut self.looked);
        let served = core::mem::take(&mut self.served);
        self.count += u16::from(looked && served);
        let over = self.count > LIMIT;
        if over || pending == InterruptId::None {
            self.count = 0;
        }
        over && pending != InterruptId::None
    }
}
