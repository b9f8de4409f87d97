//! The edges that a driver does not need while it fills the transmit FIFO.
//!
//! Each THR write takes the THRE interrupt away and, as transmission takes no time, brings it back.
//! To an edge line each is an edge: sixteen for a driver that fills the FIFO, and one would do. But a
//! driver that writes one byte per interrupt and looks at nothing waits for each of them, and the
//! port sees the same two writes from both.
//!
//! So an edge is spared only to a driver that looks at IIR before it writes. All of this has to be
//! true:
//!
//! 1. IIR has acknowledged the THRE interrupt. The first THR write after that raised the line, with
//!    an edge, and since then nothing but THR was touched, at most one FIFO of it.
//! 2. No other cause holds the line.
//! 3. Since the port was last set up (LCR, FCR, MCR), the driver has filled the whole FIFO between
//!    two such answers of IIR at least once, and has never written THR without one since.
//!
//! # Why no driver waits in vain
//!
//! Take a driver whose handler reads IIR before it writes THR. The edge of the first write is
//! latched, so its handler runs after that write and reads IIR first. If it does so before a later
//! write, that one is a first write itself and brings an edge. If it does so after, the edge that
//! was spared was not needed: this reading of IIR reports its interrupt.
//!
//! A handler that never reads IIR never fulfils 1. If only the rest of its driver reads IIR, as many
//! do when they begin, it does not fulfil 3.
//!
//! Should a driver read IIR at some interrupts and not at others, its edge comes with the next call
//! from outside: [`pump`](super::SerialPort::pump), [`keep_time`](super::SerialPort::keep_time), or
//! input. The console service of the `vm-console` crate makes such a call at the latest 50 ms after
//! output that a client waits for.

use crate::interrupt::Causes;

/// The THR writes of the driver that is at work.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Burst {
    /// How many since IIR acknowledged the THRE interrupt; `None` if it did not.
    written: Option<u8>,
    /// Another register was touched since the last of them.
    is_over: bool,
    /// The driver fills the FIFO between two answers of IIR.
    fills_fifo: bool,
    /// An edge was spared, and there has been no answer of IIR since.
    owes_edge: bool,
}

impl Burst {
    /// IIR was read. `acknowledged`: it took the THRE interrupt away.
    pub(super) fn iir_read(&mut self, acknowledged: bool, depth: usize) {
        let fills_fifo = self
            .written
            .is_some_and(|written| usize::from(written) == depth);
        self.written = acknowledged.then_some(0);
        self.is_over = false;
        self.fills_fifo |= acknowledged && fills_fifo;
        self.owes_edge = false;
    }

    /// Another register was touched.
    #[inline]
    pub(super) const fn other_access(&mut self) {
        self.is_over = true;
    }

    /// Whether the edge of one more byte is spared, if only the THRE interrupt holds the line.
    #[inline]
    pub(super) const fn spares_next(self, depth: usize) -> bool {
        match self.written {
            Some(written @ 1..) => self.fills_fifo && !self.is_over && (written as usize) < depth,
            _ => false,
        }
    }

    /// The one more byte was written and has left.
    #[inline]
    pub(super) fn spared_next(&mut self) {
        self.written = self.written.map(|written| written + 1);
        self.owes_edge = true;
    }

    /// `count` bytes were written to THR and have left, while the causes `told` held the line.
    /// Returns whether the edge can be spared.
    pub(super) fn written(&mut self, count: usize, told: Causes, depth: usize) -> bool {
        let goes_on = match self.written {
            Some(0) => told.is_empty(),
            Some(_) => !self.is_over && told == Causes::TRANSMITTER_EMPTY,
            None => false,
        };
        let before = usize::from(self.written.unwrap_or(0));
        let written = before + count;
        if !goes_on || written > depth {
            *self = Self::default();
            return false;
        }
        self.written = Some(written as u8);
        self.is_over = false;
        let spared = before > 0 && self.fills_fifo;
        self.owes_edge |= spared;
        spared
    }

    /// Whether an edge was spared that the driver may be waiting for. True once for each.
    pub(super) const fn take_owed_edge(&mut self) -> bool {
        core::mem::replace(&mut self.owes_edge, false)
    }
}
