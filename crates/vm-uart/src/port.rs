//! The chip bound to an interrupt line and to a serial line.

use crate::config::Config;
use crate::irq::InterruptLine;
use crate::line::{Line, ModemInputs, Outputs};
use crate::registers::{LSR, Lsr, RBR, SCR, THR};
use crate::uart::Uart;

/// A [`Uart`] whose interrupt goes to `I` and whose bytes go to and come from `L`.
///
/// It has no lock of its own: an owner with several threads puts it into a `Mutex`. No method blocks, allocates or panics.
#[derive(Debug)]
pub struct SerialPort<I, L> {
    uart: Uart,
    interrupt: I,
    line: L,
    /// Level last told to `interrupt`.
    asserted: bool,
    /// Outputs last told to `line`.
    outputs: Outputs,
    lost: u64,
}

impl<I: InterruptLine, L: Line> SerialPort<I, L> {
    /// A PC's serial port after power-on.
    pub fn new(interrupt: I, line: L) -> Self {
        Self::with_config(Config::default(), interrupt, line)
    }

    /// A port with other wiring.
    pub fn with_config(config: Config, interrupt: I, line: L) -> Self {
        Self {
            uart: Uart::new(config),
            interrupt,
            line,
            asserted: false,
            outputs: Outputs::default(),
            lost: 0,
        }
    }

    /// The guest reads the register at `offset` (0 to 7; 0xff beyond).
    #[inline]
    pub fn read(&mut self, offset: u8) -> u8 {
        let value = self.uart.read(offset);
        // Polled all the time and without effect unless it showed an error.
        if offset == LSR && value & Lsr::ERRORS == 0 {
            return value;
        }
        self.after_read(offset);
        value
    }

    fn after_read(&mut self, offset: u8) {
        let dipped = self.follow_read(offset);
        self.settle(dipped);
    }

    /// What a read brings about outside the chip, and whether it took the interrupt away in between.
    fn follow_read(&mut self, offset: u8) -> bool {
        let dipped = !self.uart.interrupt_asserted();
        if offset == RBR {
            self.pull_input();
            // Auto flow control may have raised RTS.
            self.tell_outputs();
        }
        dipped
    }

    /// The guest writes the register at `offset` (0 to 7; vanishes beyond).
    #[inline]
    pub fn write(&mut self, offset: u8, value: u8) {
        if offset == THR && self.uart.passes_through() {
            if self.line.transmit(&[value]) == 0 {
                self.hold(value);
            }
            return;
        }
        self.write_slowly(offset, value);
    }

    /// The line has refused a byte that found the transmit FIFO empty.
    #[cold]
    fn hold(&mut self, value: u8) {
        self.uart.write(THR, value);
    }

    fn write_slowly(&mut self, offset: u8, value: u8) {
        let dipped = self.write_unsettled(offset, value);
        self.settle(dipped);
    }

    /// A write with everything that follows but the interrupt line; whether it took the interrupt away in between.
    fn write_unsettled(&mut self, offset: u8, value: u8) -> bool {
        // A THR write takes the THRE interrupt away, and as transmission takes no time it may be back before we look.
        let dipped = offset == THR && !self.uart.interrupt_asserted_beside_thr();
        self.lost += u64::from(self.uart.write(offset, value));
        let dipped = dipped || !self.uart.interrupt_asserted();
        match offset {
            THR => self.push_output(),
            SCR => {}
            _ => {
                self.tell_outputs();
                self.push_output();
                self.pull_input();
                self.tell_outputs();
            }
        }
        dipped
    }

    /// The guest reads many bytes from one register (`rep insb`): as many reads of it, one after another. Edges of the
    /// interrupt line that follow each other within the string are merged into one.
    pub fn read_string(&mut self, offset: u8, data: &mut [u8]) {
        let mut dipped = false;
        for byte in data {
            *byte = self.uart.read(offset);
            dipped |= self.follow_read(offset);
        }
        self.settle(dipped);
    }

    /// The guest writes many bytes to one register (`rep outsb`): as many writes to it, one after another. What an idle
    /// transmitter can send reaches the line in one call; edges of the interrupt line within the string are merged into one.
    pub fn write_string(&mut self, offset: u8, data: &[u8]) {
        let mut rest = data;
        let mut dipped = false;
        if offset == THR && !data.is_empty() && self.uart.passes_through_but_for_interrupt() {
            let taken = self.line.transmit(data).min(data.len());
            if taken > 0 {
                dipped = !self.uart.interrupt_asserted_beside_thr();
                self.uart.transmitter_emptied();
            }
            rest = &data[taken..];
        }
        for &byte in rest {
            dipped |= self.write_unsettled(offset, byte);
        }
        self.settle(dipped);
    }

    /// Brings line and chip together again: pulls input as far as it is wanted, offers held output, and updates the
    /// interrupt. To be called when the line has new input, or takes output again.
    pub fn pump(&mut self) {
        self.refresh();
    }

    /// Master reset.
    pub fn reset(&mut self) {
        self.uart.reset();
        self.refresh();
    }

    /// Drives the modem inputs.
    pub fn set_modem_inputs(&mut self, inputs: ModemInputs) {
        self.uart.set_modem_inputs(inputs);
        self.refresh();
    }

    /// Lets `nanoseconds` pass; for [`CharacterTimeout::FourCharacters`](crate::CharacterTimeout::FourCharacters).
    pub fn advance(&mut self, nanoseconds: u64) {
        self.uart.advance(nanoseconds);
        self.settle(false);
    }

    /// The chip.
    #[inline]
    pub const fn uart(&self) -> &Uart {
        &self.uart
    }

    /// The serial line.
    #[inline]
    pub const fn line(&self) -> &L {
        &self.line
    }

    /// The serial line. Call [`pump`](Self::pump) afterwards if it has new input or takes output again.
    #[inline]
    pub const fn line_mut(&mut self) -> &mut L {
        &mut self.line
    }

    /// The interrupt line.
    #[inline]
    pub const fn interrupt(&self) -> &I {
        &self.interrupt
    }

    /// The interrupt line.
    #[inline]
    pub const fn interrupt_mut(&mut self) -> &mut I {
        &mut self.interrupt
    }

    /// Takes the port apart.
    pub fn into_parts(self) -> (Uart, I, L) {
        (self.uart, self.interrupt, self.line)
    }

    /// Characters lost because the guest wrote THR while it was full: the chip's own loss, possible only while the
    /// line refuses bytes and the guest does not wait for THRE.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    fn refresh(&mut self) {
        self.tell_outputs();
        self.push_output();
        self.pull_input();
        self.tell_outputs();
        self.settle(false);
    }

    fn push_output(&mut self) {
        let bytes = self.uart.outgoing();
        if !bytes.is_empty() {
            let taken = self.line.transmit(bytes);
            self.uart.transmitted(taken);
        }
    }

    fn pull_input(&mut self) {
        while self.uart.wants_input() {
            match self.line.receive() {
                Some(character) => {
                    let _: crate::Received = self.uart.receive(character);
                }
                None => break,
            }
        }
        self.uart.receiver_idle();
    }

    fn tell_outputs(&mut self) {
        let outputs = self.uart.outputs();
        if outputs != self.outputs {
            self.outputs = outputs;
            self.line.outputs(outputs);
        }
    }

    /// The one place that moves the interrupt line. `dipped` says that the access took the level away in between.
    fn settle(&mut self, dipped: bool) {
        let asserted = self.uart.interrupt_asserted();
        match (self.asserted, asserted) {
            (false, true) => self.interrupt.assert(),
            (true, false) => self.interrupt.deassert(),
            (true, true) if dipped => self.interrupt.pulse(),
            _ => {}
        }
        self.asserted = asserted;
    }
}
