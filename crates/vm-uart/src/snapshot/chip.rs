//! The chip's state into a snapshot and out of it.

use super::check::check;
use super::{Snapshot, SnapshotError};
use crate::config::{CharacterTimeout, Config};
use crate::fifo::{ByteFifo, ReceiveFifo};
use crate::line::ModemInputs;
use crate::registers::{Ier, Lcr, Mcr, Msr, TriggerLevel};
use crate::uart::Uart;

impl Uart {
    /// The whole state of the chip as plain data.
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
    /// [`SnapshotError::UnknownVersion`], or [`SnapshotError::Impossible`] with the first field
    /// that no chip with this configuration can hold.
    pub fn restore(config: Config, snapshot: &Snapshot) -> Result<Self, SnapshotError> {
        let Snapshot {
            version: _,
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
        snapshot.check_fields(&config)?;

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
            // Time counted under the other kind of timeout means nothing under this one.
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
