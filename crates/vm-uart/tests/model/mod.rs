//! A second 16550A, written from the data sheet (PC16550D, SNLS378C) and from nothing else.
//!
//! It exists to be compared with `vm_uart`, so it is as slow and as plain as possible: the
//! queues are `VecDeque`s, every answer is worked out anew from them each time it is asked
//! for, and there is one flag for each thing the data sheet says the chip remembers. It
//! shares no line with the crate and uses none of its types.
//!
//! The property tests, the exhaustive walk, the fuzz target and the trace replayer all
//! include this file by path.
#![allow(dead_code, missing_docs, unreachable_pub)] // each of its users needs another part
#![allow(clippy::struct_excessive_bools, clippy::bool_to_int_with_if)] // pins, and a priority list

use std::collections::VecDeque;

pub const DLAB: u8 = 0x80;
pub const LOOP: u8 = 0x10;
pub const OUT2: u8 = 0x08;
pub const BREAK: u8 = 0x40;

/// What a pin or a shift register delivers: a byte and what was wrong with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Arrival {
    pub byte: u8,
    pub parity: bool,
    pub framing: bool,
    pub break_: bool,
}

impl Arrival {
    pub const BREAK: Self = Self {
        byte: 0,
        parity: false,
        framing: true,
        break_: true,
    };

    pub fn clean(byte: u8) -> Self {
        Self {
            byte,
            ..Self::default()
        }
    }

    fn is_bad(self) -> bool {
        self.parity || self.framing || self.break_
    }
}

/// The four modem inputs, true when active (pin low).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Inputs {
    pub cts: bool,
    pub dsr: bool,
    pub ri: bool,
    pub dcd: bool,
}

/// A null modem with somebody at the other end.
pub const CONNECTED: Inputs = Inputs {
    cts: true,
    dsr: true,
    ri: false,
    dcd: true,
};

/// When a FIFO below its trigger level reports a character timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timeout {
    /// The chip: four character times without an arrival or a read.
    FourCharacters,
    /// At once when the host has nothing more to give (see [`Model::host_ran_dry`]).
    WhenDrained,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Wiring {
    /// The interrupt pin reaches the bus only while OUT2 is active.
    pub out2_gates: bool,
    pub timeout: Timeout,
    /// Depth of both FIFOs: 16, or 64 with the trigger levels of the TL16C750.
    pub fifo_depth: usize,
    /// MCR bit 5 exists (TL16C550C).
    pub auto_flow: bool,
    /// LCR and MCR come up as a PC's firmware leaves them.
    pub programmed: bool,
}

/// A PC's port I/O serial port, timed as the chip.
pub const PC: Wiring = Wiring {
    out2_gates: true,
    timeout: Timeout::FourCharacters,
    fifo_depth: 16,
    auto_flow: false,
    programmed: false,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Model {
    pub wiring: Wiring,
    pub ier: u8,
    pub lcr: u8,
    pub mcr: u8,
    pub scr: u8,
    pub divisor: u16,
    /// FCR bit 0.
    pub fifo_on: bool,
    /// FCR bits 7:6 as a number of characters.
    pub trigger: usize,
    /// Received and not yet read, oldest first.
    pub rx: VecDeque<Arrival>,
    /// What went through RBR last without FIFO.
    pub rbr: u8,
    pub overrun: bool,
    /// Written and not yet taken by the line, oldest first.
    pub tx: VecDeque<u8>,
    /// How many more characters the line takes now; `None`: any number.
    pub line_takes: Option<usize>,
    /// The transmitter became empty, or ETBEI was raised while it was, and nobody was told.
    pub thre_event: bool,
    /// MSR bits 3:0.
    pub deltas: u8,
    pub inputs: Inputs,
    /// Nanoseconds since power-on.
    pub now: u64,
    /// Nanoseconds since a character was last received or read.
    pub unmoved: u64,
    pub timed_out: bool,
    /// Auto flow control has taken RTS away.
    pub rts_held: bool,
    /// Characters written that never left and never will.
    pub lost: u64,
    /// All that left through SOUT since it was last taken away.
    pub sent: Vec<u8>,
    /// The line as it was last looked at, and how often it has risen since power-on.
    pub was_high: bool,
    pub edges: u64,
}

impl Model {
    pub fn new(wiring: Wiring) -> Self {
        Self {
            wiring,
            ier: 0,
            lcr: if wiring.programmed { 0x03 } else { 0 },
            mcr: if wiring.programmed { OUT2 } else { 0 },
            scr: 0,
            divisor: 12,
            fifo_on: false,
            trigger: 1,
            rx: VecDeque::new(),
            rbr: 0,
            overrun: false,
            tx: VecDeque::new(),
            line_takes: None,
            thre_event: false,
            deltas: 0,
            inputs: CONNECTED,
            now: 0,
            unmoved: 0,
            timed_out: false,
            rts_held: false,
            lost: 0,
            sent: Vec::new(),
            was_high: false,
            edges: 0,
        }
    }

    /// Master reset: all but the clock, the world outside and what is undefined begins anew.
    pub fn reset(&mut self) {
        let fresh = Self::new(self.wiring);
        *self = Self {
            inputs: self.inputs,
            now: self.now,
            line_takes: self.line_takes,
            divisor: self.divisor,
            rbr: self.rbr,
            lost: self.lost + self.tx.len() as u64,
            sent: std::mem::take(&mut self.sent),
            was_high: self.was_high,
            edges: self.edges,
            ..fresh
        };
        self.watch_line();
    }

    // ---- the bus side ----

    pub fn read(&mut self, offset: u8) -> u8 {
        let value = match offset {
            0 if self.dlab() => self.divisor as u8,
            0 => self.read_rbr(),
            1 if self.dlab() => (self.divisor >> 8) as u8,
            1 => self.ier,
            2 => self.read_iir(),
            3 => self.lcr,
            4 => self.mcr,
            5 => self.read_lsr(),
            6 => self.read_msr(),
            7 => self.scr,
            _ => unreachable!("three address pins"),
        };
        self.watch_line();
        value
    }

    pub fn write(&mut self, offset: u8, value: u8) {
        match offset {
            0 if self.dlab() => self.divisor = self.divisor & 0xff00 | u16::from(value),
            0 => self.write_thr(value),
            1 if self.dlab() => self.divisor = self.divisor & 0x00ff | u16::from(value) << 8,
            1 => self.write_ier(value),
            2 => self.write_fcr(value),
            3 => self.write_lcr(value),
            4 => self.write_mcr(value),
            7 => self.scr = value,
            // LSR and MSR: "intended for read operations only".
            5 | 6 => {}
            _ => unreachable!("three address pins"),
        }
        self.watch_line();
    }

    /// The level that reaches the interrupt controller.
    pub fn line(&self) -> bool {
        self.interrupt_id() != 1 && (!self.wiring.out2_gates || self.mcr & OUT2 != 0)
    }

    /// IIR bits 3:0: the highest of the sources that are enabled and active.
    pub fn interrupt_id(&self) -> u8 {
        let enabled = |bit: u8| self.ier & (1 << bit) != 0;
        let line_status = self.overrun || self.top().is_bad();
        let available = if self.fifo_on {
            self.rx.len() >= self.trigger
        } else {
            !self.rx.is_empty()
        };
        let timeout = self.fifo_on && !self.rx.is_empty() && self.timed_out;
        // TL16C550C: a CTS that steers the transmitter does not interrupt.
        let deltas = if self.flows_by_itself() {
            self.deltas & !1
        } else {
            self.deltas
        };
        if enabled(2) && line_status {
            6
        } else if enabled(0) && available {
            4
        } else if enabled(0) && timeout {
            12
        } else if enabled(1) && self.thre_event {
            2
        } else if enabled(3) && deltas != 0 {
            0
        } else {
            1
        }
    }

    pub fn lsr(&self) -> u8 {
        let top = self.top();
        let any_bad = self.rx.iter().any(|held| held.is_bad());
        bit(0, !self.rx.is_empty())
            | bit(1, self.overrun)
            | bit(2, top.parity)
            | bit(3, top.framing)
            | bit(4, top.break_)
            | bit(5, self.tx.is_empty())
            | bit(6, self.tx.is_empty())
            | bit(7, self.fifo_on && any_bad)
    }

    /// MSR bits 7:4, active inputs as ones; in loopback the chip's own outputs.
    pub fn modem(&self) -> u8 {
        let seen = if self.in_loopback() {
            Inputs {
                cts: self.rts(),
                dsr: self.mcr & 0x01 != 0,
                ri: self.mcr & 0x04 != 0,
                dcd: self.mcr & 0x08 != 0,
            }
        } else {
            self.inputs
        };
        bit(4, seen.cts) | bit(5, seen.dsr) | bit(6, seen.ri) | bit(7, seen.dcd)
    }

    /// DTR, RTS, OUT1, OUT2 as bits 0 to 3 and the break as bit 6: what the outside sees.
    pub fn outputs(&self) -> u8 {
        if self.in_loopback() {
            return 0;
        }
        self.mcr & 0x0d | bit(1, self.rts()) | self.lcr & BREAK
    }

    fn rts(&self) -> bool {
        self.mcr & 0x02 != 0 && !self.rts_held
    }

    fn flows_by_itself(&self) -> bool {
        self.mcr & 0x20 != 0 && self.fifo_on
    }

    pub fn dlab(&self) -> bool {
        self.lcr & DLAB != 0
    }

    pub fn in_loopback(&self) -> bool {
        self.mcr & LOOP != 0
    }

    /// The capacity of receiver and transmitter.
    pub fn depth(&self) -> usize {
        if self.fifo_on {
            self.wiring.fifo_depth
        } else {
            1
        }
    }

    /// Four characters in nanoseconds at the programmed rate. A divisor of 0 is not allowed by
    /// the data sheet; a down-counter goes round.
    pub fn four_characters(&self) -> u64 {
        let divisor = if self.divisor == 0 {
            65_536
        } else {
            u64::from(self.divisor)
        };
        4 * u64::from(self.half_bits()) * divisor * 1_000_000_000 / (2 * 115_200)
    }

    /// Start, data, parity and stop bits of one character, in halves because of 1.5 stop bits.
    pub fn half_bits(&self) -> u8 {
        let data = (self.lcr & 3) + 5;
        let parity = self.lcr >> 3 & 1;
        let half_stops = match (self.lcr & 4 != 0, data) {
            (false, _) => 2,
            (true, 5) => 3,
            (true, _) => 4,
        };
        2 + 2 * data + 2 * parity + half_stops
    }

    // ---- the outside ----

    /// A character arrives at SIN. In loopback SIN is disconnected.
    pub fn receive(&mut self, arrival: Arrival) {
        if !self.in_loopback() {
            self.arrive(arrival);
        }
        self.watch_line();
    }

    /// The host says that it has no more characters for now.
    pub fn host_ran_dry(&mut self) {
        if self.wiring.timeout == Timeout::WhenDrained && self.fifo_on && !self.rx.is_empty() {
            self.timed_out = true;
        }
        self.watch_line();
    }

    pub fn set_inputs(&mut self, inputs: Inputs) {
        let before = self.modem();
        self.inputs = inputs;
        self.note_modem_change(before);
        self.transmit();
        self.watch_line();
    }

    pub fn advance(&mut self, nanoseconds: u64) {
        self.now = self.now.saturating_add(nanoseconds);
        self.unmoved = self.unmoved.saturating_add(nanoseconds);
        let waits = self.fifo_on && !self.rx.is_empty();
        if self.wiring.timeout == Timeout::FourCharacters
            && waits
            && self.unmoved >= self.four_characters()
        {
            self.timed_out = true;
        }
        self.watch_line();
    }

    /// The line will take this many more characters.
    pub fn set_line_takes(&mut self, takes: Option<usize>) {
        self.line_takes = takes;
        self.transmit();
        self.watch_line();
    }

    pub fn take_sent(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.sent)
    }

    // ---- registers with effects ----

    fn read_rbr(&mut self) -> u8 {
        match self.rx.pop_front() {
            Some(held) => {
                self.timed_out = false;
                self.unmoved = 0;
                self.steer_rts();
                self.transmit();
                held.byte
            }
            // Not defined by the data sheet.
            None if self.fifo_on => 0,
            None => self.rbr,
        }
    }

    fn read_iir(&mut self) -> u8 {
        let id = self.interrupt_id();
        if id == 2 {
            self.thre_event = false;
        }
        id | if self.fifo_on { 0xc0 } else { 0 }
    }

    fn read_lsr(&mut self) -> u8 {
        let value = self.lsr();
        self.overrun = false;
        if let Some(top) = self.rx.front_mut() {
            *top = Arrival::clean(top.byte);
        }
        value
    }

    fn read_msr(&mut self) -> u8 {
        let value = self.modem() | self.deltas;
        self.deltas = 0;
        value
    }

    fn write_thr(&mut self, value: u8) {
        self.thre_event = false;
        // The interrupt goes away, and only then comes the next.
        self.watch_line();
        if self.lcr & BREAK != 0 {
            // A character that only times the break.
            self.thre_event = self.tx.is_empty();
        } else if self.tx.len() < self.depth() {
            self.tx.push_back(value);
        } else {
            self.lost += 1;
            if !self.fifo_on {
                self.tx = VecDeque::from([value]);
            }
        }
        self.transmit();
    }

    fn write_ier(&mut self, value: u8) {
        let raised = value & !self.ier;
        self.ier = value & 0x0f;
        if raised & 2 != 0 && self.tx.is_empty() {
            self.thre_event = true;
        }
    }

    fn write_fcr(&mut self, value: u8) {
        let on = value & 1 != 0;
        let toggled = on != self.fifo_on;
        if toggled || on && value & 2 != 0 {
            self.clear_receiver();
        }
        if toggled || on && value & 4 != 0 {
            self.clear_transmitter();
        }
        self.fifo_on = on;
        let levels = if self.wiring.fifo_depth == 64 {
            [1, 16, 32, 56]
        } else {
            [1, 4, 8, 14]
        };
        self.trigger = if on {
            levels[usize::from(value >> 6)]
        } else {
            1
        };
        self.steer_rts();
        self.transmit();
    }

    fn write_lcr(&mut self, value: u8) {
        self.rewire(value, self.mcr);
    }

    fn write_mcr(&mut self, value: u8) {
        let bits = if self.wiring.auto_flow { 0x3f } else { 0x1f };
        if value & LOOP != 0 && !self.in_loopback() {
            // What was written for the outside never comes back as input.
            self.clear_transmitter();
        }
        self.rewire(self.lcr, value & bits);
    }

    fn rewire(&mut self, lcr: u8, mcr: u8) {
        let before = self.modem();
        let was_looping_break = self.loops_break();
        self.lcr = lcr;
        self.mcr = mcr;
        self.rts_held = self.holds_rts();
        self.note_modem_change(before);
        if self.loops_break() && !was_looping_break {
            self.arrive(Arrival::BREAK);
        }
        self.transmit();
    }

    // ---- inside ----

    pub fn watch_line(&mut self) {
        let level = self.line();
        self.edges += u64::from(level && !self.was_high);
        self.was_high = level;
    }

    fn top(&self) -> Arrival {
        self.rx.front().copied().unwrap_or_default()
    }

    fn arrive(&mut self, arrival: Arrival) {
        if self.rx.len() == self.depth() {
            self.overrun = true;
            if !self.fifo_on {
                self.rx = VecDeque::from([arrival]);
            }
        } else {
            self.rx.push_back(arrival);
        }
        if !self.fifo_on {
            self.rbr = arrival.byte;
        }
        self.unmoved = 0;
        self.steer_rts();
    }

    /// TL16C550C: RTS goes at the trigger level, or with the highest one when the FIFO is full,
    /// and comes back when the FIFO is empty.
    fn steer_rts(&mut self) {
        let before = self.modem();
        self.rts_held = self.holds_rts();
        self.note_modem_change(before);
    }

    fn holds_rts(&self) -> bool {
        let highest = matches!(self.trigger, 14 | 56);
        let enough = if highest { self.depth() } else { self.trigger };
        let waits_for_empty = self.rts_held && !self.rx.is_empty() && !highest;
        let full = self.rx.len() >= enough;
        self.flows_by_itself() && self.mcr & 0x02 != 0 && (full || waits_for_empty)
    }

    fn may_send(&self) -> bool {
        !self.flows_by_itself() || self.modem() & 0x10 != 0
    }

    /// Characters have five to eight bits. What crosses the host's border keeps all eight: the
    /// host is no serial line, and guests exist that never programmed LCR.
    fn word_mask(&self) -> u8 {
        0xff >> (3 - (self.lcr & 3))
    }

    fn transmit(&mut self) {
        let was_empty = self.tx.is_empty();
        while let Some(&byte) = self.tx.front() {
            if !self.may_send() {
                break;
            }
            if self.in_loopback() {
                self.arrive(Arrival::clean(byte & self.word_mask()));
            } else if let Some(takes) = &mut self.line_takes {
                if *takes == 0 {
                    break;
                }
                *takes -= 1;
                self.sent.push(byte);
            } else {
                self.sent.push(byte);
            }
            self.tx.pop_front();
        }
        if !was_empty && self.tx.is_empty() {
            self.thre_event = true;
        }
    }

    /// OE stays: only a read of LSR or master reset takes it away.
    fn clear_receiver(&mut self) {
        self.rx.clear();
        self.timed_out = false;
    }

    fn clear_transmitter(&mut self) {
        if !self.tx.is_empty() {
            self.lost += self.tx.len() as u64;
            self.tx.clear();
            self.thre_event = true;
        }
    }

    pub fn loops_break(&self) -> bool {
        self.in_loopback() && self.lcr & BREAK != 0
    }

    /// DCTS, DDSR and DDCD are set by any change, TERI by the end of a ring only.
    fn note_modem_change(&mut self, before: u8) {
        let after = self.modem();
        let changed = (before ^ after) >> 4;
        let ring_ended = (before & !after) >> 4 & 0x04;
        self.deltas |= changed & 0x0b | ring_ended;
    }
}

fn bit(position: u8, set: bool) -> u8 {
    u8::from(set) << position
}
