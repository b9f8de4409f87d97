//! What a driver meets: eight registers, an interrupt pin, and someone at the far end of the line
//! who reads and types.
//!
//! [`Port`] is that view; [`Ours`] is this crate's device behind it and [`Superio`] is
//! `vm_superio::Serial`, so that a scenario that must fail somewhere can be shown to fail there.

#![allow(
    dead_code,
    unused_imports,
    reason = "each test file uses its own part of the machine"
)]

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

#[path = "../bits/mod.rs"]
mod bits;
#[cfg(feature = "vm-superio")]
mod superio;
#[cfg(feature = "vm-superio")]
pub(crate) use superio::{Bell, Paper, Superio};

pub(crate) use bits::*;
use vm_uart::bus::Registers;
pub(crate) use vm_uart::registers::{DLL, DLM, FCR, IER, IIR, LCR, LSR, MCR, MSR, RBR, SCR, THR};
use vm_uart::{Character, Config, InterruptLine, Line, NullUart, Outputs, SerialPort};

/// A serial port as a driver and the far end of its line see it.
pub(crate) trait Port {
    fn inb(&mut self, register: u8) -> u8;
    fn outb(&mut self, register: u8, value: u8);
    /// Somebody at the far end types; what does not fit into the device yet waits outside.
    fn type_in(&mut self, keys: &[u8]);
    /// Everything the far end has read so far.
    fn printed(&self) -> Vec<u8>;
    /// Rising edges of the interrupt pin since power-on.
    fn edges(&self) -> u64;
}

/// The interrupt pin as an analyser clipped to it records it.
#[derive(Clone, Default)]
pub(crate) struct Pin {
    level: Rc<Cell<bool>>,
    edges: Rc<Cell<u64>>,
}

impl Pin {
    pub(crate) fn is_high(&self) -> bool {
        self.level.get()
    }

    pub(crate) fn edges(&self) -> u64 {
        self.edges.get()
    }
}

impl InterruptLine for Pin {
    fn assert(&mut self) {
        assert!(
            !self.level.replace(true),
            "assert() while the pin is high already"
        );
        self.edges.set(self.edges.get() + 1);
    }

    fn deassert(&mut self) {
        assert!(
            self.level.replace(false),
            "deassert() while the pin is low already"
        );
    }
}

/// The far end of the line: paper, and a keyboard with a buffer as large as needed.
#[derive(Default)]
pub(crate) struct Terminal {
    pub(crate) paper: Vec<u8>,
    pub(crate) keyboard: VecDeque<Character>,
    pub(crate) outputs: Option<Outputs>,
    /// Times that the line went spacing.
    pub(crate) spacings: usize,
    /// Bytes it takes before it refuses more; `None`: it takes all.
    pub(crate) room: Option<usize>,
}

impl Line for Terminal {
    fn transmit(&mut self, bytes: &[u8]) -> usize {
        let taken = self.room.map_or(bytes.len(), |room| room.min(bytes.len()));
        if let Some(room) = &mut self.room {
            *room -= taken;
        }
        self.paper.extend_from_slice(&bytes[..taken]);
        taken
    }

    fn receive(&mut self) -> Option<Character> {
        self.keyboard.pop_front()
    }

    fn outputs(&mut self, outputs: Outputs) {
        let was_spacing = self.outputs.is_some_and(|outputs| outputs.break_);
        self.spacings += usize::from(outputs.break_ && !was_spacing);
        self.outputs = Some(outputs);
    }
}

/// Counts accesses, so that a driver that would loop for ever on a wrong answer fails instead.
#[derive(Default)]
pub(crate) struct Patience(u32);

impl Patience {
    /// More than any test makes on one port.
    const LIMIT: u32 = 2_000_000;

    pub(crate) fn one_more(&mut self) {
        self.0 += 1;
        assert!(self.0 < Self::LIMIT, "a driver waits for ever");
    }
}

/// This crate's device.
pub(crate) struct Ours {
    pub(crate) port: SerialPort<Pin, Terminal>,
    pub(crate) pin: Pin,
    patience: Patience,
}

impl Ours {
    pub(crate) fn new() -> Self {
        Self::with_config(Config::default())
    }

    pub(crate) fn with_config(config: Config) -> Self {
        let pin = Pin::default();
        Self {
            port: SerialPort::with_config(config, pin.clone(), Terminal::default()),
            pin,
            patience: Patience::default(),
        }
    }
}

impl Port for Ours {
    fn inb(&mut self, register: u8) -> u8 {
        self.patience.one_more();
        self.port.read(register)
    }

    fn outb(&mut self, register: u8, value: u8) {
        self.patience.one_more();
        self.port.write(register, value);
    }

    fn type_in(&mut self, keys: &[u8]) {
        self.port
            .line_mut()
            .keyboard
            .extend(keys.iter().copied().map(Character::from));
        self.port.pump();
    }

    fn printed(&self) -> Vec<u8> {
        self.port.line().paper.clone()
    }

    fn edges(&self) -> u64 {
        self.pin.edges()
    }
}

/// A machine without the port.
#[derive(Default)]
pub(crate) struct Absent {
    patience: Patience,
}

impl Port for Absent {
    fn inb(&mut self, register: u8) -> u8 {
        self.patience.one_more();
        NullUart.read(register)
    }

    fn outb(&mut self, register: u8, value: u8) {
        self.patience.one_more();
        NullUart.write(register, value);
    }

    fn type_in(&mut self, _: &[u8]) {}

    fn printed(&self) -> Vec<u8> {
        Vec::new()
    }

    fn edges(&self) -> u64 {
        0
    }
}

/// The input of an interrupt controller that remembers one rising edge (8259: IRR; I/O APIC: the
/// delivery).
#[derive(Default)]
pub(crate) struct EdgeLatch {
    seen: u64,
}

impl EdgeLatch {
    /// Whether an edge came since the last acknowledgement; acknowledges it.
    pub(crate) fn acknowledge(&mut self, port: &impl Port) -> bool {
        let edges = port.edges();
        edges != std::mem::replace(&mut self.seen, edges)
    }
}
