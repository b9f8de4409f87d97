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

    /// The guest has served the cause that IIR reported, and another one holds the line active: the level never moved. A
    /// line whose receiver looks at the level does nothing here; an edge line rings again, or a driver that serves one
    /// cause per interrupt would never hear of the second.
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
    /// **No interrupt is lost.** A controller owes the guest at least one interrupt for one or more edges since it last
    /// took one. An edge is given whenever the level rises, be it within one access, and whenever the cause that IIR
    /// reported has been served while another is pending. So whatever is pending was announced by an edge when it came to
    /// the top, or was at the top already and its edge still stands or is being handled; and serving it gives the edge for
    /// the next. A driver may serve one cause per interrupt, or all. (One that masks the line at a controller which forgets
    /// edges meanwhile must look at the device after unmasking, as with the chip itself.)
    ///
    /// **There is no storm.** Edges come only from accesses that serve or enable a cause and from characters and modem
    /// changes that arrive; reading registers of an unserved or idle device gives none. Each byte moved can serve one cause.
    ///
    /// The price is an interrupt that finds nothing to do now and then: a driver that loops until IIR says "none" has
    /// served the second cause before its edge is delivered, as happens with the chip too.
    #[derive(Debug)]
    pub struct EdgeLine<T: Trigger> {
        trigger: T,
        failures: u64,
    }

    impl<T: Trigger> EdgeLine<T> {
        /// A line that ends in `trigger`.
        pub const fn new(trigger: T) -> Self {
            Self {
                trigger,
                failures: 0,
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

        fn edge(&mut self) {
            if self.trigger.trigger().is_err() {
                self.failures = self.failures.saturating_add(1);
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
