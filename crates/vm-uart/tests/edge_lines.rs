//! Edge-triggered interrupts lose nothing and storm nowhere.
//!
//! A level becomes edges at [`EdgeLine`]; an interrupt controller keeps at most one of them; a
//! driver handles what it likes of each. Three drivers, from the politest to the laziest, work
//! through random traffic; when no edge is left, every byte must have moved, and the number of
//! edges must be bounded by the number of bytes and events.
#![cfg(feature = "vm-superio")]

mod machine;

use std::collections::VecDeque;

use machine::{
    Bell, FCR, IER, IIR, IIR_NONE, LCR, LCR_8N1, LSR, LSR_DR, LSR_THRE, MCR, MCR_DTR, MCR_OUT2,
    MSR, RBR, THR, Terminal,
};
use proptest::prelude::*;
use vm_uart::{Character, Config, EdgeLine, ModemInputs, ReceiveAhead, SerialPort};

/// How a driver answers an interrupt.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Habit {
    /// Reads IIR once, serves that cause with one access, returns. The laziest driver that works on
    /// an 8250 with a fast line.
    OneCause,
    /// Serves causes until IIR says none: Linux, Windows, FreeBSD.
    UntilNone,
    /// As before, but masks its line at the controller meanwhile.
    MasksAtController,
    /// Masks, and looks once more after unmasking, as it must where the controller forgets.
    MasksAndLooksAgain,
}

/// What a controller does with an edge on a masked input.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Controller {
    /// 8259: IRR latches it, and it is delivered when the mask goes.
    Latches,
    /// I/O APIC, edge-triggered: gone. A driver that masks must look at the device again after
    /// unmasking.
    Forgets,
}

/// One input of an interrupt controller.
struct Input {
    kind: Controller,
    bell: Bell,
    seen: u64,
    masked: bool,
    request: bool,
}

impl Input {
    fn sample(&mut self) {
        if std::mem::replace(&mut self.seen, self.bell.rung()) != self.bell.rung() {
            self.request |= !self.masked || self.kind == Controller::Latches;
        }
    }

    fn deliver(&mut self) -> bool {
        self.sample();
        !self.masked && std::mem::take(&mut self.request)
    }

    fn mask(&mut self, masked: bool) {
        self.sample();
        self.masked = masked;
    }
}

struct Guest {
    port: SerialPort<EdgeLine<Bell>, Terminal>,
    input: Input,
    habit: Habit,
    fcr: u8,
    ier: u8,
    to_write: VecDeque<u8>,
    received: Vec<u8>,
    typed: Vec<u8>,
    /// What arrives in the middle of a handler, a character before each cause served.
    later: VecDeque<u8>,
    modem: ModemInputs,
    modem_interrupts: usize,
    interrupts: u64,
}

impl Guest {
    fn new(habit: Habit, kind: Controller, fcr: u8, config: Config) -> Self {
        let bell = Bell::default();
        let mut port =
            SerialPort::with_config(config, EdgeLine::new(bell.clone()), Terminal::default());
        port.write(LCR, LCR_8N1);
        port.write(FCR, fcr);
        port.write(MCR, MCR_DTR | MCR_OUT2);
        port.write(IER, 0x0d);
        let input = Input {
            kind,
            bell,
            seen: 0,
            masked: false,
            request: false,
        };
        Self {
            port,
            input,
            habit,
            fcr,
            ier: 0x0d,
            to_write: VecDeque::new(),
            received: Vec::new(),
            typed: Vec::new(),
            later: VecDeque::new(),
            modem: ModemInputs::default(),
            modem_interrupts: 0,
            interrupts: 0,
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.to_write.extend(bytes);
        if self.ier & 0x02 == 0 && !self.to_write.is_empty() {
            self.ier |= 0x02;
            self.port.write(IER, self.ier);
        }
    }

    fn arrives(&mut self, character: Character) {
        self.typed.push(character.byte);
        self.port.line_mut().keyboard.push_back(character);
        self.port.pump();
    }

    /// Serves one cause; false: there was none.
    fn serve(&mut self) -> bool {
        if let Some(key) = self.later.pop_front() {
            self.arrives(key.into());
        }
        match self.port.read(IIR) & 0x0f {
            0x06 => {
                self.port.read(LSR);
            }
            0x04 | 0x0c => self.received.push(self.port.read(RBR)),
            0x02 => {
                if let Some(byte) = self.to_write.pop_front() {
                    self.port.write(THR, byte);
                } else {
                    self.ier &= !0x02;
                    self.port.write(IER, self.ier);
                }
            }
            0x00 => {
                self.port.read(MSR);
                self.modem_interrupts += 1;
            }
            _ => return false,
        }
        true
    }

    /// Serves causes until IIR says none.
    fn serve_all(&mut self) {
        let served_all = (0..PATIENCE).any(|_| !self.serve());
        assert!(served_all, "IIR never says none");
    }

    /// Takes interrupts until the controller has none left.
    fn settle(&mut self) {
        self.run(PATIENCE);
        assert!(!self.input.deliver(), "an interrupt storm");
    }

    /// Lets the time of characters below the trigger level run out, and returns how often.
    fn wait_for_timeouts(&mut self) -> u64 {
        let mut waits = 0;
        while let Some(nanoseconds) = self.port.until_timeout()
            && waits < PATIENCE
        {
            waits += 1;
            self.port.advance(nanoseconds);
            self.settle();
        }
        waits
    }

    /// Takes interrupts until the controller has none left, at most `limit`.
    fn run(&mut self, limit: u64) {
        for _ in 0..limit {
            if !self.input.deliver() {
                return;
            }
            self.interrupts += 1;
            match self.habit {
                Habit::OneCause => {
                    self.serve();
                }
                Habit::UntilNone => self.serve_all(),
                Habit::MasksAtController => {
                    self.input.mask(true);
                    self.serve_all();
                    self.input.mask(false);
                }
                Habit::MasksAndLooksAgain => {
                    self.input.mask(true);
                    self.serve();
                    self.input.mask(false);
                    self.serve_all();
                }
            }
        }
    }
}

/// More causes, interrupts or timeouts than any script can give rise to: each of at most 40 events
/// moves at most 40 bytes.
const PATIENCE: u64 = 10_000;

#[derive(Clone, Debug)]
enum Event {
    Type(Vec<u8>),
    Break,
    /// Typed as soon as handlers run.
    TypeLater(Vec<u8>),
    Write(Vec<u8>),
    Carrier(bool),
    /// The far end takes so many bytes and no more for a while.
    Hold(usize),
    Release,
    /// Another trigger level, which takes nothing out of the FIFO.
    Trigger(u8),
    /// So many microseconds go by.
    Time(u32),
    /// Console output by polling, with IER cleared and restored.
    Printk(usize),
    Interrupts(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => prop::collection::vec(1u8.., 1..40).prop_map(Event::Type),
        1 => Just(Event::Break),
        2 => prop::collection::vec(1u8.., 1..20).prop_map(Event::TypeLater),
        4 => prop::collection::vec(any::<u8>(), 1..40).prop_map(Event::Write),
        1 => any::<bool>().prop_map(Event::Carrier),
        1 => (0usize..20).prop_map(Event::Hold),
        1 => Just(Event::Release),
        1 => (0u8..4).prop_map(Event::Trigger),
        2 => (0u32..2_000).prop_map(Event::Time),
        2 => (0usize..5).prop_map(Event::Printk),
        4 => (0u64..8).prop_map(Event::Interrupts),
    ]
}

/// Runs the script, lets everything settle, and checks that nothing is left and nothing is
/// excessive.
fn settles(mut guest: Guest, script: &[Event]) -> Result<(), TestCaseError> {
    let (mut written, mut moved) = (Vec::new(), 0u64);
    for event in script {
        match event {
            Event::Type(keys) => {
                moved += keys.len() as u64;
                guest.typed.extend(keys);
                guest
                    .port
                    .line_mut()
                    .keyboard
                    .extend(keys.iter().copied().map(Character::from));
                guest.port.pump();
            }
            Event::Break => {
                moved += 1;
                guest.arrives(Character::BREAK);
            }
            Event::TypeLater(keys) => {
                moved += keys.len() as u64;
                guest.later.extend(keys);
            }
            Event::Write(bytes) => {
                written.extend(bytes);
                moved += bytes.len() as u64;
                guest.write(bytes);
            }
            Event::Carrier(dcd) => {
                moved += 1;
                guest.modem.dcd = *dcd;
                guest.port.set_modem_inputs(guest.modem);
            }
            Event::Hold(room) => guest.port.line_mut().room = Some(*room),
            Event::Release => {
                moved += 1;
                guest.port.line_mut().room = None;
                guest.port.pump();
            }
            Event::Time(microseconds) => {
                moved += 1;
                guest.port.advance(u64::from(*microseconds) * 1000);
            }
            Event::Trigger(level) => {
                moved += 1;
                if guest.fcr & 0x01 != 0 {
                    guest.port.write(FCR, level << 6 | 0x01);
                }
            }
            Event::Printk(count) => {
                let ier = guest.port.read(IER);
                guest.port.write(IER, 0);
                for _ in 0..*count {
                    if guest.port.read(LSR) & LSR_THRE != 0 {
                        guest.port.write(THR, b'#');
                        moved += 1;
                    }
                }
                guest.port.write(IER, ier);
                moved += 1;
            }
            Event::Interrupts(count) => guest.run(*count),
        }
    }
    guest.port.line_mut().room = None;
    while let Some(key) = guest.later.pop_front() {
        guest.arrives(key.into());
    }
    guest.port.pump();
    guest.settle();
    moved += guest.wait_for_timeouts();
    prop_assert_eq!(guest.port.until_timeout(), None, "a timeout never comes");

    // Printk bytes go past the queue; the queue's own bytes keep their order.
    prop_assert_eq!(
        guest.received.len(),
        guest.typed.len(),
        "input left behind: LSR {:#04x}",
        guest.port.read(LSR)
    );
    prop_assert_eq!(&guest.received, &guest.typed);
    prop_assert_eq!(guest.to_write.len(), 0, "output left behind");
    prop_assert_eq!(guest.port.read(IIR) & 0x0f, IIR_NONE);
    prop_assert_eq!(guest.port.read(LSR) & LSR_DR, 0);
    let mut paper = guest.port.line().paper.iter();
    prop_assert!(
        written
            .iter()
            .all(|byte| paper.any(|printed| printed == byte)),
        "output out of order"
    );

    // Each byte, event and return to IER can raise the line once for its own cause and once more
    // for the cause under it.
    let bound = 2 * moved + 4;
    prop_assert!(
        guest.input.bell.rung() <= bound,
        "{} edges for {} bytes and events",
        guest.input.bell.rung(),
        moved
    );
    Ok(())
}

const FIFO_SETTINGS: [u8; 5] = [0x00, 0x01, 0x41, 0x81, 0xc1];

fn boards() -> impl Strategy<Value = Config> {
    prop::sample::select(Config::every().collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_driver_that_loops_until_none(
        script in prop::collection::vec(event(), 1..40), fcr in prop::sample::select(&FIFO_SETTINGS[..]), board in boards()
    ) {
        settles(Guest::new(Habit::UntilNone, Controller::Forgets, fcr, board), &script)?;
    }

    #[test]
    fn a_driver_that_masks_at_the_controller(
        script in prop::collection::vec(event(), 1..40), fcr in prop::sample::select(&FIFO_SETTINGS[..]), board in boards()
    ) {
        settles(Guest::new(Habit::MasksAtController, Controller::Latches, fcr, board), &script)?;
    }

    #[test]
    fn a_driver_that_masks_at_a_controller_which_forgets(
        script in prop::collection::vec(event(), 1..40), fcr in prop::sample::select(&FIFO_SETTINGS[..]), board in boards()
    ) {
        settles(Guest::new(Habit::MasksAndLooksAgain, Controller::Forgets, fcr, board), &script)?;
    }

    /// Only where input is let in up to the trigger level: a FIFO filled to the brim is for drivers
    /// that drain it.
    #[test]
    fn a_driver_that_handles_one_cause_per_interrupt(
        script in prop::collection::vec(event(), 1..40), fcr in prop::sample::select(&FIFO_SETTINGS[..]), board in boards()
    ) {
        let board = Config { receive_ahead: ReceiveAhead::TriggerLevel, ..board };
        settles(Guest::new(Habit::OneCause, Controller::Latches, fcr, board), &script)?;
    }
}

#[test]
fn what_the_trigger_refuses_is_counted_and_the_port_goes_on() {
    /// An eventfd whose counter is full: each error has its number.
    struct Full(std::cell::Cell<u64>);
    impl vm_uart::Trigger for Full {
        type E = u64;
        fn trigger(&self) -> Result<(), u64> {
            self.0.set(self.0.get() + 1);
            Err(self.0.get())
        }
    }
    let mut port = SerialPort::new(EdgeLine::new(Full(0.into())), ());
    port.write(MCR, MCR_OUT2);
    assert_eq!(port.interrupt().failures(), 0);
    port.write(IER, 0x02);
    port.write(THR, b'x');
    assert_eq!(port.interrupt().failures(), 2, "one edge each");
    assert_eq!(port.read(IIR) & 0x0f, 0x02);
    assert_eq!(port.interrupt().failures(), 2);
    let errors = [(); 2].map(|()| port.interrupt_mut().take_error());
    assert_eq!(errors, [Some(1), None], "the first, once");
}
