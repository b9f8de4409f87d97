//! The whole state of a chip as plain data, for snapshots and live migration.
//!
//! A [`Snapshot`] holds what cannot be derived and nothing else. Interrupt identification, line status, modem status and
//! the levels of all output pins are computed again from it, so that a snapshot cannot contradict itself there; where it
//! still can, [`Uart::restore`] refuses it and names the field. What a board designer chose ([`Config`]) belongs to the
//! machine and not to the snapshot: restore under the same choices.
//!
//! # Layout
//!
//! [`Snapshot::to_bytes`] gives [`Snapshot::SIZE`] bytes, little endian, the same on every host:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 2 | version: 1 |
//! | 2 | 1 | flags: bit 0 `overrun`, 1 `thr_interrupt`, 2 `timed_out`, 3 `rts_held`; the others 0 |
//! | 3 | 1 | `ier` |
//! | 4 | 1 | `lcr` |
//! | 5 | 1 | `mcr` |
//! | 6 | 1 | `fcr`: bits 7, 6 and 0; the others 0 |
//! | 7 | 1 | `scr` |
//! | 8 | 2 | `divisor` |
//! | 10 | 1 | `modem`: bits 7 to 4 the inputs from outside, 3 to 0 the deltas, placed as in MSR |
//! | 11 | 1 | `last_received` |
//! | 12 | 1 | `received_len` |
//! | 13 | 1 | `transmit_len` |
//! | 14 | 2 | 0 |
//! | 16 | 8 | `idle_ns` |
//! | 24 | 8 | `received_parity`: bit i belongs to character i |
//! | 32 | 8 | `received_framing` |
//! | 40 | 8 | `received_break` |
//! | 48 | 64 | `received`, oldest first, 0 beyond `received_len` |
//! | 112 | 64 | `transmit`, oldest first, 0 beyond `transmit_len` |

use core::fmt;

use crate::config::{CharacterTimeout, Config};
use crate::fifo::{ByteFifo, ReceiveFifo};
use crate::line::ModemInputs;
use crate::registers::{Fcr, Ier, Lcr, Mcr, Msr, TriggerLevel};
use crate::uart::Uart;

/// The state of a [`Uart`]. Fields say which register they come from; [the module](self) gives the byte layout.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent flip-flops of the chip"
)]
pub struct Snapshot {
    /// Layout and meaning of all that follows; [`Snapshot::VERSION`] when taken by this crate.
    pub version: u16,
    /// IER: bits 3 to 0.
    pub ier: u8,
    /// LCR.
    pub lcr: u8,
    /// MCR: bits 4 to 0, and bit 5 where auto flow control was built in.
    pub mcr: u8,
    /// FCR as far as it lasts: FIFO enable (bit 0) and trigger level (bits 7 and 6, 0 while the FIFOs are off).
    pub fcr: u8,
    /// Scratchpad.
    pub scr: u8,
    /// Divisor latch.
    pub divisor: u16,
    /// Bits 7 to 4: DCD, RI, DSR and CTS as driven from outside, whatever loopback shows. Bits 3 to 0: the deltas of MSR.
    pub modem: u8,
    /// What RBR of 16450 mode holds.
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
    /// Bytes in the transmit FIFO that the line has not taken: up to its depth, or 1 while the FIFOs are off.
    pub transmit_len: u8,
    /// Those bytes, oldest first; 0 beyond `transmit_len`.
    #[cfg_attr(feature = "serde", serde(with = "array"))]
    pub transmit: [u8; 64],
}

/// Why a snapshot was refused. Nothing is changed by a refused restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Taken by a version of this crate that this one does not know.
    UnknownVersion {
        /// The version it states.
        found: u16,
    },
    /// The bytes are not as many as the layout has.
    WrongLength {
        /// How many there are.
        found: usize,
    },
    /// A field holds what no chip with this [`Config`] can: the snapshot is damaged, or was taken under another one.
    Impossible {
        /// The field of [`Snapshot`].
        field: &'static str,
        /// What it holds.
        value: u64,
        /// What it may hold.
        expected: &'static str,
    },
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownVersion { found } => write!(
                f,
                "serial port snapshot has version {found}, this program knows {}: restore it with the program that took \
                 it, or a newer one",
                Snapshot::VERSION
            ),
            Self::WrongLength { found } => {
                write!(
                    f,
                    "serial port snapshot is {found} bytes long, expected {}",
                    Snapshot::SIZE
                )
            }
            Self::Impossible {
                field,
                value,
                expected,
            } => write!(
                f,
                "serial port snapshot: {field} is {value:#x}, expected {expected}: it is damaged, or was taken from a \
                 port with another configuration"
            ),
        }
    }
}

impl core::error::Error for SnapshotError {}

impl Snapshot {
    /// The version this crate writes, and the only one it reads so far.
    pub const VERSION: u16 = 1;

    /// Length of [`to_bytes`](Self::to_bytes).
    pub const SIZE: usize = 176;

    /// The documented [layout](self).
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

    /// Reads the documented [layout](self). The values are only checked as far as the layout goes; the rest is up to
    /// [`Uart::restore`].
    ///
    /// # Errors
    ///
    /// [`SnapshotError::UnknownVersion`], [`SnapshotError::WrongLength`], or [`SnapshotError::Impossible`] if a
    /// bit that the layout leaves 0 is not.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let length = SnapshotError::WrongLength { found: bytes.len() };
        let mut rest = bytes;
        let version = u16::from_le_bytes(take(&mut rest).ok_or(length)?);
        // Before the length, which another version may have changed.
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

    const fn fifo_enabled(&self) -> bool {
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

/// Takes a field off the front of `rest`.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (front, back) = rest.split_first_chunk::<N>()?;
    *rest = back;
    Some(*front)
}

fn check_version(found: u16) -> Result<(), SnapshotError> {
    if found == Snapshot::VERSION {
        Ok(())
    } else {
        Err(SnapshotError::UnknownVersion { found })
    }
}

fn check(
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

impl Uart {
    /// Its whole state.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        // Destructured without `..`, so that a new field cannot be forgotten.
        let Self {
            config: _,
            ier,
            lcr,
            mcr,
            scr,
            divisor,
            fifo_enabled,
            trigger,
            inputs,
            deltas,
            receiver,
            last_received,
            overrun,
            thr_interrupt,
            timed_out,
            idle_ns,
            rts_held,
            transmitter,
        } = self;
        let ReceiveFifo {
            data,
            parity,
            framing,
            breaks,
        } = receiver;
        Snapshot {
            version: Snapshot::VERSION,
            ier: ier.bits(),
            lcr: lcr.bits(),
            mcr: mcr.bits(),
            fcr: (*trigger as u8) << 6 | u8::from(*fifo_enabled),
            scr: *scr,
            divisor: *divisor,
            modem: inputs.to_msr().union(*deltas).bits(),
            last_received: *last_received,
            overrun: *overrun,
            thr_interrupt: *thr_interrupt,
            timed_out: *timed_out,
            rts_held: *rts_held,
            idle_ns: *idle_ns,
            received_len: data.len,
            received: data.bytes,
            received_parity: *parity,
            received_framing: *framing,
            received_break: *breaks,
            transmit_len: transmitter.len,
            transmit: transmitter.bytes,
        }
    }

    /// A chip in the state of `snapshot`, wired as `config` says.
    ///
    /// ```
    /// use vm_uart::{Config, Uart};
    ///
    /// let mut uart = Uart::new(Config::default());
    /// uart.write(7, 0x5a);
    /// let mut restored = Uart::restore(Config::default(), &uart.snapshot())?;
    /// assert_eq!(restored, uart);
    /// # Ok::<(), vm_uart::snapshot::SnapshotError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SnapshotError::UnknownVersion`], or [`SnapshotError::Impossible`] with the first field that no chip with this
    /// configuration can hold.
    pub fn restore(config: Config, snapshot: &Snapshot) -> Result<Self, SnapshotError> {
        let Snapshot {
            version,
            ier,
            lcr,
            mcr,
            fcr,
            scr,
            divisor,
            modem,
            last_received,
            overrun,
            thr_interrupt,
            timed_out,
            rts_held,
            idle_ns,
            received_len,
            received,
            received_parity,
            received_framing,
            received_break,
            transmit_len,
            transmit,
        } = snapshot;
        check_version(*version)?;
        snapshot.check_registers(&config)?;
        snapshot.check_characters(&config)?;
        snapshot.check_conditions()?;

        let uart = Self {
            config,
            ier: Ier::from_bits_retain(*ier),
            lcr: Lcr::from_bits_retain(*lcr),
            mcr: Mcr::from_bits_retain(*mcr),
            scr: *scr,
            divisor: *divisor,
            fifo_enabled: snapshot.fifo_enabled(),
            trigger: TriggerLevel::from_fcr(*fcr),
            inputs: ModemInputs::from_msr(Msr::from_bits_retain(*modem)),
            deltas: Msr::from_bits_retain(modem & Msr::DELTAS),
            receiver: ReceiveFifo {
                data: ByteFifo {
                    bytes: *received,
                    len: *received_len,
                },
                parity: *received_parity,
                framing: *received_framing,
                breaks: *received_break,
            },
            last_received: *last_received,
            overrun: *overrun,
            thr_interrupt: *thr_interrupt,
            timed_out: *timed_out,
            // Time counted under the other choice of timeout means nothing here.
            idle_ns: match config.character_timeout {
                CharacterTimeout::FourCharacters => *idle_ns,
                CharacterTimeout::WhenDrained => 0,
            },
            rts_held: *rts_held,
            transmitter: ByteFifo {
                bytes: *transmit,
                len: *transmit_len,
            },
        };
        check(
            *rts_held == uart.auto_rts_holds(),
            "rts_held",
            *rts_held,
            "what the receive FIFO's level says",
        )?;
        check(
            !uart.loops_back() || *transmit_len == 0,
            "transmit_len",
            *transmit_len,
            "0 in loopback, where nothing waits",
        )?;
        Ok(uart)
    }
}

/// `[u8; 64]` as a sequence of 64 numbers, which serde derives only up to 32.
#[cfg(feature = "serde")]
mod array {
    use core::fmt;

    use serde::de::{Error, SeqAccess, Visitor};
    use serde::ser::SerializeTuple;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        array: &[u8; 64],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(array.len())?;
        for byte in array {
            tuple.serialize_element(byte)?;
        }
        tuple.end()
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[u8; 64], D::Error> {
        struct SixtyFour;

        impl<'de> Visitor<'de> for SixtyFour {
            type Value = [u8; 64];

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("64 bytes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<[u8; 64], A::Error> {
                let mut array = [0; 64];
                for (index, byte) in array.iter_mut().enumerate() {
                    *byte = seq
                        .next_element()?
                        .ok_or_else(|| A::Error::invalid_length(index, &self))?;
                }
                Ok(array)
            }
        }

        deserializer.deserialize_tuple(64, SixtyFour)
    }
}

#[cfg(feature = "vm-superio")]
mod superio {
    use core::fmt;
    use std::vec::Vec;

    use vm_superio::SerialState;

    use super::Snapshot;
    use crate::config::Config;
    use crate::line::ModemInputs;
    use crate::registers::{Ier, Lsr, Mcr, Msr};
    use crate::uart::Uart;

    /// A [`SerialState`] cannot say that transmitted bytes still wait for the line.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct HeldOutput {
        /// How many wait.
        pub bytes: usize,
    }

    impl fmt::Display for HeldOutput {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(
                f,
                "{} transmitted bytes wait for the line, which vm-superio's state cannot hold: drain the line first",
                self.bytes
            )
        }
    }

    impl core::error::Error for HeldOutput {}

    impl Snapshot {
        /// Reads a state saved by `vm_superio::Serial`, and the part of its input that finds no room in a FIFO of 16: that is
        /// to be received through the line, before anything newer.
        ///
        /// Any state is accepted, as vm-superio accepts any; bits that the chip does not have are dropped.
        /// vm-superio has no FIFO control and shows every guest an enabled FIFO, so that is what comes back, with a trigger
        /// level of 1. It keeps no record of an acknowledged THRE interrupt that can be trusted: if the
        /// guest has it enabled it is raised once more, as one too many does no harm and one too few stalls the guest's output.
        #[must_use]
        pub fn from_superio(state: &SerialState) -> (Self, Vec<u8>) {
            let SerialState {
                baud_divisor_low,
                baud_divisor_high,
                interrupt_enable,
                // Derived anew: it is OR-ed together from causes there.
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
            // In loopback vm-superio's MSR shows MCR, and what stood outside is forgotten.
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

        /// The state as `vm_superio::Serial` would have saved it. It has no place for per-character errors, trigger level,
        /// FIFO mode and timeout, which are lost; vm-superio acts on none of them.
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
            // vm-superio's own coding: one bit a cause, bit 0 for none.
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
}

#[cfg(feature = "vm-superio")]
pub use superio::HeldOutput;
