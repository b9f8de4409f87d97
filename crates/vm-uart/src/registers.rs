//! The registers as types: offsets, bits, and what each bit is called in the data sheet.
//!
//! Nothing here has behaviour. Section numbers are those of the National Semiconductor PC16550D
//! data sheet (TI literature number SNLS378C). Each subsection of section 8 describes one register;
//! this file follows its summary, Table II, from top to bottom.

use bitflags::bitflags;

/// Number of register offsets the chip decodes (its address lines A2 to A0).
pub const REGISTERS: u8 = 8;

/// Receiver Buffer Register: read, DLAB = 0 (Table II).
pub const RBR: u8 = 0;
/// Transmitter Holding Register: write, DLAB = 0 (Table II).
pub const THR: u8 = 0;
/// Divisor Latch, low byte: read and write, DLAB = 1 (Table II, section 8.3).
pub const DLL: u8 = 0;
/// Interrupt Enable Register: read and write, DLAB = 0 (Table II, section 8.7).
pub const IER: u8 = 1;
/// Divisor Latch, high byte: read and write, DLAB = 1 (Table II, section 8.3).
pub const DLM: u8 = 1;
/// Interrupt Identification Register: read, whatever DLAB is (Table II, section 8.6).
pub const IIR: u8 = 2;
/// FIFO Control Register: write, whatever DLAB is (Table II, section 8.5).
pub const FCR: u8 = 2;
/// Line Control Register (Table II, section 8.1).
pub const LCR: u8 = 3;
/// Modem Control Register (Table II, section 8.8).
pub const MCR: u8 = 4;
/// Line Status Register: read only here; writes are "for factory testing" and vanish (section 8.4).
pub const LSR: u8 = 5;
/// Modem Status Register: read only here; writes vanish (section 8.9).
pub const MSR: u8 = 6;
/// Scratchpad Register (section 8.10).
pub const SCR: u8 = 7;

bitflags! {
    /// Interrupt Enable Register (section 8.7). Bits 7 to 4 are always 0.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Ier: u8 {
        /// ERBFI: data available and, in FIFO mode, character timeout.
        const RECEIVED_DATA = 0x01;
        /// ETBEI: transmitter holding register empty.
        const TRANSMITTER_EMPTY = 0x02;
        /// ELSI: receiver line status (overrun, parity, framing, break).
        const LINE_STATUS = 0x04;
        /// EDSSI: modem status.
        const MODEM_STATUS = 0x08;
    }

    /// FIFO Control Register (section 8.5). Write only; bits other than 0 act only when bit 0 is
    /// written 1.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Fcr: u8 {
        /// FIFO enable. Any change of it clears both FIFOs.
        const ENABLE = 0x01;
        /// Clears the receive FIFO, then falls back by itself.
        const RESET_RECEIVER = 0x02;
        /// Clears the transmit FIFO, then falls back by itself.
        const RESET_TRANSMITTER = 0x04;
        /// DMA mode of the RXRDY and TXRDY pins, which no virtual machine wires.
        const DMA_MODE = 0x08;
        /// Trigger level, low bit.
        const TRIGGER_LOW = 0x40;
        /// Trigger level, high bit.
        const TRIGGER_HIGH = 0x80;
    }

    /// Line Control Register (section 8.1). All eight bits are kept.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Lcr: u8 {
        /// WLS0: word length, low bit (5 to 8 bits).
        const WORD_LENGTH_LOW = 0x01;
        /// WLS1: word length, high bit.
        const WORD_LENGTH_HIGH = 0x02;
        /// STB: 2 stop bits, or 1.5 with words of 5 bits.
        const STOP_BITS = 0x04;
        /// PEN: parity bit sent and checked.
        const PARITY = 0x08;
        /// EPS: even parity.
        const EVEN_PARITY = 0x10;
        /// Stick parity.
        const STICK_PARITY = 0x20;
        /// Set break: the serial output is held spacing.
        const BREAK = 0x40;
        /// DLAB: offsets 0 and 1 reach the divisor latch.
        const DLAB = 0x80;
    }

    /// Modem Control Register (section 8.8). Bits 7 to 5 are always 0; bit 5 exists only in the
    /// TL16C550C.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Mcr: u8 {
        /// Data terminal ready.
        const DTR = 0x01;
        /// Request to send.
        const RTS = 0x02;
        /// User output 1.
        const OUT1 = 0x04;
        /// User output 2: on a PC it lets the interrupt out.
        const OUT2 = 0x08;
        /// Loopback for diagnostics.
        const LOOP = 0x10;
        /// AFE: auto flow control, only with
        /// [`Config::auto_flow_control`](crate::Config::auto_flow_control).
        const AUTO_FLOW = 0x20;
    }

    /// Line Status Register (section 8.4).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Lsr: u8 {
        /// DR: at least one character can be read.
        const DATA_READY = 0x01;
        /// OE: a character was lost for want of room.
        const OVERRUN = 0x02;
        /// PE: the character at the top has a parity error.
        const PARITY_ERROR = 0x04;
        /// FE: the character at the top had no valid stop bit.
        const FRAMING_ERROR = 0x08;
        /// BI: the character at the top is a break.
        const BREAK = 0x10;
        /// THRE: the transmitter holding register, or the transmit FIFO, is empty.
        const THR_EMPTY = 0x20;
        /// TEMT: the transmit shift register is empty as well.
        const TRANSMITTER_EMPTY = 0x40;
        /// FIFO mode: at least one character in the receive FIFO has an error.
        const FIFO_ERROR = 0x80;
    }

    /// Modem Status Register (section 8.9).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Msr: u8 {
        /// DCTS: clear to send has changed since the last read.
        const DELTA_CTS = 0x01;
        /// DDSR: data set ready has changed since the last read.
        const DELTA_DSR = 0x02;
        /// TERI: ring indicator has gone inactive since the last read.
        const TRAILING_EDGE_RI = 0x04;
        /// DDCD: data carrier detect has changed since the last read.
        const DELTA_DCD = 0x08;
        /// Clear to send.
        const CTS = 0x10;
        /// Data set ready.
        const DSR = 0x20;
        /// Ring indicator.
        const RI = 0x40;
        /// Data carrier detect.
        const DCD = 0x80;
    }

    /// What can be wrong with one received character. The bits stand where LSR shows them (section
    /// 8.4).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct CharacterErrors: u8 {
        /// PE.
        const PARITY = 0x04;
        /// FE.
        const FRAMING = 0x08;
        /// BI.
        const BREAK = 0x10;
    }
}

impl Ier {
    /// The bits the register keeps (section 8.7: bits 7 to 4 are always 0).
    pub const KEPT: u8 = 0x0f;
}

impl Mcr {
    /// The bits the PC16550D keeps (section 8.8: bits 7 to 5 are permanently 0).
    pub const KEPT: u8 = 0x1f;
}

impl Lsr {
    /// OE, PE, FE and BI: they raise the line status interrupt, and a read of LSR clears them
    /// (section 8.4).
    pub const ERRORS: u8 = 0x1e;
}

impl Msr {
    /// The four bits that reading MSR clears (section 8.9).
    pub const DELTAS: u8 = 0x0f;
}

impl Lcr {
    /// Data bits in a word: 5 to 8 (section 8.1, bits 0 and 1).
    #[must_use]
    pub const fn word_length(self) -> u8 {
        5 + (self.bits() & 0x03)
    }

    /// The bits of a byte that a word of this length carries.
    #[must_use]
    pub const fn word_mask(self) -> u8 {
        0xff >> (8 - self.word_length())
    }
}

/// The interrupt that IIR bits 3 to 0 name (section 8.6, Table IV).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum InterruptId {
    /// No interrupt is pending.
    None = 0b0001,
    /// Priority 1: overrun, parity or framing error, or break.
    LineStatus = 0b0110,
    /// Priority 2: the receive FIFO has reached its trigger level, or RBR is full.
    DataAvailable = 0b0100,
    /// Priority 2: the FIFO holds characters below the trigger level, and none has come or gone for
    /// four character times.
    CharacterTimeout = 0b1100,
    /// Priority 3: the transmitter holding register is empty.
    TransmitterEmpty = 0b0010,
    /// Priority 4: a modem input has changed.
    ModemStatus = 0b0000,
}

impl InterruptId {
    /// Bits 3 to 0 of IIR.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// IIR bits 7 and 6, set while the FIFOs are on (section 8.6).
pub const IIR_FIFO_ENABLED: u8 = 0xc0;

/// Receive trigger level: FCR bits 7 and 6 (section 8.5).
///
/// In a [64-byte FIFO](crate::FifoDepth::SixtyFour) the same codes stand for 1, 16, 32 and 56, as
/// in the TL16C750.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TriggerLevel {
    /// 1 character.
    #[default]
    One = 0,
    /// 4 characters (16 of 64).
    Four = 1,
    /// 8 characters (32 of 64).
    Eight = 2,
    /// 14 characters (56 of 64).
    Fourteen = 3,
}

impl TriggerLevel {
    /// The level that a byte written to FCR programs.
    #[must_use]
    pub const fn from_fcr(value: u8) -> Self {
        match value >> 6 {
            0 => Self::One,
            1 => Self::Four,
            2 => Self::Eight,
            _ => Self::Fourteen,
        }
    }

    /// The level in characters for a FIFO of 16.
    #[must_use]
    pub const fn of_sixteen(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Four => 4,
            Self::Eight => 8,
            Self::Fourteen => 14,
        }
    }

    /// The level in characters for a FIFO of 64.
    #[must_use]
    pub const fn of_sixty_four(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Four => 16,
            Self::Eight => 32,
            Self::Fourteen => 56,
        }
    }
}
