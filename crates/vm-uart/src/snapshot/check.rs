//! What no chip can hold.

use super::{Snapshot, SnapshotError};
use crate::config::Config;
use crate::registers::{Fcr, Ier, Mcr};

impl Snapshot {
    /// Refuses the first field that no chip wired as `config` says can hold. The fields whose
    /// limits depend on the whole chip are left to [`Uart::restore`](crate::Uart::restore).
    pub(super) fn check_fields(&self, config: &Config) -> Result<(), SnapshotError> {
        check_version(self.version)?;
        self.check_registers(config)?;
        self.check_characters(config)?;
        self.check_conditions()
    }

    pub(super) const fn fifo_enabled(&self) -> bool {
        self.fcr & Fcr::ENABLE.bits() != 0
    }

    fn check_registers(&self, config: &Config) -> Result<(), SnapshotError> {
        check(
            self.ier & !Ier::KEPT == 0,
            "ier",
            self.ier,
            "bits 7 to 4 to be 0",
        )?;
        let auto_flow = if config.auto_flow_control {
            Mcr::AUTO_FLOW.bits()
        } else {
            0
        };
        check(
            self.mcr & !(Mcr::KEPT | auto_flow) == 0,
            "mcr",
            self.mcr,
            "bits 7 to 5 to be 0 (bit 5 only with auto flow control)",
        )?;
        check(
            self.fcr & 0x3e == 0 && (self.fifo_enabled() || self.fcr == 0),
            "fcr",
            self.fcr,
            "bits 7, 6 and 0 only, or 0",
        )
    }

    fn check_characters(&self, config: &Config) -> Result<(), SnapshotError> {
        let depth = if self.fifo_enabled() {
            config.fifo.characters()
        } else {
            1
        };
        for (field, len, bytes) in [
            ("received_len", self.received_len, &self.received),
            ("transmit_len", self.transmit_len, &self.transmit),
        ] {
            check(
                usize::from(len) <= depth,
                field,
                len,
                "at most the depth of the FIFO",
            )?;
            let beyond = &bytes[usize::from(len)..];
            check(
                beyond.iter().all(|&byte| byte == 0),
                field,
                len,
                "only zeros beyond it",
            )?;
        }
        let beyond = u64::MAX
            .checked_shl(u32::from(self.received_len))
            .unwrap_or(0);
        for (field, mask) in [
            ("received_parity", self.received_parity),
            ("received_framing", self.received_framing),
            ("received_break", self.received_break),
        ] {
            check(
                mask & beyond == 0,
                field,
                mask,
                "no bit beyond the received characters",
            )?;
        }
        check(
            self.fifo_enabled() || self.received_len == 0 || self.received[0] == self.last_received,
            "last_received",
            self.last_received,
            "the character in RBR while the FIFOs are off",
        )
    }

    fn check_conditions(&self) -> Result<(), SnapshotError> {
        let counting = self.fifo_enabled() && self.received_len > 0;
        check(
            !self.timed_out || counting,
            "timed_out",
            self.timed_out,
            "false without a character in the FIFO",
        )?;
        check(
            self.idle_ns == 0 || counting && !self.timed_out,
            "idle_ns",
            self.idle_ns,
            "0 unless a character waits for its timeout",
        )?;
        let enabled = self.ier & Ier::TRANSMITTER_EMPTY.bits() != 0;
        check(
            !self.thr_interrupt || enabled && self.transmit_len == 0,
            "thr_interrupt",
            self.thr_interrupt,
            "false unless enabled and the transmitter empty",
        )
    }
}

/// Refuses a layout that this crate does not know.
pub(super) fn check_version(found: u16) -> Result<(), SnapshotError> {
    if found == Snapshot::VERSION {
        Ok(())
    } else {
        Err(SnapshotError::UnknownVersion { found })
    }
}

/// Refuses a `field` that holds `value` unless that is `possible`.
pub(super) fn check(
    possible: bool,
    field: &'static str,
    value: impl Into<u64>,
    expected: &'static str,
) -> Result<(), SnapshotError> {
    if possible {
        Ok(())
    } else {
        Err(SnapshotError::Impossible {
            field,
            value: value.into(),
            expected,
        })
    }
}
