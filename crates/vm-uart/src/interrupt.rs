//! Which interrupt is pending: one pure function (section 8.6, Table IV).

use bitflags::bitflags;

use crate::registers::{Ier, InterruptId};

bitflags! {
    /// The conditions that can interrupt, before the enable register is asked.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Causes: u8 {
        /// LSR shows OE, PE, FE or BI.
        const LINE_STATUS = 0x01;
        /// The receive FIFO has reached its trigger level, or RBR is full in 16450 mode.
        const DATA_AVAILABLE = 0x02;
        /// At least one character is in the FIFO and nothing has moved for four character times.
        const CHARACTER_TIMEOUT = 0x04;
        /// The transmitter has emptied, and the guest has not acknowledged it yet.
        const TRANSMITTER_EMPTY = 0x08;
        /// MSR shows a change.
        const MODEM_STATUS = 0x10;
    }
}

impl Causes {
    /// The causes that an enable register lets through (section 8.7). ERBFI enables data available
    /// and, "in the FIFO mode", the character timeout.
    #[must_use]
    pub const fn enabled_by(ier: Ier) -> Self {
        let ier = ier.bits();
        Self::from_bits_truncate(
            ((ier & 0x04) >> 2) | ((ier & 0x01) * 0x06) | ((ier & 0x02) << 2) | ((ier & 0x08) << 1),
        )
    }
}

/// The interrupt that IIR reports for these enabled causes, by the priorities of Table IV.
///
/// Data available and character timeout share the second priority. Below the trigger level only the
/// timeout can be true; from the trigger level on IIR reports data available, even if the timeout
/// is true too.
///
/// ```
/// use vm_uart::interrupt::{pending, Causes};
/// use vm_uart::registers::InterruptId;
///
/// let causes = Causes::TRANSMITTER_EMPTY | Causes::DATA_AVAILABLE;
/// assert_eq!(pending(causes), InterruptId::DataAvailable);
/// assert_eq!(pending(Causes::empty()), InterruptId::None);
/// ```
#[must_use]
#[inline]
pub const fn pending(enabled: Causes) -> InterruptId {
    if enabled.contains(Causes::LINE_STATUS) {
        InterruptId::LineStatus
    } else if enabled.contains(Causes::DATA_AVAILABLE) {
        InterruptId::DataAvailable
    } else if enabled.contains(Causes::CHARACTER_TIMEOUT) {
        InterruptId::CharacterTimeout
    } else if enabled.contains(Causes::TRANSMITTER_EMPTY) {
        InterruptId::TransmitterEmpty
    } else if enabled.contains(Causes::MODEM_STATUS) {
        InterruptId::ModemStatus
    } else {
        InterruptId::None
    }
}
