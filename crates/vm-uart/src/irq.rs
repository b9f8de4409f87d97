//! The interrupt line.

/// The chip's interrupt output, a level.
///
/// The port calls [`assert`](Self::assert) and [`deassert`](Self::deassert) only when the level changes.
pub trait InterruptLine {
    /// The line goes active.
    fn assert(&mut self);

    /// The line goes inactive.
    fn deassert(&mut self);

    /// Within one access the line has gone inactive and active again. It was active and it still is, but what is
    /// edge-triggered has to see the new edge. A line whose receiver looks at the level alone may do nothing here.
    fn pulse(&mut self) {
        self.deassert();
        self.assert();
    }

    /// An access has served a cause, and another one holds the line active: the level never moved. A line whose
    /// receiver looks at the level does nothing here; an edge line rings again, or a driver that serves one cause per
    /// interrupt would never hear of the second.
    fn next_cause(&mut self) {}
}

/// A line that leads nowhere: for guests that only poll.
impl InterruptLine for () {
    #[inline]
    fn assert(&mut self) {}

    #[inline]
    fn deassert(&mut self) {}
}

impl<I: InterruptLine + ?Sized> InterruptLine for &mut I {
    fn assert(&mut self) {
        (**self).assert();
    }

    fn deassert(&mut self) {
        (**self).deassert();
    }

    fn pulse(&mut self) {
        (**self).pulse();
    }

    fn next_cause(&mut self) {
        (**self).next_cause();
    }
}

#[cfg(feature = "vm-superio")]
pub use edge::EdgeLine;

#[cfg(feature = "vm-superio")]
mod edge {
    use vm_superio::Trigger;

    use super::InterruptLine;

    /// An edge line: each rising edge becomes one [`Trigger::trigger`], for example one write to an irqfd.
    ///
    /// # Why no interrupt is lost
    ///
    /// An interrupt is lost if a cause stands, the guest waits for an edge, and none comes. Let C be a cause that stands
    /// while the guest waits, and look at what made the line active for the last time before:
    ///
    /// 1. *C itself came while the line was low.* Then [`assert`](InterruptLine::assert) sent an edge after C stood. The controller
    ///    latches it, even while the handler of an earlier one runs, so the guest does not wait.
    /// 2. *C came while another cause D held the line*, so C brought no edge. D's edge came earlier. Either the guest has not
    ///    served D yet: then its handler is still to run, or to finish. Or it has: D is served by an access and
    ///    by nothing else (Table IV, "interrupt reset control"; or by clearing its enable bit), and every access that serves one
    ///    and leaves another standing sends an edge by [`next_cause`](InterruptLine::next_cause).
    /// 3. *C is served and stands again within one access*: a THR write whose byte left at once, an RBR read after which the next
    ///    character lies there. The chip would lower its output and raise it some microseconds later; here that is
    ///    [`pulse`](InterruptLine::pulse), or `next_cause` if another cause held the line meanwhile.
    ///
    /// So it does not matter whether a handler serves one cause per interrupt or loops until IIR says none. It does matter that
    /// the controller latches an edge that comes while its input is masked. An 8259 does; an I/O APIC need not,
    /// and there a driver has to look at IIR after unmasking, as with the chip.
    ///
    /// With [`ReceiveAhead::Full`](crate::ReceiveAhead::Full) a read that leaves the FIFO at or above its trigger level serves nothing, and
    /// sends no edge, as on the chip: that choice is for drivers that read until LSR.DR is 0.
    ///
    /// # Why there is no storm
    ///
    /// An access sends at most one edge, and so does each call from outside that brings input, time, room or a modem signal. Between
    /// calls nothing happens, as there is no timer in here. An access that serves no cause sends no edge unless it makes the line
    /// active; so a handler that finds IIR at "none" and returns ends the matter.
    ///
    /// Edges that a handler's own accesses send while it serves several causes may leave one latched at its end: that guest
    /// takes one interrupt more, finds "none" and returns. It cannot be taken back once sent, and to hold it back would be
    /// to bet on the handler going on. Strings of accesses ([`write_string`](crate::SerialPort::write_string), a
    /// replay of KVM's coalesced ring) send one edge in all.
    ///
    /// # Errors of the trigger
    ///
    /// They are counted by [`failures`](Self::failures), and the first is kept for [`take_error`](Self::take_error). A non-blocking eventfd refuses only when its counter is full, that is
    /// when an interrupt is pending anyway.
    #[derive(Debug)]
    pub struct EdgeLine<T: Trigger> {
        trigger: T,
        failures: u64,
        error: Option<T::E>,
    }

    impl<T: Trigger> EdgeLine<T> {
        /// A line that ends in `trigger`.
        pub const fn new(trigger: T) -> Self {
            Self {
                trigger,
                failures: 0,
                error: None,
            }
        }

        /// What the edges go to.
        pub const fn trigger(&self) -> &T {
            &self.trigger
        }

        /// Gives back what the edges went to.
        pub fn into_trigger(self) -> T {
            self.trigger
        }

        /// How many edges the trigger has refused with an error.
        pub const fn failures(&self) -> u64 {
            self.failures
        }

        /// The first error of the trigger since this was last asked.
        pub const fn take_error(&mut self) -> Option<T::E> {
            self.error.take()
        }

        fn edge(&mut self) {
            if let Err(error) = self.trigger.trigger() {
                self.failures = self.failures.saturating_add(1);
                self.error.get_or_insert(error);
            }
        }
    }

    impl<T: Trigger> InterruptLine for EdgeLine<T> {
        fn assert(&mut self) {
            self.edge();
        }

        fn deassert(&mut self) {}

        fn pulse(&mut self) {
            self.edge();
        }

        fn next_cause(&mut self) {
            self.edge();
        }
    }
}
