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
}

#[cfg(feature = "vm-superio")]
pub use edge::EdgeLine;

#[cfg(feature = "vm-superio")]
mod edge {
    use vm_superio::Trigger;

    use super::InterruptLine;

    /// An edge line: each rising edge becomes one [`Trigger::trigger`], for example one write to an irqfd.
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
    }
}
