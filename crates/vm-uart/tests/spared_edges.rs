//! No driver waits in vain for an edge that was spared, whatever it does at an interrupt and
//! whenever the interrupt comes.
//!
//! A machine of two processors is run through all of its interleavings: one handles the interrupt,
//! the other does the rest of the driver's work. Each access is a step of its own, and an edge waits
//! in the controller until any later step. If every path comes to an end, and all bytes are written
//! at each end, no interrupt was lost and none stormed.

mod bits;

use std::collections::HashMap;
use std::time::Duration;

use bits::{IIR_NONE, LCR_8N1, LSR_THRE, MCR_OUT2};
use vm_uart::registers::{FCR, IER, IIR, LCR, LSR, MCR, THR};
use vm_uart::{InterruptLine, Line, SerialPort};

/// What a handler does at an interrupt of the transmitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handler {
    /// Reads IIR and fills the FIFO, until IIR says none: Linux, FreeBSD.
    UntilNone,
    /// Reads IIR, fills the FIFO and returns.
    Once,
    /// Fills the FIFO and returns. It reads nothing.
    Blind,
    /// Reads LSR and fills the FIFO.
    Polls,
    /// Reads IIR and tells the rest of the driver, which fills the FIFO.
    Wakes,
}

const HANDLERS: [Handler; 5] = [
    Handler::UntilNone,
    Handler::Once,
    Handler::Blind,
    Handler::Polls,
    Handler::Wakes,
];

/// What the rest of a driver does when it has something to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Programs(u8, u8),
    ReadsIir,
    WritesByte,
}

use Start::{Programs, ReadsIir, WritesByte};

const SETS_UP: [Start; 3] = [
    Programs(LCR, LCR_8N1),
    Programs(FCR, 0x01),
    Programs(MCR, MCR_OUT2),
];
const ENABLES: &[Start] = &[Programs(IER, 0x02)];
const CLEARS: &[Start] = &[Programs(IER, 0x02), ReadsIir, WritesByte];
const KICKS: &[Start] = &[Programs(IER, 0x02), WritesByte];

/// A driver, and how much it has to send.
#[derive(Clone, Debug)]
struct Driver {
    start: Vec<Start>,
    handler: Handler,
    /// Bytes for each interrupt.
    fills: u8,
    left: u8,
}

/// The next step of a handler that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Look,
    Fill(u8),
    Stop,
}

#[derive(Clone, Debug, Default)]
struct Latch(bool);

impl InterruptLine for Latch {
    fn assert(&mut self) {
        self.0 = true;
    }
    fn deassert(&mut self) {}
    fn pulse(&mut self) {
        self.0 = true;
    }
    fn next_cause(&mut self) {
        self.0 = true;
    }
}

#[derive(Clone, Debug)]
struct Sink;

impl Line for Sink {
    fn transmit(&mut self, bytes: &[u8]) -> usize {
        bytes.len()
    }
}

#[derive(Clone, Debug)]
struct Machine {
    port: SerialPort<Latch, Sink>,
    /// The present driver and its successors.
    drivers: Vec<Driver>,
    handling: Option<Step>,
    /// What the handler has told the rest of the driver to write.
    told_to_write: u8,
}

impl Machine {
    fn new(drivers: Vec<Driver>) -> Self {
        Self {
            port: SerialPort::new(Latch::default(), Sink),
            drivers,
            handling: None,
            told_to_write: 0,
        }
    }

    fn driver(&mut self) -> &mut Driver {
        &mut self.drivers[0]
    }

    fn write_byte(&mut self) {
        if self.driver().left > 0 {
            self.driver().left -= 1;
            self.port.write(THR, b'x');
        }
    }

    /// One step of the rest of the driver, if it has any to do.
    fn main_step(&self) -> Option<Self> {
        let mut next = self.clone();
        if !next.driver().start.is_empty() {
            match next.driver().start.remove(0) {
                Programs(register, value) => next.port.write(register, value),
                ReadsIir => {
                    next.port.read(IIR);
                }
                WritesByte => next.write_byte(),
            }
        } else if next.told_to_write > 0 {
            next.told_to_write -= 1;
            next.write_byte();
        } else if next.driver().left == 0 && next.handling.is_none() && next.drivers.len() > 1 {
            // The next driver begins when this one has put its work down.
            next.port.write(IER, 0);
            next.port.interrupt_mut().0 = false;
            next.drivers.remove(0);
        } else {
            return None;
        }
        Some(next)
    }

    /// One step of the handler, or the interrupt that begins it.
    fn handler_step(&self) -> Option<Self> {
        let mut next = self.clone();
        let Driver {
            handler,
            fills,
            left,
            ..
        } = *next.driver();
        let fill = if left == 0 {
            Step::Stop
        } else {
            Step::Fill(fills)
        };
        next.handling = match self.handling {
            None if std::mem::take(&mut next.port.interrupt_mut().0) => match handler {
                Handler::Blind => Some(fill),
                _ => Some(Step::Look),
            },
            None => return None,
            Some(Step::Look) if handler == Handler::Polls => {
                (next.port.read(LSR) & LSR_THRE != 0).then_some(fill)
            }
            Some(Step::Look) => match next.port.read(IIR) & 0x0f {
                IIR_NONE => None,
                _ if handler == Handler::Wakes => {
                    next.told_to_write = next.told_to_write.max(fills);
                    None
                }
                _ => Some(fill),
            },
            Some(Step::Fill(count)) => {
                next.write_byte();
                match (count > 1 && left > 1, handler) {
                    (true, _) => Some(Step::Fill(count - 1)),
                    (false, Handler::UntilNone) => Some(Step::Look),
                    (false, _) => None,
                }
            }
            Some(Step::Stop) => {
                next.port.write(IER, 0);
                (handler == Handler::UntilNone).then_some(Step::Look)
            }
        };
        Some(next)
    }

    /// Follows every path from here to its end.
    fn run(&self, seen: &mut HashMap<String, bool>) {
        let state = format!("{self:?}");
        match seen.get(&state) {
            Some(true) => return,
            Some(false) => panic!("a storm: {state}"),
            None => {}
        }
        seen.insert(state.clone(), false);
        let steps = [self.main_step(), self.handler_step()];
        if steps.iter().all(Option::is_none) {
            let left: u8 = self.drivers.iter().map(|driver| driver.left).sum();
            assert_eq!(left, 0, "waits in vain: {state}");
        }
        for next in steps.into_iter().flatten() {
            next.run(seen);
        }
        seen.insert(state, true);
    }
}

fn driver(sets_up: bool, start: &[Start], handler: Handler, fills: u8, left: u8) -> Driver {
    let set_up = SETS_UP.into_iter().filter(|_| sets_up);
    Driver {
        start: set_up.chain(start.iter().copied()).collect(),
        handler,
        fills,
        left,
    }
}

/// Every driver alone, and after one that has earned it that edges are spared.
#[test]
fn no_driver_waits_in_vain() {
    for handler in HANDLERS {
        for fills in [1, 16] {
            // Two processors that both write have by far the most interleavings.
            let (alone, after) = match handler {
                Handler::Wakes => (18, 5),
                _ => (35, 18),
            };
            for start in [ENABLES, CLEARS, KICKS] {
                let only = vec![driver(true, start, handler, fills, alone)];
                Machine::new(only).run(&mut HashMap::new());
                let second = vec![
                    driver(true, ENABLES, Handler::UntilNone, 16, 17),
                    driver(true, start, handler, fills, after),
                ];
                Machine::new(second).run(&mut HashMap::new());
            }
            let not_set_up = vec![
                driver(true, ENABLES, Handler::UntilNone, 16, 17),
                driver(false, ENABLES, handler, fills, after),
            ];
            Machine::new(not_set_up).run(&mut HashMap::new());
        }
    }
}

fn filled_twice() -> SerialPort<Latch, Sink> {
    let mut port = SerialPort::new(Latch::default(), Sink);
    for (register, value) in [(FCR, 0x01), (MCR, MCR_OUT2), (IER, 0x02)] {
        port.write(register, value);
    }
    for _ in 0..2 {
        port.read(IIR);
        for _ in 0..16 {
            port.write(THR, b'x');
        }
    }
    port.interrupt_mut().0 = false;
    port
}

/// The one driver that the rules cannot tell from Linux reads IIR when a message of exactly one FIFO
/// begins, and at no interrupt.
#[test]
fn a_spared_edge_comes_with_the_next_call_from_outside() {
    let calls: [fn(&mut SerialPort<Latch, Sink>); 3] = [
        SerialPort::pump,
        |port| {
            port.keep_time(Duration::ZERO);
        },
        |port| {
            port.receive(b'k'.into());
        },
    ];
    for call in calls {
        let mut port = filled_twice();
        port.read(IIR);
        port.write(THR, b'a');
        assert!(std::mem::take(&mut port.interrupt_mut().0));
        port.write(THR, b'b');
        assert!(!port.interrupt().0, "spared");
        call(&mut port);
        assert!(std::mem::take(&mut port.interrupt_mut().0));
        call(&mut port);
        assert!(!port.interrupt().0, "once");
    }
}

/// An interrupt of the transmitter that IER has brought anew is not the one that IIR acknowledged.
#[test]
fn no_edge_is_spared_after_the_interrupt_was_enabled_anew() {
    let mut port = filled_twice();
    port.read(IIR);
    port.write(IER, 0x00);
    port.write(IER, 0x02);
    for _ in 0..3 {
        assert!(std::mem::take(&mut port.interrupt_mut().0));
        port.write(THR, b'a');
    }
}

/// Anything between two bytes may have been the next interrupt's handler.
#[test]
fn no_edge_is_spared_after_another_access() {
    type Access = fn(&mut SerialPort<Latch, Sink>);
    let accesses: [(&str, Access); 6] = [
        ("LSR", |port| {
            port.read(LSR);
        }),
        ("IIR", |port| {
            port.read(IIR);
        }),
        ("IER", |port| port.write(IER, 0x02)),
        ("FCR", |port| port.write(FCR, 0x01)),
        ("a migration", |port| {
            let snapshot = port.snapshot();
            port.restore(&snapshot).unwrap();
        }),
        ("a 17th byte", |port| {
            for _ in 0..15 {
                port.write(THR, b'b');
            }
        }),
    ];
    for (what, access) in accesses {
        let mut port = filled_twice();
        port.read(IIR);
        port.write(THR, b'a');
        access(&mut port);
        port.interrupt_mut().0 = false;
        port.write(THR, b'c');
        assert!(port.interrupt().0, "after {what}");
    }
}
