//! A drop-in for `vm_superio::Serial`: the same names and signatures around this crate's
//! [`SerialPort`].
//!
//! A VMM changes `use vm_superio::…` to `use vm_uart::…` and nothing else; [`crate::migration`]
//! shows two VMMs. The traits, the error and the saved state *are* vm-superio's, so triggers, event
//! sinks and snapshots written for it fit.
//!
//! ```
//! use vm_uart::serial::{NoEvents, Serial};
//! use vm_uart::Trigger;
//!
//! struct Irq;
//! impl Trigger for Irq {
//!     type E = std::io::Error;
//!     fn trigger(&self) -> std::io::Result<()> {
//!         Ok(()) // write 1 to an irqfd
//!     }
//! }
//!
//! let mut serial = Serial::new(Irq, Vec::new());
//! serial.write(0, b'x')?;
//! serial.enqueue_raw_bytes(b"abc")?;
//! assert_eq!(serial.read(0), b'a');
//! assert_eq!(serial.writer(), b"x");
//! let state = serial.state();
//! let restored = Serial::from_state(&state, Irq, NoEvents, serial.into_writer())?;
//! assert_eq!(restored.fifo_capacity(), 62);
//! # Ok::<(), vm_uart::serial::Error<std::io::Error>>(())
//! ```
//!
//! # Where the chip differs from vm-superio 0.8.2
//!
//! | what a guest or VMM does | vm-superio | here, as the chip |
//! |---|---|---|
//! | two causes at once | IIR or-s their bits: data 4 with THRE 2 reads 6, "line status" | one code, by priority |
//! | reads IIR | clears every cause | clears THRE, and only if that was reported |
//! | reads IIR bits 7:6 | always 11 | follow FCR bit 0: 00 until a driver turns the FIFO on |
//! | writes FCR | ignored | FIFO mode, both resets, trigger level |
//! | writes IER over a condition that has been told | triggers again | silent: the line is high already, or the THRE interrupt was acknowledged |
//! | writes THR with IER bit 1 set | triggers once until IIR is read: a driver that never reads it stalls | each write takes the THRE interrupt away and brings it back: an edge each, but [for drivers that read IIR and fill the FIFO](crate::EdgeLine#why-no-interrupt-is-lost) |
//! | sets loopback | holds 64 characters | holds 16, or 1 with the FIFO off, then LSR shows an overrun |
//! | sets loopback with OUT2 low | interrupts still come | OUT2 low silences the line, in loopback too |
//! | clears OUT2 (MCR bit 3) | nothing | no interrupt until it is set again; choose [`InterruptGate::None`](crate::InterruptGate::None) for a board without the gate |
//! | writes MCR bits 7:5 | they stick | they read 0 |
//! | reads MSR after a change | no deltas | deltas in bits 3:0 until read; they can interrupt |
//! | reads RBR with nothing there | 0 | 0 with the FIFO on, else the character read last |
//! | reads the first of several characters | IIR says none from then on | data available until the last is read |
//! | reads several characters that were enqueued at once | one trigger in all | one for each that follows while the interrupt is enabled, so that a driver may read one per interrupt |
//! | restores a [`SerialState`] with the THRE interrupt enabled | interrupts if IIR says so | interrupts once: one too many does no harm, one too few stalls the guest |
//! | restores register values that no chip holds | kept | bits that do not exist are dropped |
//!
//! Of the 17 tests in vm-superio's own suite, 11 pass as they are written. The other six contradict
//! rows of this table: `test_serial_raw_input` (IIR after the first of several characters),
//! `test_rda_interrupt_reasserted_on_ier_write` (its second IER write), `test_serial_thr` and
//! `test_from_state_with_pending_thre_interrupt` (an edge for each THR write; IIR bits 7:6),
//! `test_serial_loop_mode` (OUT2 low, 64 characters) and `test_serial_msr` (deltas).
//!
//! Three things are kept from vm-superio although the chip differs. At power-on MCR reads 08 (OUT2)
//! and LCR 03. Up to 64 characters of input are taken at once (the FIFO's own 16 and a queue in
//! front of it). An offset beyond 7 reads 0.
//!
//! `in_buffer_empty` is called at each read of RBR that leaves no input, as in vm-superio, and also
//! when a FIFO reset or [`Serial::reset`] takes the last input away.
//!
//! A [`SerialState`] has no place for FCR. A restored port has its FIFO on, as vm-superio shows
//! every guest, with trigger level 1. To save all of the chip, use [`Serial::snapshot`].
//!
//! # What vm-superio has not
//!
//! All that a [`SerialPort`] has: [modem inputs](Serial::set_modem_inputs),
//! [breaks](Serial::enqueue_break), [time](Serial::keep_time), [reset](Serial::reset),
//! [exact snapshots](Serial::snapshot), [strings](Serial::write_string) and the [bus
//! adapters](crate::bus).

mod chip;
mod writer_line;

use std::io::{self, Write};

pub use vm_superio::serial::{Error, NoEvents, SerialEvents, SerialState};

use vm_superio::Trigger;
use writer_line::WriterLine;

use crate::config::{Config, PowerOn};
use crate::fifo::Character;
use crate::irq::EdgeLine;
use crate::port::SerialPort;
use crate::registers::{Lcr, Mcr, RBR, REGISTERS};
use crate::snapshot::Snapshot;

/// Characters of input taken at once: the size of vm-superio's FIFO.
const CAPACITY: usize = 64;

/// A serial port with vm-superio's interface. [The module](self) lists the differences.
///
/// * `T` receives an edge for each interrupt.
/// * `EV` is told of reads, writes and losses; [`NoEvents`] ignores them.
/// * `W` takes the guest's output, one byte and one flush at a time.
#[derive(Debug)]
pub struct Serial<T: Trigger, EV: SerialEvents, W: Write> {
    port: Port<T, EV, W>,
}

type Port<T, EV, W> = SerialPort<EdgeLine<T>, WriterLine<EV, W>>;

impl<T: Trigger, W: Write> Serial<T, NoEvents, W> {
    /// A port after power-on that writes to `out` and interrupts through `trigger`.
    pub fn new(trigger: T, out: W) -> Self {
        Self::with_events(trigger, NoEvents, out)
    }
}

impl<T: Trigger, EV: SerialEvents, W: Write> Serial<T, EV, W> {
    /// A port after power-on that also tells `serial_evts` what happens.
    pub fn with_events(trigger: T, serial_evts: EV, out: W) -> Self {
        Self::with_config(Config::default(), trigger, serial_evts, out)
    }

    /// A port after power-on on another board than a PC. vm-superio has no such method.
    ///
    /// Power-on is [`PowerOn::Programmed`] whatever `config` says, as vm-superio's is.
    pub fn with_config(config: Config, trigger: T, serial_evts: EV, out: W) -> Self {
        let config = Config {
            power_on: PowerOn::Programmed,
            ..config
        };
        Self {
            port: SerialPort::with_config(
                config,
                EdgeLine::new(trigger),
                WriterLine::new(serial_evts, out),
            ),
        }
    }

    /// A port in a saved state, of vm-superio or of [`state`](Self::state). A pending interrupt is
    /// triggered again.
    ///
    /// # Errors
    ///
    /// [`Error::FullFifo`] if `state` holds more than 64 characters of input, [`Error::Trigger`] if
    /// the trigger failed.
    pub fn from_state(
        state: &SerialState,
        trigger: T,
        serial_evts: EV,
        out: W,
    ) -> Result<Self, Error<T::E>> {
        Self::from_state_with_config(Config::default(), state, trigger, serial_evts, out)
    }

    /// As [`from_state`](Self::from_state), on another board than a PC. vm-superio has no such
    /// method.
    ///
    /// # Errors
    ///
    /// Those of [`from_state`](Self::from_state).
    pub fn from_state_with_config(
        config: Config,
        state: &SerialState,
        trigger: T,
        serial_evts: EV,
        out: W,
    ) -> Result<Self, Error<T::E>> {
        if state.in_buffer.len() > CAPACITY {
            return Err(Error::FullFifo);
        }
        let (mut snapshot, mut waiting) = Snapshot::from_superio(state);
        // Characters that were looped back stay in the FIFO. Others go through the queue, so that
        // the driver gets as many at a time as it wants.
        if snapshot.mcr & Mcr::LOOP.bits() == 0 {
            waiting.clone_from(&state.in_buffer);
            snapshot.received_len = 0;
            snapshot.received.fill(0);
        }
        let mut serial = Self::with_config(config, trigger, serial_evts, out);
        serial.port.line_mut().waiting = waiting.into_iter().map(Character::from).collect();
        serial
            .port
            .restore(&snapshot)
            .map_err(|error| Error::IOError(io::Error::other(error)))?;
        serial.port.pump();
        serial.triggered()?;
        Ok(serial)
    }

    /// The state as vm-superio saves it.
    pub fn state(&self) -> SerialState {
        let mut snapshot = self.port.snapshot();
        // A writer takes or loses every byte, so none waits for it. Auto flow control can hold some,
        // and the state has no place for them; a [`snapshot`](Self::snapshot) has.
        snapshot.transmit_len = 0;
        let mut state = snapshot.to_superio().unwrap_or_default();
        let waiting = self.port.line().waiting.iter();
        state
            .in_buffer
            .extend(waiting.map(|character| character.byte));
        state
    }

    /// The writer that takes the guest's output.
    pub fn writer(&self) -> &W {
        &self.port.line().out
    }

    /// The writer that takes the guest's output.
    pub fn writer_mut(&mut self) -> &mut W {
        &mut self.port.line_mut().out
    }

    /// Gives the writer back.
    pub fn into_writer(self) -> W {
        self.port.into_parts().2.out
    }

    /// The trigger that receives the interrupts.
    pub fn interrupt_evt(&self) -> &T {
        self.port.interrupt().trigger()
    }

    /// The sink of events.
    pub fn events(&self) -> &EV {
        &self.port.line().events
    }

    /// The guest writes `value` to the register at `offset`: 0 to 7, and without effect beyond.
    ///
    /// # Errors
    ///
    /// [`Error::IOError`] if the writer failed: the byte is lost, `tx_lost_byte` was called, and
    /// the guest has its THRE interrupt all the same. [`Error::Trigger`] if the trigger failed, now
    /// or while a register was read. The device goes on working after either.
    pub fn write(&mut self, offset: u8, value: u8) -> Result<(), Error<T::E>> {
        self.emptying(|port| port.write(offset, value));
        self.outcome()
    }

    /// The guest reads the register at `offset`: 0 to 7, and 0 beyond.
    pub fn read(&mut self, offset: u8) -> u8 {
        if offset >= REGISTERS {
            return 0;
        }
        let reads_input = offset == RBR && !self.port.uart().lcr.contains(Lcr::DLAB);
        let value = self.port.read(offset);
        if reads_input {
            let events = self.events();
            if self.fifo_capacity() == CAPACITY {
                events.in_buffer_empty();
            }
            events.buffer_read();
        }
        value
    }

    /// How many bytes [`enqueue_raw_bytes`](Self::enqueue_raw_bytes) would take: 0 to 64.
    pub fn fifo_capacity(&self) -> usize {
        CAPACITY.saturating_sub(self.input_held())
    }

    /// Characters of input that the guest has not read: in the FIFO and in front of it.
    fn input_held(&self) -> usize {
        self.port.uart().receiver.len() + self.port.line().waiting.len()
    }

    /// Takes as much of `input` for the guest as there is room for, interrupts, and returns how
    /// many bytes it took.
    ///
    /// In loopback it takes nothing, as the serial input is disconnected.
    ///
    /// # Errors
    ///
    /// [`Error::FullFifo`] if there is no room at all for an `input` that is not empty.
    /// [`Error::Trigger`] if the trigger failed; then the input has been taken.
    pub fn enqueue_raw_bytes(&mut self, input: &[u8]) -> Result<usize, Error<T::E>> {
        if input.is_empty() || self.port.uart().mcr.contains(Mcr::LOOP) {
            return Ok(0);
        }
        let taken = self.fifo_capacity().min(input.len());
        if taken == 0 {
            return Err(Error::FullFifo);
        }
        let characters = input.iter().copied().take(taken).map(Character::from);
        self.port.line_mut().waiting.extend(characters);
        self.port.pump();
        self.triggered()?;
        Ok(taken)
    }

    /// Does what may take input away without a read of RBR: a FIFO reset, a master reset. A VMM that
    /// waits for `in_buffer_empty` would wait for ever if the guest had nothing left to read.
    fn emptying(&mut self, change: impl FnOnce(&mut Port<T, EV, W>)) {
        let held = self.input_held();
        change(&mut self.port);
        if held > 0 && self.input_held() == 0 {
            self.events().in_buffer_empty();
        }
    }

    /// The first error of trigger or writer since it was last returned.
    fn outcome(&mut self) -> Result<(), Error<T::E>> {
        self.triggered()?;
        self.port
            .line_mut()
            .error
            .take()
            .map_or(Ok(()), |error| Err(Error::IOError(error)))
    }

    fn triggered(&mut self) -> Result<(), Error<T::E>> {
        self.port
            .interrupt_mut()
            .take_error()
            .map_or(Ok(()), |error| Err(Error::Trigger(error)))
    }
}
