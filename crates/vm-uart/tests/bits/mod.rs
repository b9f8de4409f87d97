//! The crate's register bits and interrupt codes as plain bytes, for tests that drive a port as a
//! guest does.
#![allow(dead_code, reason = "each test file uses its own part of it")]

use vm_uart::registers::{Ier, InterruptId, Lcr, Lsr, Mcr};

pub(crate) const IER_RECEIVED: u8 = Ier::RECEIVED_DATA.bits();
pub(crate) const IER_THRE: u8 = Ier::TRANSMITTER_EMPTY.bits();

pub(crate) const IIR_NONE: u8 = InterruptId::None.code();
pub(crate) const IIR_LINE_STATUS: u8 = InterruptId::LineStatus.code();
pub(crate) const IIR_DATA: u8 = InterruptId::DataAvailable.code();
pub(crate) const IIR_TIMEOUT: u8 = InterruptId::CharacterTimeout.code();
pub(crate) const IIR_THRE: u8 = InterruptId::TransmitterEmpty.code();
pub(crate) const IIR_MODEM: u8 = InterruptId::ModemStatus.code();

pub(crate) const LCR_DLAB: u8 = Lcr::DLAB.bits();
pub(crate) const LCR_BREAK: u8 = Lcr::BREAK.bits();
/// Eight data bits, no parity, one stop bit.
pub(crate) const LCR_8N1: u8 = Lcr::WORD_LENGTH_LOW.union(Lcr::WORD_LENGTH_HIGH).bits();

pub(crate) const MCR_DTR: u8 = Mcr::DTR.bits();
pub(crate) const MCR_RTS: u8 = Mcr::RTS.bits();
pub(crate) const MCR_OUT1: u8 = Mcr::OUT1.bits();
pub(crate) const MCR_OUT2: u8 = Mcr::OUT2.bits();
pub(crate) const MCR_LOOP: u8 = Mcr::LOOP.bits();
pub(crate) const MCR_AFE: u8 = Mcr::AUTO_FLOW.bits();

pub(crate) const LSR_DR: u8 = Lsr::DATA_READY.bits();
pub(crate) const LSR_OE: u8 = Lsr::OVERRUN.bits();
pub(crate) const LSR_PE: u8 = Lsr::PARITY_ERROR.bits();
pub(crate) const LSR_FE: u8 = Lsr::FRAMING_ERROR.bits();
pub(crate) const LSR_BI: u8 = Lsr::BREAK.bits();
pub(crate) const LSR_THRE: u8 = Lsr::THR_EMPTY.bits();
pub(crate) const LSR_TEMT: u8 = Lsr::TRANSMITTER_EMPTY.bits();
pub(crate) const LSR_FIFO_ERROR: u8 = Lsr::FIFO_ERROR.bits();
