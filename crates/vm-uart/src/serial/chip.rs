//! What the chip has and vm-superio has not.

use core::time::Duration;
use std::io::{self, Write};

use vm_superio::Trigger;
use vm_superio::serial::{Error, SerialEvents};

use super::Serial;
use crate::bus::Registers;
use crate::fifo::Character;
use crate::line::{Line, ModemInputs};
use crate::registers::Mcr;
use crate::snapshot::Snapshot;
use crate::uart::{Received, Uart};

/// The methods that vm-superio has not. An [`Error`] is that of the trigger, or of the writer where
/// the call hands bytes to it.
impl<T: Trigger, EV: SerialEvents, W: Write> Serial<T, EV, W> {
    /// The chip.
    pub const fn uart(&self) -> &Uart {
        self.port.uart()
    }

    /// Drives the modem inputs.
    ///
    /// # Errors
    ///
    /// [`Error::Trigger`], or [`Error::IOError`] if auto flow control has let output go.
    pub fn set_modem_inputs(&mut self, inputs: ModemInputs) -> Result<(), Error<T::E>> {
        self.port.set_modem_inputs(inputs);
        self.outcome()
    }

    /// Takes a break for the guest, behind the input that waits already. Returns whether it did: in
    /// loopback it takes none, as the serial input is disconnected.
    ///
    /// # Errors
    ///
    /// [`Error::FullFifo`] if there is no room; [`Error::Trigger`], and then it has been taken.
    pub fn enqueue_break(&mut self) -> Result<bool, Error<T::E>> {
        if self.port.uart().mcr.contains(Mcr::LOOP) {
            return Ok(false);
        }
        if self.fifo_capacity() == 0 {
            return Err(Error::FullFifo);
        }
        self.port.line_mut().waiting.push_back(Character::BREAK);
        self.port.pump();
        self.triggered()?;
        Ok(true)
    }

    /// A character arrives unasked: [`SerialPort::receive`](crate::SerialPort::receive).
    ///
    /// # Errors
    ///
    /// [`Error::Trigger`]; the character has arrived all the same.
    pub fn receive(&mut self, character: Character) -> Result<Received, Error<T::E>> {
        let received = self.port.receive(character);
        self.triggered()?;
        Ok(received)
    }

    /// Keeps the time of the character timeout:
    /// [`SerialPort::keep_time`](crate::SerialPort::keep_time). Call it as told there, and after a
    /// guest's access if [`timeout_started`](Self::timeout_started).
    ///
    /// # Errors
    ///
    /// [`Error::Trigger`]; call it again then.
    pub fn keep_time(&mut self, now: Duration) -> Result<Option<Duration>, Error<T::E>> {
        let wait = self.port.keep_time(now);
        self.triggered()?;
        Ok(wait)
    }

    /// Whether an access of the guest has started a character timeout whose time nobody keeps. True
    /// once for each.
    pub const fn timeout_started(&mut self) -> bool {
        core::mem::replace(&mut self.port.line_mut().timeout_started, false)
    }

    /// Lets time pass: [`SerialPort::advance`](crate::SerialPort::advance).
    ///
    /// # Errors
    ///
    /// [`Error::Trigger`].
    pub fn advance(&mut self, nanoseconds: u64) -> Result<(), Error<T::E>> {
        self.port.advance(nanoseconds);
        self.triggered()
    }

    /// Brings writer and chip together again: [`SerialPort::pump`](crate::SerialPort::pump).
    ///
    /// # Errors
    ///
    /// [`Error::Trigger`] or [`Error::IOError`].
    pub fn pump(&mut self) -> Result<(), Error<T::E>> {
        self.port.pump();
        self.outcome()
    }

    /// Master reset, to the values after power-on. Input that waits in front of the FIFO goes on
    /// waiting.
    ///
    /// # Errors
    ///
    /// [`Error::Trigger`] or [`Error::IOError`]; the chip has been reset.
    pub fn reset(&mut self) -> Result<(), Error<T::E>> {
        self.emptying(super::Port::reset);
        self.outcome()
    }

    /// The chip's whole state. What [waits](Self::waiting_input) in front of the FIFO is not in it.
    pub fn snapshot(&self) -> Snapshot {
        self.port.snapshot()
    }

    /// The input that waits in front of the FIFO, oldest first: at most 64 characters.
    pub fn waiting_input(&self) -> impl Iterator<Item = Character> {
        self.port.line().waiting.iter().copied()
    }

    /// Brings the chip into a saved state, with `waiting` in front of its FIFO. A pending interrupt
    /// is triggered again.
    ///
    /// # Errors
    ///
    /// [`Error::FullFifo`] if snapshot and `waiting` hold more than 64 characters, and
    /// [`Error::IOError`] if the [snapshot is refused](Uart::restore): then nothing has changed.
    /// [`Error::Trigger`], and then the state has been restored.
    pub fn restore(
        &mut self,
        snapshot: &Snapshot,
        waiting: impl IntoIterator<Item = Character>,
    ) -> Result<(), Error<T::E>> {
        let waiting: std::collections::VecDeque<_> =
            waiting.into_iter().take(super::CAPACITY + 1).collect();
        if waiting.len() + usize::from(snapshot.received_len) > super::CAPACITY {
            return Err(Error::FullFifo);
        }
        let before = core::mem::replace(&mut self.port.line_mut().waiting, waiting);
        if let Err(error) = self.port.restore(snapshot) {
            self.port.line_mut().waiting = before;
            return Err(Error::IOError(io::Error::other(error)));
        }
        self.outcome()
    }

    /// The guest reads one register many times (`rep insb`).
    pub fn read_string(&mut self, offset: u8, data: &mut [u8]) {
        for byte in data {
            *byte = self.read(offset);
        }
    }

    /// The guest writes one register many times (`rep outsb`). All edges within the string are
    /// merged into one.
    ///
    /// # Errors
    ///
    /// The first, as [`write`](Self::write) gives it; the whole string has been written all the
    /// same.
    pub fn write_string(&mut self, offset: u8, data: &[u8]) -> Result<(), Error<T::E>> {
        self.emptying(|port| port.write_string(offset, data));
        self.outcome()
    }

    /// Characters that the guest has sent and the writer never got, other than by its errors:
    /// [`SerialPort::lost`](crate::SerialPort::lost).
    pub const fn lost(&self) -> u64 {
        self.port.lost()
    }

    /// Characters given to [`receive`](Self::receive) that the guest will never read:
    /// [`SerialPort::missed`](crate::SerialPort::missed).
    pub const fn missed(&self) -> u64 {
        self.port.missed()
    }

    /// How many edges the trigger has refused with an error.
    pub const fn trigger_failures(&self) -> u64 {
        self.port.interrupt().failures()
    }
}

/// For a writer that is a [`Line`] as well, such as the console line of the `vm-console` crate.
impl<T: Trigger, EV: SerialEvents, W: Write + Line> Serial<T, EV, W> {
    /// Uses the writer as a [`Line`] from now on: it takes output as strings and may refuse some, is
    /// asked for input behind that of [`enqueue_raw_bytes`](Self::enqueue_raw_bytes), and is told the
    /// outputs. Call [`pump`](Self::pump) when it has new input or takes output again.
    ///
    /// A VMM so keeps the drop-in's calls, triggers and states, and gives up a queue and a buffer
    /// of its own.
    pub fn use_line(&mut self) {
        let outputs = self.uart().outputs();
        self.port.line_mut().use_line(outputs);
    }
}

/// For the [bus adapters](crate::bus), which have no way to return an error: those of the trigger
/// are [counted](Serial::trigger_failures), and those of the writer told to `tx_lost_byte`.
impl<T: Trigger, EV: SerialEvents, W: Write> Registers for Serial<T, EV, W> {
    fn read(&mut self, offset: u8) -> u8 {
        Serial::read(self, offset)
    }

    fn write(&mut self, offset: u8, value: u8) {
        let _counted = Serial::write(self, offset, value);
    }

    fn read_string(&mut self, offset: u8, data: &mut [u8]) {
        Serial::read_string(self, offset, data);
    }

    fn write_string(&mut self, offset: u8, data: &[u8]) {
        let _counted = Serial::write_string(self, offset, data);
    }
}
