//! An end to each run of an interrupt handler.
//!
//! A handler that serves what IIR names until IIR says none ends on the chip after a few passes, as
//! sixteen characters take a millisecond or more. Here they take no time: while another CPU fills the
//! driver's buffer, or the host has input, there is always something pending. Linux gives up after
//! 512 passes and logs "too much work for irq4", on the console that kept it busy.
//!
//! So after [`LIMIT`] passes IIR says none once. What is pending stays so and interrupts anew at that
//! moment, as if it came right after the answer. The handler returns and is called again.
//!
//! Where the owner lets [time](super::SerialPort::advance) pass, and as much of it as the chip needs
//! for all these characters, it would have had as many passes. They count no more then.

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
    /// Characters that were served in them.
    characters: u32,
    /// Nanoseconds that have passed since the first of them.
    elapsed: u64,
    /// LSR was read since IIR was read.
    pub(super) looked: bool,
    /// Characters that were read from RBR or written to THR since IIR was read.
    served: u32,
}

impl Passes {
    pub(super) const fn served(&mut self, characters: usize) {
        self.served = self.served.saturating_add(characters as u32);
    }

    /// IIR is about to report `pending`. Returns whether it has to say none instead.
    pub(super) fn are_over(&mut self, pending: InterruptId) -> bool {
        let looked = core::mem::take(&mut self.looked);
        let served = core::mem::take(&mut self.served);
        self.count += u16::from(looked && served > 0);
        self.characters = self.characters.saturating_add(served);
        let over = self.count > LIMIT;
        if over || pending == InterruptId::None {
            *self = Self::default();
        }
        over && pending != InterruptId::None
    }

    /// Time has passed, of which a character takes `character_ns`.
    pub(super) fn advance(&mut self, nanoseconds: u64, character_ns: u64) {
        self.elapsed = self.elapsed.saturating_add(nanoseconds);
        if self.elapsed >= u64::from(self.characters).saturating_mul(character_ns) {
            (self.count, self.characters, self.elapsed) = (0, 0, 0);
        }
    }
}
