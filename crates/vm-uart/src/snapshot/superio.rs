//! From and to the state that `vm_superio::Serial` saves.

use core::fmt;
use std::vec::Vec;

use vm_superio::SerialState;

use super::Snapshot;
use crate::config::Config;
use crate::line::ModemInputs;
use crate::registers::{Ier, Lsr, Mcr, Msr};
use crate::uart::Uart;

/// Transmitted bytes still wait for the line, and a [`SerialState`] has no place for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldOutput {
    /// The number of bytes that wait.
    pub bytes: usize,
}

impl fmt::Display for HeldOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} transmitted bytes wait for the line, which vm-superio's state cannot hold: drain \
             the line first",
            self.bytes
        )
    }
}

impl core::error::Error for HeldOutput {}

impl Snapshot {
    /// Reads a state saved by `vm_superio::Serial`. Also gives the input that finds no room in a
    /// FIFO of 16: the line must give it to the port before any newer input.
    ///
    /// Any state is accepted, as vm-superio accepts any; bits that the chip does not have are
    /// dropped. vm-superio has no FIFO control and shows every guest an enabled FIFO, so the
    /// snapshot has an enabled FIFO with a trigger level of 1. vm-superio's record of whether the
    /// guest has acknowledged the THRE interrupt cannot be trusted. If the guest has that interrupt
    /// enabled it is therefore raised once more: one too many does no harm, one too few stalls the
    /// guest's output.
    #[must_use]
    pub fn from_superio(state: &SerialState) -> (Self, Vec<u8>) {
        let SerialState {
            baud_divisor_low,
            baud_divisor_high,
            interrupt_enable,
            // Derived anew: vm-superio keeps it as causes that are OR-ed together.
            interrupt_identification: _,
            line_control,
            line_status,
            modem_control,
            modem_status,
            scratch,
            in_buffer,
        } = state;
        let mut snapshot = Uart::new(Config::default()).snapshot();
        snapshot.ier = interrupt_enable & Ier::KEPT;
        snapshot.lcr = *line_control;
        snapshot.mcr = modem_control & Mcr::KEPT;
        snapshot.fcr = 0x01;
        snapshot.scr = *scratch;
        snapshot.divisor = u16::from_le_bytes([*baud_divisor_low, *baud_divisor_high]);
        // In loopback vm-superio's MSR shows MCR, so the real inputs are lost: assume a cable.
        let inputs = if snapshot.mcr & Mcr::LOOP.bits() == 0 {
            Msr::from_bits_retain(modem_status & !Msr::DELTAS)
        } else {
            ModemInputs::default().to_msr()
        };
        snapshot.modem = inputs.bits() | modem_status & Msr::DELTAS;
        snapshot.overrun = line_status & Lsr::OVERRUN.bits() != 0;
        snapshot.thr_interrupt = snapshot.ier & Ier::TRANSMITTER_EMPTY.bits() != 0;
        let (kept, rest) = in_buffer.split_at(in_buffer.len().min(16));
        snapshot.received[..kept.len()].copy_from_slice(kept);
        snapshot.received_len = kept.len() as u8;
        (snapshot, rest.to_vec())
    }

    /// The state as `vm_superio::Serial` would have saved it. Per-character errors, trigger level,
    /// FIFO mode and timeout have no place in it and are lost; vm-superio acts on none of them.
    ///
    /// # Errors
    ///
    /// [`HeldOutput`] if transmitted bytes still wait for the line.
    pub fn to_superio(&self) -> Result<SerialState, HeldOutput> {
        if self.transmit_len != 0 {
            return Err(HeldOutput {
                bytes: usize::from(self.transmit_len),
            });
        }
        let len = usize::from(self.received_len).min(self.received.len());
        let [baud_divisor_low, baud_divisor_high] = self.divisor.to_le_bytes();
        let available = len > 0 && self.ier & Ier::RECEIVED_DATA.bits() != 0;
        // vm-superio's own coding: one bit for each cause, bit 0 if there is none.
        let causes = u8::from(available) << 2 | u8::from(self.thr_interrupt) << 1;
        Ok(SerialState {
            baud_divisor_low,
            baud_divisor_high,
            interrupt_enable: self.ier,
            interrupt_identification: if causes == 0 { 1 } else { causes },
            line_control: self.lcr,
            line_status: Lsr::THR_EMPTY.bits()
                | Lsr::TRANSMITTER_EMPTY.bits()
                | (u8::from(len > 0) * Lsr::DATA_READY.bits())
                | (u8::from(self.overrun) * Lsr::OVERRUN.bits()),
            modem_control: self.mcr,
            modem_status: self.modem,
            scratch: self.scr,
            in_buffer: self.received[..len].to_vec(),
        })
    }
}
