//! The chip itself: registers, FIFOs, loopback and interrupt state. No clock, no I/O, no
//! allocation.
//!
//! Section numbers are those of the PC16550D data sheet. Where it leaves a case open, or where a
//! virtual machine has to differ from it, all choices are listed here:
//!
//! * **Transmission takes no time.** A written byte can leave at once; THRE and TEMT are low only
//!   while the line [refuses](crate::Line::transmit) bytes. So the shift register is not modelled
//!   apart from the FIFO.
//! * **Divisor latch at power-on**: the data sheet leaves it undefined; here it is 12 (9,600 baud).
//!   A master reset keeps the latch, and RBR (section 6, pin MR: "except the receiver buffer,
//!   transmitter holding, and divisor latches").
//! * **An empty receiver** reads 0 in FIFO mode. In 16450 mode it reads the last character, as RBR
//!   is one register there.
//! * **PE, FE and BI leave with their character**: they belong to the character at the top, so a
//!   read of RBR takes them away even if LSR was not read, and so does a FIFO reset. OE belongs to
//!   no character and stays until a read of LSR or a master reset (Table I, "INTRPT (RCVR errors)";
//!   the TL16C550C's reset table says the same of OE alone). Section 8.5 lists what a FIFO reset
//!   clears, the bytes and the counter, and OE is not among it.
//! * **A character timeout at or above the trigger level**: section 8.11 defines it without
//!   mentioning the level, and Table IV gives both interrupts the second priority. Here IIR reports
//!   data available for as long as the FIFO is at its level.
//! * **Word length** masks characters in loopback, where the guest can see it. Bytes to and from
//!   the outside keep their eight bits; otherwise the output of a guest that never programmed LCR
//!   would be garbled.
//! * **Break in loopback** is received as a break, once each time that loopback and LCR.6 come
//!   together. Characters written while the line is held spacing only time the break (section 8.1,
//!   bit 6) and are received by nobody.
//! * **THR written while full** (section 8.4, bit 5: THRE says when to write): 16450 mode keeps the
//!   newer character, FIFO mode the sixteen older ones.
//! * **Characters that wait in the transmitter when loopback begins** are dropped. On the chip they
//!   would come back as input; but there they would have left long before, as only a
//!   [refusing](crate::Line::transmit) line makes them wait.
//! * **Lost output is counted** by [`SerialPort::lost`](crate::SerialPort::lost): that of the last
//!   two points, and what a FIFO reset or a master reset clears out of the transmitter. Before each
//!   of these the port offers it to the line once more.
//! * **Auto flow control** (TL16C550C) acts in FIFO mode only, as the trigger level steers its RTS.

use crate::config::{CharacterTimeout, Config, InterruptGate, ReceiveAhead, ReceiveGate};
use crate::fifo::{ByteFifo, Character, ReceiveFifo};
use crate::interrupt::{Causes, pending};
use crate::line::{ModemInputs, Outputs};
use crate::registers::{DLL, FCR, IER, IIR, LCR, LSR, MCR, MSR, RBR, SCR, THR};
use crate::registers::{Fcr, IIR_FIFO_ENABLED, Ier, InterruptId, Lcr, Lsr, Mcr, Msr, TriggerLevel};
use crate::timing::{character_ns, four_characters_ns};

/// Divisor latch at power-on: 9,600 baud of the PC's clock.
const POWER_ON_DIVISOR: u16 = 12;

/// A 16550A without its surroundings. Every register access, arriving character and passing of time
/// is a call, and every effect is a value that the caller asks for.
/// [`SerialPort`](crate::SerialPort) makes these calls.
///
/// ```
/// use vm_uart::{Config, Uart};
/// use vm_uart::registers::{IER, IIR, InterruptId, LSR, MCR, RBR};
///
/// let mut uart = Uart::new(Config::default());
/// uart.write(MCR, 0x08); // OUT2 lets the interrupt out
/// uart.write(IER, 0x01); // data available
/// uart.receive(b'k'.into());
/// assert!(uart.interrupt_asserted());
/// assert_eq!(uart.pending_interrupt(), InterruptId::DataAvailable);
/// assert_eq!(uart.read(IIR), 0x04);
/// assert_eq!(uart.read(LSR), 0x61);
/// assert_eq!(uart.read(RBR), b'k');
/// assert!(!uart.interrupt_asserted());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent flip-flops of the chip"
)]
pub struct Uart {
    pub(crate) config: Config,
    pub(crate) ier: Ier,
    pub(crate) lcr: Lcr,
    pub(crate) mcr: Mcr,
    pub(crate) scr: u8,
    pub(crate) divisor: u16,
    /// FCR.0.
    pub(crate) fifo_enabled: bool,
    pub(crate) trigger: TriggerLevel,
    pub(crate) inputs: ModemInputs,
    /// MSR bits 3 to 0.
    pub(crate) deltas: Msr,
    pub(crate) receiver: ReceiveFifo,
    /// RBR of 16450 mode, which keeps its value after it has been read.
    pub(crate) last_received: u8,
    /// LSR.OE.
    pub(crate) overrun: bool,
    /// The transmitter has emptied, and neither a THR write nor an IIR read has acknowledged it.
    /// This interrupt is the only one that cannot be derived. Always false while ETBEI is 0, as
    /// setting ETBEI looks at the transmitter anew.
    pub(crate) thr_interrupt: bool,
    /// The character timeout has passed. Always false with an empty FIFO.
    pub(crate) timed_out: bool,
    /// Nanoseconds since a character arrived or was read; 0 unless they count towards a timeout.
    pub(crate) idle_ns: u64,
    /// Auto flow control holds RTS back until the FIFO has been read.
    pub(crate) rts_held: bool,
    pub(crate) transmitter: ByteFifo,
}

/// The fate of a character from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It is in the receiver.
    Stored,
    /// A character was lost, and LSR.OE is set (section 8.4, bit 1): this one, or in 16450 mode its
    /// predecessor.
    Overrun,
    /// It never arrived: loopback has disconnected the serial input (section 8.8).
    CutOff,
}

impl Uart {
    /// A chip after power-on: Table I, and the [choices](self) above.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self {
            config,
            ier: Ier::empty(),
            lcr: config.power_on.lcr(),
            mcr: config.power_on.mcr(),
            scr: 0,
            divisor: POWER_ON_DIVISOR,
            fifo_enabled: false,
            trigger: TriggerLevel::One,
            inputs: ModemInputs {
                cts: true,
                dsr: true,
                ri: false,
                dcd: true,
            },
            deltas: Msr::empty(),
            receiver: ReceiveFifo::new(),
            last_received: 0,
            overrun: false,
            thr_interrupt: false,
            timed_out: false,
            idle_ns: 0,
            rts_held: false,
            transmitter: ByteFifo::new(),
        }
    }

    /// The choices that the chip was made with.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Master reset (Table I; section 6, pin MR): everything but the divisor latch, RBR, and the
    /// inputs from outside; LCR and MCR as [`PowerOn`](crate::PowerOn) says. Returns how many characters waited in the transmitter and are lost.
    pub fn reset(&mut self) -> usize {
        // Destructured without `..`: a new field does not compile until its reset is decided here.
        let Self {
            config,
            ier,
            lcr,
            mcr,
            scr,
            divisor: _,
            fifo_enabled,
            trigger,
            inputs: _,
            deltas,
            receiver,
            last_received: _,
            overrun,
            thr_interrupt,
            timed_out,
            idle_ns,
            rts_held,
            transmitter,
        } = self;
        *ier = Ier::empty();
        *lcr = config.power_on.lcr();
        *mcr = config.power_on.mcr();
        *scr = 0;
        *fifo_enabled = false;
        *trigger = TriggerLevel::One;
        *deltas = Msr::empty();
        receiver.clear();
        *overrun = false;
        *thr_interrupt = false;
        *timed_out = false;
        *idle_ns = 0;
        *rts_held = false;
        let lost = transmitter.len();
        transmitter.clear();
        lost
    }

    // ----- the guest's side -----

    /// Reads a register. Offsets beyond 7 are not decoded and float high: 0xff.
    #[inline]
    pub fn read(&mut self, offset: u8) -> u8 {
        if offset == LSR {
            self.read_lsr()
        } else {
            self.read_other(offset)
        }
    }

    /// Section 8.4. Reading clears OE and the errors of the character at the top, and with the last
    /// error bit 7.
    #[inline]
    fn read_lsr(&mut self) -> u8 {
        let lsr = self.line_status();
        if lsr.bits() & Lsr::ERRORS != 0 {
            self.overrun = false;
            self.receiver.clear_top_errors();
        }
        lsr.bits()
    }

    /// The value of an LSR read that has no effect; `None` if the read would clear an error.
    #[inline]
    pub(crate) fn quiet_line_status(&self) -> Option<u8> {
        let lsr = self.line_status().bits();
        (lsr & Lsr::ERRORS == 0).then_some(lsr)
    }

    fn read_other(&mut self, offset: u8) -> u8 {
        let dlab = self.divisor_latch_access();
        match offset {
            DLL if dlab => self.divisor.to_le_bytes()[0],
            RBR => self.read_rbr(),
            IER if dlab => self.divisor.to_le_bytes()[1],
            IER => self.ier.bits(),
            IIR => self.read_iir(),
            LCR => self.lcr.bits(),
            MCR => self.mcr.bits(),
            LSR => self.read_lsr(),
            MSR => {
                // Section 8.9: bits 3 to 0 "are reset to logic 0 whenever the CPU reads the MODEM
                // Status Register".
                let msr = self.modem_status();
                self.deltas = Msr::empty();
                msr.bits()
            }
            SCR => self.scr,
            _ => 0xff,
        }
    }

    fn read_rbr(&mut self) -> u8 {
        let Some(byte) = self.receiver.pop() else {
            return if self.fifo_enabled {
                0
            } else {
                self.last_received
            };
        };
        self.restart_timeout();
        self.timed_out = false; // Section 8.11, timeout C: one character read clears it.
        self.update_auto_rts();
        self.loop_back();
        byte
    }

    /// Section 8.6. Reading clears the THRE interrupt, and only if it is the one reported (Table
    /// IV).
    fn read_iir(&mut self) -> u8 {
        let id = self.pending_interrupt();
        if id == InterruptId::TransmitterEmpty {
            self.thr_interrupt = false;
        }
        id.code() | self.fifo_code()
    }

    /// What IIR reads if nothing is pending.
    pub(crate) const fn no_interrupt(&self) -> u8 {
        InterruptId::None.code() | self.fifo_code()
    }

    /// IIR bits 7 and 6.
    const fn fifo_code(&self) -> u8 {
        if self.fifo_enabled {
            IIR_FIFO_ENABLED
        } else {
            0
        }
    }

    /// Writes a register. Writes to LSR, MSR and offsets beyond 7 have no effect. Returns how many
    /// characters that the guest has sent are lost by it: one if THR was full, and all that waited
    /// in the transmitter if FCR clears it or MCR begins loopback.
    pub fn write(&mut self, offset: u8, value: u8) -> usize {
        let dlab = self.divisor_latch_access();
        match offset {
            DLL if dlab => self.divisor = self.divisor & 0xff00 | u16::from(value),
            THR => return self.write_thr(value),
            IER if dlab => self.divisor = self.divisor & 0x00ff | u16::from(value) << 8,
            IER => self.write_ier(value),
            FCR => return self.write_fcr(value),
            LCR => self.change_wiring(Lcr::from_bits_retain(value), self.mcr),
            MCR => return self.write_mcr(value),
            SCR => self.scr = value,
            _ => {}
        }
        0
    }

    fn write_thr(&mut self, byte: u8) -> usize {
        // Table IV: writing THR clears the THRE interrupt.
        self.thr_interrupt = false;
        let mut lost = false;
        if !self.lcr.contains(Lcr::BREAK) {
            if self.fifo_enabled {
                lost = !self.transmitter.push(byte, self.depth());
            } else {
                lost = !self.transmitter.is_empty();
                self.transmitter.replace(byte);
            }
            self.loop_back();
        } else if self.transmitter.is_empty() {
            self.transmitter_emptied();
        }
        usize::from(lost)
    }

    /// Section 8.7. The THRE interrupt rises when ETBEI goes from 0 to 1 with the transmitter
    /// empty, not when a 1 is written over a 1.
    fn write_ier(&mut self, value: u8) {
        let before = self.ier;
        self.ier = Ier::from_bits_truncate(value & Ier::KEPT);
        let was_on = before.contains(Ier::TRANSMITTER_EMPTY);
        self.thr_interrupt = self.ier.contains(Ier::TRANSMITTER_EMPTY)
            && (self.thr_interrupt || !was_on && self.transmitter.is_empty());
    }

    /// Section 8.5. Reached whatever DLAB is (Table II).
    fn write_fcr(&mut self, value: u8) -> usize {
        let fcr = Fcr::from_bits_truncate(value);
        let enable = fcr.contains(Fcr::ENABLE);
        // "When changing from FIFO mode to 16450 mode and vice versa, data is automatically cleared
        // from the FIFOs."
        let mode_changes = enable != self.fifo_enabled;
        self.fifo_enabled = enable;
        // "This bit must be a 1 when other FCR bits are written to or they will not be programmed."
        self.trigger = if enable {
            TriggerLevel::from_fcr(value)
        } else {
            TriggerLevel::One
        };
        if mode_changes || enable && fcr.contains(Fcr::RESET_RECEIVER) {
            self.receiver.clear();
            self.timed_out = false;
            self.idle_ns = 0;
        }
        let mut lost = 0;
        if mode_changes || enable && fcr.contains(Fcr::RESET_TRANSMITTER) {
            lost = self.clear_transmitter();
        }
        self.update_auto_rts();
        self.loop_back();
        lost
    }

    /// Section 8.8. Bits 7 to 5 stay 0; bit 5 is kept where auto flow control was built in.
    fn write_mcr(&mut self, value: u8) -> usize {
        let auto_flow = if self.config.auto_flow_control {
            Mcr::AUTO_FLOW.bits()
        } else {
            0
        };
        let mcr = Mcr::from_bits_truncate(value & (Mcr::KEPT | auto_flow));
        let mut lost = 0;
        if mcr.contains(Mcr::LOOP) && !self.mcr.contains(Mcr::LOOP) {
            lost = self.clear_transmitter();
        }
        self.change_wiring(self.lcr, mcr);
        lost
    }

    /// Sets LCR and MCR, which together decide the levels of the pins and the connections of
    /// loopback.
    fn change_wiring(&mut self, lcr: Lcr, mcr: Mcr) {
        let signals = self.modem_signals();
        let was_looped_break = self.looped_break();
        self.lcr = lcr;
        self.mcr = mcr;
        self.rts_held = self.auto_rts_holds();
        self.note_changes(signals);
        if self.looped_break() && !was_looped_break {
            self.store(Character::BREAK);
        }
        self.loop_back();
    }

    // ----- the outside -----

    /// A character arrives at the serial input.
    ///
    /// With a full FIFO this character is lost and OE is set at once; in 16450 mode it overwrites
    /// RBR (section 8.4, bit 1). To lose none, ask [`wants_input`](Self::wants_input) first.
    pub fn receive(&mut self, character: Character) -> Received {
        if self.mcr.contains(Mcr::LOOP) {
            return Received::CutOff;
        }
        self.store(character)
    }

    /// A break arrives at the serial input: one zero character with BI and FE.
    pub fn receive_break(&mut self) -> Received {
        self.receive(Character::BREAK)
    }

    fn store(&mut self, character: Character) -> Received {
        let mut received = Received::Stored;
        if self.fifo_enabled {
            if !self.receiver.push(character, self.depth()) {
                self.overrun = true;
                received = Received::Overrun;
            }
        } else {
            if !self.receiver.is_empty() {
                self.overrun = true;
                received = Received::Overrun;
            }
            self.receiver.replace(character);
            self.last_received = character.byte;
        }
        self.restart_timeout();
        self.update_auto_rts();
        received
    }

    /// Whether a character from outside would be welcome now. It is if the serial input is
    /// connected, the receiver holds fewer characters than [`ReceiveAhead`] lets in, auto flow
    /// control does not hold RTS back, and the [`ReceiveGate`] is open.
    #[must_use]
    #[inline]
    pub fn wants_input(&self) -> bool {
        !self.mcr.contains(Mcr::LOOP)
            && self.receiver.len() < self.receive_limit()
            && !self.rts_held
            && self.receive_gate_open()
    }

    /// The most characters that [`wants_input`](Self::wants_input) lets into the receiver.
    const fn receive_limit(&self) -> usize {
        match self.config.receive_ahead {
            ReceiveAhead::TriggerLevel => self.trigger_level(),
            ReceiveAhead::Full => self.depth(),
        }
    }

    const fn receive_gate_open(&self) -> bool {
        match self.config.receive_gate {
            ReceiveGate::Open => true,
            ReceiveGate::UntilInterruptEnabled => {
                self.awaits_receiver() && self.mcr.contains(Mcr::DTR)
            }
        }
    }

    /// The host has nothing more to give for now. With [`CharacterTimeout::WhenDrained`] the
    /// character timeout becomes true now, if there is a character in the FIFO.
    #[inline]
    pub fn receiver_idle(&mut self) {
        if matches!(self.config.character_timeout, CharacterTimeout::WhenDrained)
            && self.fifo_enabled
            && !self.receiver.is_empty()
        {
            self.timed_out = true;
        }
    }

    /// Lets time pass. It has an effect only with [`CharacterTimeout::FourCharacters`] (section
    /// 8.11, timeout A).
    pub fn advance(&mut self, nanoseconds: u64) {
        if !matches!(
            self.config.character_timeout,
            CharacterTimeout::FourCharacters
        ) || !self.fifo_enabled
            || self.receiver.is_empty()
            || self.timed_out
        {
            return;
        }
        self.idle_ns = self.idle_ns.saturating_add(nanoseconds);
        if self.idle_ns >= four_characters_ns(self.lcr, self.divisor, self.config.clock_hz) {
            self.timed_out = true;
            self.idle_ns = 0;
        }
    }

    /// Nanoseconds until [`advance`](Self::advance) would raise the character timeout; `None` if
    /// nothing counts towards it.
    #[must_use]
    pub fn until_timeout(&self) -> Option<u64> {
        let counting = matches!(
            self.config.character_timeout,
            CharacterTimeout::FourCharacters
        ) && self.fifo_enabled
            && !self.receiver.is_empty()
            && !self.timed_out;
        counting.then(|| {
            four_characters_ns(self.lcr, self.divisor, self.config.clock_hz)
                .saturating_sub(self.idle_ns)
        })
    }

    /// Nanoseconds that a character takes by the programmed format and divisor.
    #[must_use]
    pub fn character_ns(&self) -> u64 {
        character_ns(self.lcr, self.divisor, self.config.clock_hz)
    }

    /// Whether time has been counted towards the character timeout since a character last moved.
    pub(crate) const fn is_counting(&self) -> bool {
        self.idle_ns != 0
    }

    /// Section 8.11, timeout C and D: an arrival or a read starts the time anew. An arrival does
    /// not take back a timeout that is already true.
    fn restart_timeout(&mut self) {
        self.idle_ns = 0;
    }

    /// Drives the modem inputs. In loopback they are disconnected (section 8.8) and take effect
    /// when it ends.
    pub fn set_modem_inputs(&mut self, inputs: ModemInputs) {
        let signals = self.modem_signals();
        self.inputs = inputs;
        self.note_changes(signals);
    }

    /// The modem inputs as last driven.
    #[must_use]
    pub const fn modem_inputs(&self) -> ModemInputs {
        self.inputs
    }

    /// The levels of the output pins: inactive and marking in loopback (section 8.8).
    #[must_use]
    pub const fn outputs(&self) -> Outputs {
        if self.mcr.contains(Mcr::LOOP) {
            return Outputs {
                dtr: false,
                rts: false,
                out1: false,
                out2: false,
                break_: false,
            };
        }
        Outputs {
            dtr: self.mcr.contains(Mcr::DTR),
            rts: self.request_to_send(),
            out1: self.mcr.contains(Mcr::OUT1),
            out2: self.mcr.contains(Mcr::OUT2),
            break_: self.lcr.contains(Lcr::BREAK),
        }
    }

    // ----- the transmitter -----

    /// Bytes that are ready to leave, oldest first. Hand them to the line and report by
    /// [`transmitted`](Self::transmitted) how many it took. Empty in loopback, and while auto flow
    /// control waits for CTS.
    #[must_use]
    #[inline]
    pub fn outgoing(&self) -> &[u8] {
        if self.mcr.contains(Mcr::LOOP) || !self.clear_to_send() {
            &[]
        } else {
            self.transmitter.as_slice()
        }
    }

    /// `count` of the [`outgoing`](Self::outgoing) bytes have left. More than there are counts as
    /// all.
    pub fn transmitted(&mut self, count: usize) {
        let count = count.min(self.outgoing().len());
        if count == 0 {
            return;
        }
        self.transmitter.drop_front(count);
        if self.transmitter.is_empty() {
            self.transmitter_emptied();
        }
    }

    /// Whether offsets 0 and 1 reach the divisor latch.
    #[inline]
    pub(crate) const fn divisor_latch_access(&self) -> bool {
        self.lcr.contains(Lcr::DLAB)
    }

    /// Whether a byte written to offset 0 would go straight to the line and leave the chip as it
    /// was. It would if THR is addressed, no byte waits before it, there is no loopback, break or
    /// flow control, and the THRE interrupt is disabled.
    #[inline]
    pub(crate) const fn passes_through(&self) -> bool {
        self.lcr.bits() & (Lcr::DLAB.bits() | Lcr::BREAK.bits())
            | self.mcr.bits() & (Mcr::LOOP.bits() | Mcr::AUTO_FLOW.bits())
            | self.ier.bits() & Ier::TRANSMITTER_EMPTY.bits()
            | self.transmitter.len() as u8
            == 0
    }

    /// As [`passes_through`](Self::passes_through), but the THRE interrupt may be enabled.
    #[inline]
    pub(crate) const fn passes_through_but_for_interrupt(&self) -> bool {
        self.lcr.bits() & (Lcr::DLAB.bits() | Lcr::BREAK.bits())
            | self.mcr.bits() & (Mcr::LOOP.bits() | Mcr::AUTO_FLOW.bits())
            | self.transmitter.len() as u8
            == 0
    }

    /// Drops what waits in the transmitter, and returns how many characters that were.
    fn clear_transmitter(&mut self) -> usize {
        let lost = self.transmitter.len();
        if lost > 0 {
            self.transmitter.clear();
            self.transmitter_emptied();
        }
        lost
    }

    /// Section 8.11, transmitter A: the interrupt occurs when the transmit FIFO empties.
    pub(crate) fn transmitter_emptied(&mut self) {
        self.thr_interrupt = self.ier.contains(Ier::TRANSMITTER_EMPTY);
    }

    /// In loopback the transmitter's output is the receiver's input (section 8.8).
    fn loop_back(&mut self) {
        while self.loops_back() {
            let Some(byte) = self.transmitter.pop() else {
                return;
            };
            self.store(Character::from(byte & self.lcr.word_mask()));
            if self.transmitter.is_empty() {
                self.transmitter_emptied();
            }
        }
    }

    /// Whether a transmitted character is received at once.
    pub(crate) fn loops_back(&self) -> bool {
        self.mcr.contains(Mcr::LOOP) && self.clear_to_send()
    }

    const fn looped_break(&self) -> bool {
        self.mcr.contains(Mcr::LOOP) && self.lcr.contains(Lcr::BREAK)
    }

    // ----- derived state -----

    /// The characters in the receiver, the one RBR shows first.
    pub fn received(&self) -> impl Iterator<Item = Character> {
        self.receiver.characters()
    }

    /// The interrupt that IIR would report now. Unlike a read of IIR, this acknowledges nothing.
    #[must_use]
    #[inline]
    pub fn pending_interrupt(&self) -> InterruptId {
        pending(self.causes().intersection(Causes::enabled_by(self.ier)))
    }

    /// Level of the interrupt line behind the [gate](InterruptGate).
    #[must_use]
    #[inline]
    pub fn interrupt_asserted(&self) -> bool {
        !self.asserting().is_empty()
    }

    /// The causes that hold the interrupt line active: those that are true and enabled, while the
    /// gate is open.
    pub(crate) fn asserting(&self) -> Causes {
        if self.interrupt_gate_open() {
            self.causes().intersection(Causes::enabled_by(self.ier))
        } else {
            Causes::empty()
        }
    }

    /// Whether a driver awaits received characters by interrupt.
    pub(crate) const fn awaits_receiver(&self) -> bool {
        self.ier.contains(Ier::RECEIVED_DATA) && self.interrupt_gate_open()
    }

    const fn interrupt_gate_open(&self) -> bool {
        match self.config.interrupt_gate {
            InterruptGate::Out2 => self.mcr.contains(Mcr::OUT2),
            InterruptGate::None => true,
        }
    }

    /// Table IV, third column.
    fn causes(&self) -> Causes {
        let mut causes = Causes::empty();
        causes.set(
            Causes::LINE_STATUS,
            self.overrun || self.receiver.top_errors() != 0,
        );
        // Section 8.11, receiver A and B; in 16450 mode the trigger level is one character.
        causes.set(Causes::DATA_AVAILABLE, self.is_at_trigger_level());
        causes.set(Causes::CHARACTER_TIMEOUT, self.timed_out);
        causes.set(Causes::TRANSMITTER_EMPTY, self.thr_interrupt);
        // TL16C550C: while CTS steers the transmitter, its changes do not interrupt.
        let ignored = if self.auto_flow() {
            Msr::DELTA_CTS
        } else {
            Msr::empty()
        };
        causes.set(
            Causes::MODEM_STATUS,
            !self.deltas.difference(ignored).is_empty(),
        );
        causes
    }

    /// LSR as a read would show it now (section 8.4), without the effects of a read.
    #[must_use]
    #[inline]
    pub fn line_status(&self) -> Lsr {
        let mut lsr = self.receiver.top_errors();
        if !self.receiver.is_empty() {
            lsr |= Lsr::DATA_READY.bits();
        }
        if self.overrun {
            lsr |= Lsr::OVERRUN.bits();
        }
        if self.transmitter.is_empty() {
            lsr |= Lsr::THR_EMPTY.bits() | Lsr::TRANSMITTER_EMPTY.bits();
        }
        // Bit 7: "In the 16450 Mode this is a 0."
        if self.fifo_enabled && self.receiver.has_errors() {
            lsr |= Lsr::FIFO_ERROR.bits();
        }
        Lsr::from_bits_retain(lsr)
    }

    /// Section 8.9.
    fn modem_status(&self) -> Msr {
        self.modem_signals().union(self.deltas)
    }

    /// CTS, DSR, RI and DCD: the inputs, or in loopback RTS, DTR, OUT1 and OUT2 (section 8.8).
    fn modem_signals(&self) -> Msr {
        if !self.mcr.contains(Mcr::LOOP) {
            return self.inputs.to_msr();
        }
        let looped = ModemInputs {
            cts: self.request_to_send(),
            dsr: self.mcr.contains(Mcr::DTR),
            ri: self.mcr.contains(Mcr::OUT1),
            dcd: self.mcr.contains(Mcr::OUT2),
        };
        looped.to_msr()
    }

    /// Section 8.9, bits 3 to 0: any change of CTS, DSR or DCD, but only the trailing edge of RI.
    fn note_changes(&mut self, before: Msr) {
        let now = self.modem_signals();
        // Bits 7 to 4 stand above the deltas they belong to, in the same order.
        let changed = before.symmetric_difference(now).bits() >> 4;
        let ri = before.difference(now).bits() >> 4 & Msr::TRAILING_EDGE_RI.bits();
        self.deltas = self.deltas.union(Msr::from_bits_retain(
            changed & !Msr::TRAILING_EDGE_RI.bits() | ri,
        ));
    }

    /// Depth of both FIFOs in the present mode, in characters.
    pub(crate) const fn depth(&self) -> usize {
        if self.fifo_enabled {
            self.config.fifo.characters()
        } else {
            1
        }
    }

    /// Whether the receiver holds enough characters for data to be available.
    pub(crate) const fn is_at_trigger_level(&self) -> bool {
        self.receiver.len() >= self.trigger_level()
    }

    /// The number of characters from which on data is available.
    const fn trigger_level(&self) -> usize {
        if self.fifo_enabled {
            self.config.fifo.trigger(self.trigger)
        } else {
            1
        }
    }

    // ----- TL16C550C auto flow control -----

    const fn auto_flow(&self) -> bool {
        self.mcr.contains(Mcr::AUTO_FLOW) && self.fifo_enabled
    }

    const fn request_to_send(&self) -> bool {
        self.mcr.contains(Mcr::RTS) && !self.rts_held
    }

    /// Auto-CTS: the transmitter sends only while CTS is active.
    fn clear_to_send(&self) -> bool {
        !self.auto_flow() || self.modem_signals().contains(Msr::CTS)
    }

    /// Auto-RTS: RTS is held back from the trigger level on until the FIFO is empty; at level 14
    /// only while the FIFO is full.
    pub(crate) const fn auto_rts_holds(&self) -> bool {
        if !self.auto_flow() || !self.mcr.contains(Mcr::RTS) {
            return false;
        }
        let len = self.receiver.len();
        match self.trigger {
            TriggerLevel::Fourteen => len >= self.depth(),
            _ => len >= self.trigger_level() || self.rts_held && len > 0,
        }
    }

    /// The receive FIFO has changed, and RTS may follow; in loopback RTS is CTS.
    fn update_auto_rts(&mut self) {
        if self.config.auto_flow_control {
            let signals = self.modem_signals();
            self.rts_held = self.auto_rts_holds();
            self.note_changes(signals);
        }
    }
}
