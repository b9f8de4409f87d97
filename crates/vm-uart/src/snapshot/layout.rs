//! The snapshot as bytes.

use super::check::{check, check_version};
use super::{Snapshot, SnapshotError};

impl Snapshot {
    /// Length of [`to_bytes`](Self::to_bytes), in bytes.
    pub const SIZE: usize = 176;

    /// The snapshot as bytes, little endian, the same on every host:
    ///
    /// | offset | size | field |
    /// |---|---|---|
    /// | 0 | 2 | version: 1 |
    /// | 2 | 1 | flags: bit 0 `overrun`, 1 `thr_interrupt`, 2 `timed_out`, 3 `rts_held`; the others 0 |
    /// | 3 | 1 | `ier` |
    /// | 4 | 1 | `lcr` |
    /// | 5 | 1 | `mcr` |
    /// | 6 | 1 | `fcr`: bits 7, 6 and 0; the others 0 |
    /// | 7 | 1 | `scr` |
    /// | 8 | 2 | `divisor` |
    /// | 10 | 1 | `modem`: bits 7 to 4 the inputs from outside, 3 to 0 the deltas, placed as in MSR |
    /// | 11 | 1 | `last_received` |
    /// | 12 | 1 | `received_len` |
    /// | 13 | 1 | `transmit_len` |
    /// | 14 | 2 | 0 |
    /// | 16 | 8 | `idle_ns` |
    /// | 24 | 8 | `received_parity`: bit i belongs to character i |
    /// | 32 | 8 | `received_framing` |
    /// | 40 | 8 | `received_break` |
    /// | 48 | 64 | `received`, oldest first, 0 beyond `received_len` |
    /// | 112 | 64 | `transmit`, oldest first, 0 beyond `transmit_len` |
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        let flags = u8::from(self.overrun)
            | u8::from(self.thr_interrupt) << 1
            | u8::from(self.timed_out) << 2
            | u8::from(self.rts_held) << 3;
        let mut bytes = [0; Self::SIZE];
        bytes[0..2].copy_from_slice(&self.version.to_le_bytes());
        bytes[2..8].copy_from_slice(&[flags, self.ier, self.lcr, self.mcr, self.fcr, self.scr]);
        bytes[8..10].copy_from_slice(&self.divisor.to_le_bytes());
        bytes[10..14].copy_from_slice(&[
            self.modem,
            self.last_received,
            self.received_len,
            self.transmit_len,
        ]);
        bytes[16..24].copy_from_slice(&self.idle_ns.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.received_parity.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.received_framing.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.received_break.to_le_bytes());
        bytes[48..112].copy_from_slice(&self.received);
        bytes[112..176].copy_from_slice(&self.transmit);
        bytes
    }

    /// Reads the layout that [`to_bytes`](Self::to_bytes) writes. Only the version, the length and
    /// the bits that must be 0 are checked here; [`Uart::restore`](crate::Uart::restore) checks the
    /// values.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::UnknownVersion`], [`SnapshotError::WrongLength`], or
    /// [`SnapshotError::Impossible`] if a bit is set that the layout leaves 0.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let length = SnapshotError::WrongLength { found: bytes.len() };
        let mut rest = bytes;
        let version = u16::from_le_bytes(take(&mut rest).ok_or(length)?);
        // The version comes before the length, as another version may have another length.
        check_version(version)?;
        if bytes.len() != Self::SIZE {
            return Err(length);
        }
        let [flags, ier, lcr, mcr, fcr, scr] = take(&mut rest).ok_or(length)?;
        let divisor = u16::from_le_bytes(take(&mut rest).ok_or(length)?);
        let [modem, last_received, received_len, transmit_len] = take(&mut rest).ok_or(length)?;
        let reserved = u16::from_le_bytes(take(&mut rest).ok_or(length)?);
        check(flags & 0xf0 == 0, "flags", flags, "bits 7 to 4 to be 0")?;
        check(reserved == 0, "reserved", reserved, "0")?;
        Ok(Self {
            version,
            ier,
            lcr,
            mcr,
            fcr,
            scr,
            divisor,
            modem,
            last_received,
            overrun: flags & 1 != 0,
            thr_interrupt: flags & 2 != 0,
            timed_out: flags & 4 != 0,
            rts_held: flags & 8 != 0,
            idle_ns: u64::from_le_bytes(take(&mut rest).ok_or(length)?),
            received_len,
            transmit_len,
            received_parity: u64::from_le_bytes(take(&mut rest).ok_or(length)?),
            received_framing: u64::from_le_bytes(take(&mut rest).ok_or(length)?),
            received_break: u64::from_le_bytes(take(&mut rest).ok_or(length)?),
            received: take(&mut rest).ok_or(length)?,
            transmit: take(&mut rest).ok_or(length)?,
        })
    }
}

/// Takes a field off the front of `rest`.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (front, back) = rest.split_first_chunk::<N>()?;
    *rest = back;
    Some(*front)
}
