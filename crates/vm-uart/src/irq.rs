//! The interrupt line.

/// The chip's interrupt output, a level.
///
/// The port calls [`assert`](Self::assert) and [`deassert`](Self::deassert) only when the level
/// changes.
pub trait InterruptLine {
    /// The line goes active.
    fn assert(&mut self);

    /// The line goes inactive.
    fn deassert(&mut self);

    /// Within one access the line has gone inactive and active again. The level is as before, but
    /// an edge-triggered receiver has to see the new edge. A line whose receiver looks at the level
    /// alone may do nothing here.
    fn pulse(&mut self) {
        self.deassert();
        self.assert();
    }

    /// An access has served a cause, and another one holds the line active: the level never moved.
    /// A line whose receiver looks at the level does nothing here. An edge line rings again;
    /// without that, a driver that serves one cause per interrupt would never hear of the second.
    fn next_cause(&mut self) {}
}

/// A line that leads nowhere: for guests that only poll.
impl InterruptLine for () {
    #[inline]
    fn assert(&mut self) {}

    #[inline]
    fn deassert(&mut self) {}
}

/// Passes all on to the line behind a pointer, its own `pulse` and `next_cause` included.
macro_rules! behind_a_pointer {
    ($pointer:ty) => {
        impl<I: InterruptLine + ?Sized> InterruptLine for $pointer {
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
    };
}

behind_a_pointer!(&mut I);
#[cfg(feature = "std")]
behind_a_pointer!(std::boxed::Box<I>);

#[cfg(feature = "vm-superio")]
pub use edge::EdgeLine;

#[cfg(feature = "vm-superio")]
mod edge {
    use vm_superio::Trigger;

    use super::InterruptLine;

    /// An edge line: each rising edge becomes one [`Trigger::trigger`], for example one write to an
    /// irqfd.
    ///
    /// # Why no interrupt is lost
    ///
    /// An interrupt is lost if a cause is true, the guest waits for an edge, and no edge comes. Let
    /// C be a cause that is true while the guest waits. There are three ways in which C became
    /// true:
    ///
    /// 1. *C came while the line was low.* Then [`assert`](InterruptLine::assert) sent an edge
    ///    after C became true. The controller latches that edge, even while the handler of an
    ///    earlier one runs, so the guest does not wait.
    /// 2. *C came while another cause D held the line*, so C brought no edge; the edge of D had
    ///    come earlier. If the guest has not served D yet, its handler has still to run or to
    ///    finish. If it has served D, it did so by an access: nothing else serves a cause (Table
    ///    IV, "interrupt reset control"; or clearing its enable bit). Every access that serves one
    ///    cause and leaves another sends an edge through [`next_cause`](InterruptLine::next_cause).
    /// 3. *C was served and became true again within one access*: a THR write whose byte left at
    ///    once, or an RBR read that uncovered the next character. The chip would lower its output
    ///    and raise it some microseconds later. Here that is [`pulse`](InterruptLine::pulse), or
    ///    `next_cause` if another cause held the line meanwhile. Both are edges, with the one
    ///    exception below.
    ///
    /// The exception spares the 15 needless edges of each burst of Linux's and most other drivers:
    /// they read IIR, which acknowledges the THRE interrupt, and fill the FIFO. The first write of a
    /// burst brings an edge, and that one makes the handler read IIR again. For the others none is
    /// sent, as long as nothing but THR is touched and the FIFO would not overflow, if this driver
    /// has filled the whole FIFO between two such answers of IIR before, since it wrote LCR, FCR or
    /// MCR. Handlers that never read IIR get every edge. A handler that reads IIR at some interrupts
    /// and not at others may miss one if it fills the FIFO at times. It comes with the next call from
    /// outside, such as input or [`keep_time`](crate::SerialPort::keep_time); the console service of
    /// the `vm-console` crate makes one within 50 ms of output that a client waits for.
    ///
    /// So a handler may serve one cause per interrupt, or loop until IIR says none. The controller,
    /// however, must latch an edge that comes while its input is masked. An 8259 does. An I/O APIC
    /// need not; there a driver has to look at IIR after unmasking, as with the chip.
    ///
    /// With [`ReceiveAhead::Full`](crate::ReceiveAhead::Full) a read that leaves the FIFO at or
    /// above its trigger level serves no cause and sends no edge, as on the chip. That choice is
    /// for drivers that read until LSR.DR is 0.
    ///
    /// # Why there is no storm
    ///
    /// An access sends at most one edge, and so does each call from outside that brings input,
    /// time, room or a modem signal. Between calls nothing happens, as the port has no timer. An
    /// access that serves no cause sends no edge unless it makes the line active. So there are no
    /// more edges once a handler has found IIR at "none" and returned. The one exception is a
    /// handler that has served 400 causes without an end: it is told "none" and given an edge, so
    /// that it returns and begins anew.
    ///
    /// A handler that serves several causes sends edges by its own accesses, and the last of them
    /// may still be latched when it returns. Such a guest takes one more interrupt, finds "none"
    /// and returns. An edge cannot be taken back once it is sent, and it must not be held back
    /// either, as the handler may return at any time. Strings of accesses
    /// ([`write_string`](crate::SerialPort::write_string), a replay of KVM's coalesced ring) send
    /// one edge in all.
    ///
    /// # Errors of the trigger
    ///
    /// [`failures`](Self::failures) counts them, and the first is kept for
    /// [`take_error`](Self::take_error). A non-blocking eventfd refuses only when its counter is
    /// full; then an interrupt is pending anyway.
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

        /// The trigger that the edges go to.
        pub const fn trigger(&self) -> &T {
            &self.trigger
        }

        /// Gives the trigger back.
        pub fn into_trigger(self) -> T {
            self.trigger
        }

        /// How many edges the trigger has refused with an error.
        pub const fn failures(&self) -> u64 {
            self.failures
        }

        /// The first error of the trigger since the last call.
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
