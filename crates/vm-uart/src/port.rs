//! The chip bound to an interrupt line and to a serial line.

mod burst;
mod input;
mod passes;
mod time;

use burst::Burst;
use passes::Passes;

use crate::config::{Config, ReceiveAhead};
use crate::interrupt::Causes;
use crate::irq::InterruptLine;
use crate::line::{Line, ModemInputs, Outputs};
use crate::registers::{FCR, IIR, IIR_FIFO_ENABLED, InterruptId, LCR, LSR, MCR, RBR, SCR, THR};
use crate::snapshot::{Snapshot, SnapshotError};
use crate::uart::{Received, Uart};

/// A [`Uart`] whose interrupt goes to `I` and whose bytes go to and come from `L`.
///
/// It has no lock of its own: an owner with several threads puts it into a `Mutex`. No method
/// blocks, allocates or panics.
#[derive(Clone, Debug)]
pub struct SerialPort<I, L> {
    uart: Uart,
    interrupt: I,
    line: L,
    /// The causes that held the interrupt line active when [`settle`](Self::settle) last ran.
    told: Causes,
    /// The outputs that `line` was last told.
    outputs: Outputs,
    /// New input has to wait for the guest's next access: the receiver was cleared, or the port
    /// restored, for a guest that does not listen by interrupt.
    input_waits: bool,
    /// Those of the handler that is at work.
    passes: Passes,
    burst: Burst,
    /// Input was offered that found no room, and the line has not been told of room since.
    room_wanted: bool,
    /// When [`keep_time`](Self::keep_time) was last called, in nanoseconds of its caller's clock.
    time_kept_at: Option<u64>,
    /// Somebody has asked to be called for the character timeout, or was told of it.
    time_is_kept: bool,
    lost: u64,
    missed: u64,
}

impl<I: InterruptLine, L: Line> SerialPort<I, L> {
    /// A PC's serial port after power-on.
    pub fn new(interrupt: I, line: L) -> Self {
        Self::with_config(Config::default(), interrupt, line)
    }

    /// A port with other wiring. The line is told the outputs if any is active.
    pub fn with_config(config: Config, interrupt: I, line: L) -> Self {
        let mut port = Self {
            uart: Uart::new(config),
            interrupt,
            line,
            told: Causes::empty(),
            outputs: Outputs::default(),
            input_waits: false,
            passes: Passes::default(),
            burst: Burst::default(),
            room_wanted: false,
            time_kept_at: None,
            time_is_kept: false,
            lost: 0,
            missed: 0,
        };
        port.tell_outputs();
        port
    }

    /// The guest reads the register at `offset`: 0 to 7, and 0xff beyond.
    #[inline]
    pub fn read(&mut self, offset: u8) -> u8 {
        // Drivers poll LSR all the time, and the read has no effect unless it shows an error.
        if offset == LSR
            && !self.input_waits
            && let Some(value) = self.uart.quiet_line_status()
        {
            self.passes.looked = true;
            self.burst.other_access();
            return value;
        }
        self.read_slowly(offset)
    }

    fn read_slowly(&mut self, offset: u8) -> u8 {
        let mut meanwhile = Meanwhile::default();
        let value = self.read_unsettled(offset, &mut meanwhile);
        self.settle(meanwhile);
        self.tell_timeout();
        value
    }

    /// Reads a register and does all that follows, except for moving the interrupt line.
    fn read_unsettled(&mut self, offset: u8, meanwhile: &mut Meanwhile) -> u8 {
        if offset == IIR && self.passes.are_over(self.uart.pending_interrupt()) {
            // As if what is pending came right after this answer.
            meanwhile.low = true;
            self.burst.iir_read(false, self.uart.depth());
            return self.uart.no_interrupt();
        }
        let value = self.uart.read(offset);
        if offset == IIR {
            let acknowledged = value & !IIR_FIFO_ENABLED == InterruptId::TransmitterEmpty.code();
            self.burst.iir_read(acknowledged, self.uart.depth());
        } else {
            self.burst.other_access();
        }
        meanwhile.saw(self.told, self.uart.asserting());
        if offset == RBR && !self.uart.divisor_latch_access() {
            self.passes.served(1);
        }
        self.passes.looked |= offset == LSR;
        if offset == RBR && self.uart.config().receive_ahead == ReceiveAhead::TriggerLevel {
            // The guest has served a character, even if new input makes up for it at once.
            meanwhile.served |= self
                .told
                .intersection(Causes::DATA_AVAILABLE | Causes::CHARACTER_TIMEOUT);
        }
        if offset == RBR || self.input_waits {
            self.pull_input();
            // Auto flow control may have raised RTS.
            self.tell_outputs();
        }
        value
    }

    /// The guest writes the register at `offset`: 0 to 7, and without effect beyond.
    #[inline]
    pub fn write(&mut self, offset: u8, value: u8) {
        if offset == THR && self.uart.passes_through() {
            if self.line.transmit(&[value]) == 0 {
                self.hold(value);
            }
            return;
        }
        if offset == THR && self.goes_on_in_burst() && self.line.transmit(&[value]) != 0 {
            // The interrupt went and is back, and its edge is spared: as if nothing had happened.
            self.passes.served(1);
            self.burst.spared_next();
            return;
        }
        self.write_slowly(offset, value);
    }

    /// Whether a byte to THR would change nothing but the count of the burst, if the line takes it.
    #[inline]
    fn goes_on_in_burst(&self) -> bool {
        self.told == Causes::TRANSMITTER_EMPTY
            && self.burst.spares_next(self.uart.depth())
            && self.uart.passes_through_but_for_interrupt()
    }

    /// Keeps a byte that the line has refused; the transmit FIFO is empty.
    #[cold]
    fn hold(&mut self, value: u8) {
        self.uart.write(THR, value);
    }

    fn write_slowly(&mut self, offset: u8, value: u8) {
        if offset == THR {
            return self.write_string(THR, &[value]);
        }
        let mut meanwhile = Meanwhile::default();
        self.write_unsettled(offset, value, &mut meanwhile);
        self.settle(meanwhile);
        self.tell_timeout();
    }

    /// Writes a register and does all that follows, except for moving the interrupt line.
    fn write_unsettled(&mut self, offset: u8, value: u8, meanwhile: &mut Meanwhile) {
        if offset == THR && !self.uart.divisor_latch_access() {
            self.serve_thr_interrupt(1, meanwhile);
        }
        if matches!(offset, THR | FCR | LCR | MCR) {
            self.burst = Burst::default();
        } else {
            self.burst.other_access();
        }
        if offset == FCR || offset == MCR {
            // These may clear the transmitter.
            self.push_output();
        }
        self.lost += self.uart.write(offset, value) as u64;
        meanwhile.saw(self.told, self.uart.asserting());
        match offset {
            THR => {
                self.push_output();
                // In loopback this byte may have come back, and no input follows it.
                self.uart.receiver_idle();
            }
            SCR => {}
            _ => {
                self.tell_outputs();
                self.push_output();
                if offset == FCR {
                    // A driver that flushes the receiver and finds data in it at once takes the
                    // chip for broken (FreeBSD's `ns8250_flush`).
                    self.pull_input_if_awaited();
                } else {
                    self.pull_input();
                }
                self.tell_outputs();
            }
        }
    }

    /// A THR write takes the THRE interrupt away. As transmission takes no time, the interrupt may
    /// be back at once, so the moment without it has to be noted.
    fn serve_thr_interrupt(&mut self, characters: usize, meanwhile: &mut Meanwhile) {
        self.passes.served(characters);
        meanwhile.saw(self.told, self.told.difference(Causes::TRANSMITTER_EMPTY));
    }

    /// The guest reads many bytes from one register (`rep insb`): as many reads of it, one after
    /// another. All edges of the interrupt line within the string are merged into one.
    pub fn read_string(&mut self, offset: u8, data: &mut [u8]) {
        let mut meanwhile = Meanwhile::default();
        for byte in data {
            *byte = self.read_unsettled(offset, &mut meanwhile);
        }
        self.settle(meanwhile);
        self.tell_timeout();
    }

    /// The guest writes many bytes to one register (`rep outsb`): as many writes to it, one after
    /// another. An idle transmitter hands them to the line in one call. All edges of the interrupt
    /// line within the string are merged into one.
    pub fn write_string(&mut self, offset: u8, data: &[u8]) {
        let mut rest = data;
        let mut meanwhile = Meanwhile::default();
        if offset == THR && !data.is_empty() && self.uart.passes_through_but_for_interrupt() {
            let taken = self.line.transmit(data).min(data.len());
            if taken > 0 {
                self.serve_thr_interrupt(taken, &mut meanwhile);
                self.uart.transmitter_emptied();
                meanwhile.spared = self.uart.thr_interrupt
                    && self.burst.written(taken, self.told, self.uart.depth());
            }
            rest = &data[taken..];
        }
        meanwhile.spared &= rest.is_empty();
        for &byte in rest {
            self.write_unsettled(offset, byte, &mut meanwhile);
        }
        self.settle(meanwhile);
        self.tell_timeout();
    }

    /// Brings line and chip together again: pulls the input that the receiver wants, offers held
    /// output, and updates the interrupt. Call it when the line has new input, or takes output
    /// again.
    pub fn pump(&mut self) {
        self.refresh();
    }

    /// Master reset. Output that the line has refused and still refuses is [lost](Self::lost).
    pub fn reset(&mut self) {
        self.push_output();
        self.lost += self.uart.reset() as u64;
        self.burst = Burst::default();
        self.refresh();
    }

    /// The chip's whole state, for [`restore`](Self::restore). The line has to save the input that
    /// waits in it.
    pub fn snapshot(&self) -> Snapshot {
        self.uart.snapshot()
    }

    /// Brings the chip into a saved state. The line is told the outputs and offered the bytes that
    /// wait for it. The interrupt line is driven to its level anew, with an edge if it is active,
    /// even if it was active before. Input that the line holds enters at once if the guest awaits
    /// it by interrupt; else it enters with the guest's next access or [`pump`](Self::pump).
    ///
    /// # Errors
    ///
    /// Those of [`Uart::restore`]; then nothing has changed.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        self.uart = Uart::restore(*self.uart.config(), snapshot)?;
        self.outputs = self.uart.outputs();
        self.line.outputs(self.outputs);
        if !core::mem::take(&mut self.told).is_empty() {
            self.interrupt.deassert();
        }
        self.push_output();
        // The snapshot may have been taken right after a flush, which lets input wait. Otherwise
        // the line holds no input that the receiver wants, and waiting does no harm.
        self.pull_input_if_awaited();
        self.tell_outputs();
        self.settle(Meanwhile::default());
        self.passes = Passes::default();
        self.burst = Burst::default();
        self.time_kept_at = None;
        self.time_is_kept = false;
        self.tell_timeout();
        Ok(())
    }

    /// Drives the modem inputs.
    pub fn set_modem_inputs(&mut self, inputs: ModemInputs) {
        self.uart.set_modem_inputs(inputs);
        self.refresh();
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

    /// The serial line. Call [`pump`](Self::pump) afterwards if it has new input or takes output
    /// again.
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

    /// Characters that the guest has sent and the line never got: written to THR while it was full,
    /// or still waiting in the transmitter when the guest cleared it (FCR), began loopback (MCR) or
    /// was [reset](Self::reset). All of that happens only while the line refuses bytes, or auto flow
    /// control waits for CTS.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    fn refresh(&mut self) {
        self.tell_outputs();
        self.push_output();
        self.pull_input();
        self.tell_outputs();
        self.settle_from_outside();
    }

    fn push_output(&mut self) {
        let bytes = self.uart.outgoing();
        if !bytes.is_empty() {
            let taken = self.line.transmit(bytes);
            self.uart.transmitted(taken);
        }
    }

    /// Pulls input now if the guest awaits it by interrupt; else it can wait for the next access.
    fn pull_input_if_awaited(&mut self) {
        if self.uart.awaits_receiver() {
            self.pull_input();
        } else {
            self.input_waits = true;
        }
    }

    fn pull_input(&mut self) {
        self.input_waits = false;
        while self.uart.wants_input() {
            match self.line.receive() {
                Some(character) => {
                    let _: Received = self.uart.receive(character);
                }
                None => break,
            }
        }
        self.uart.receiver_idle();
        self.tell_room();
    }

    fn tell_outputs(&mut self) {
        let outputs = self.uart.outputs();
        if outputs != self.outputs {
            self.outputs = outputs;
            self.line.outputs(outputs);
        }
    }

    /// Moves the interrupt line after a call that was no access, with the edge that may be owed.
    fn settle_from_outside(&mut self) {
        let low = self.burst.take_owed_edge();
        self.settle(Meanwhile {
            low,
            ..Meanwhile::default()
        });
    }

    /// Moves the interrupt line. No other method does.
    fn settle(&mut self, meanwhile: Meanwhile) {
        let now = self.uart.asserting();
        match (!self.told.is_empty(), !now.is_empty()) {
            (false, true) => self.interrupt.assert(),
            (true, false) => self.interrupt.deassert(),
            (true, true) if meanwhile.spared => {}
            (true, true) if meanwhile.low => self.interrupt.pulse(),
            (true, true) if !meanwhile.served.is_empty() => self.interrupt.next_cause(),
            _ => {}
        }
        self.told = now;
    }
}

/// The state of the interrupt within an access, before the consequences of the access (more input,
/// a transmitter empty again) may have raised it anew.
#[derive(Clone, Copy, Default)]
struct Meanwhile {
    /// Causes that the access has taken away, if only for a moment.
    served: Causes,
    /// The line was inactive at some time within the access.
    low: bool,
    /// The edge that the access brought is spared.
    spared: bool,
}

impl Meanwhile {
    /// Notes that only `now` is left of the causes `told` when the line was last settled.
    fn saw(&mut self, told: Causes, now: Causes) {
        self.served |= told.difference(now);
        self.low |= now.is_empty();
    }
}
