//! The whole state of a chip as plain data, for snapshots and live migration.
//!
//! A [`Snapshot`] holds what cannot be derived, and nothing else. Interrupt identification, line
//! status, modem status and the levels of all output pins are computed again from it, so there a
//! snapshot cannot contradict itself. Where it still can, [`Uart::restore`](crate::Uart::restore)
//! refuses it and names the field.
//!
//! The choices of the board designer ([`Config`](crate::Config)) belong to the machine and not to
//! the snapshot: restore under the same choices.

#[cfg(feature = "serde")]
mod array;
mod check;
mod chip;
mod error;
mod layout;
#[cfg(feature = "vm-superio")]
mod superio;

pub use error::SnapshotError;
#[cfg(feature = "vm-superio")]
pub use superio::HeldOutput;

/// The state of a [`Uart`](crate::Uart). Each field names the register it comes from;
/// [`Snapshot::to_bytes`] gives the byte layout.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent flip-flops of the chip"
)]
pub struct Snapshot {
    /// The version of the layout and of what the fields mean: [`Snapshot::VERSION`] when this crate
    /// took the snapshot.
    pub version: u16,
    /// IER: bits 3 to 0.
    pub ier: u8,
    /// LCR.
    pub lcr: u8,
    /// MCR: bits 4 to 0, and bit 5 where auto flow control was built in.
    pub mcr: u8,
    /// The bits of FCR that last: FIFO enable (bit 0) and trigger level (bits 7 and 6, which are 0
    /// while the FIFOs are off).
    pub fcr: u8,
    /// Scratchpad.
    pub scr: u8,
    /// Divisor latch.
    pub divisor: u16,
    /// Bits 7 to 4: DCD, RI, DSR and CTS as driven from outside, even in loopback. Bits 3 to 0: the
    /// deltas of MSR.
    pub modem: u8,
    /// The content of RBR in 16450 mode.
    pub last_received: u8,
    /// LSR.OE.
    pub overrun: bool,
    /// The THRE interrupt is pending: only with ETBEI set and an empty transmitter.
    pub thr_interrupt: bool,
    /// The character timeout has passed: only in FIFO mode with a character in the FIFO.
    pub timed_out: bool,
    /// Auto flow control holds RTS back.
    pub rts_held: bool,
    /// Nanoseconds that already count towards the character timeout.
    pub idle_ns: u64,
    /// Characters in the receive FIFO: up to its depth, or 1 while the FIFOs are off.
    pub received_len: u8,
    /// The received characters, oldest first; 0 beyond `received_len`.
    #[cfg_attr(feature = "serde", serde(with = "array"))]
    pub received: [u8; 64],
    /// Bit i: character i has a parity error.
    pub received_parity: u64,
    /// Bit i: character i has a framing error.
    pub received_framing: u64,
    /// Bit i: character i is a break.
    pub received_break: u64,
    /// Bytes in the transmit FIFO, which the line has not taken yet: up to its depth, or 1 while
    /// the FIFOs are off.
    pub transmit_len: u8,
    /// Those bytes, oldest first; 0 beyond `transmit_len`.
    #[cfg_attr(feature = "serde", serde(with = "array"))]
    pub transmit: [u8; 64],
}

impl Snapshot {
    /// The version this crate writes, and the only one it reads so far.
    pub const VERSION: u16 = 1;
}
