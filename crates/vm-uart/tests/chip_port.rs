//! The chip bound to its lines: back-pressure, strings, what the interrupt line is told, reset.

mod machine;

use machine::{Ours, Port};
use proptest::prelude::*;
use vm_uart::registers::{FCR, IER, IIR, LCR, LSR, MCR, MSR, RBR, THR};
use vm_uart::{Character, Config, InterruptLine, Line, ModemInputs, Outputs, PowerOn, SerialPort};

#[test]
fn a_byte_reaches_the_line_at_once_and_thre_never_falls() {
    let mut machine = Ours::new();
    for byte in 0..=255 {
        machine.outb(THR, byte);
        assert_eq!(machine.inb(LSR), 0x60);
    }
    assert_eq!(machine.printed(), (0..=255).collect::<Vec<u8>>());
}

#[test]
fn what_the_line_refuses_waits_with_thre_low_and_goes_with_pump() {
    for fcr in [0x00, 0x01] {
        let mut machine = Ours::new();
        machine.outb(FCR, fcr);
        machine.outb(MCR, 0x08);
        machine.outb(IER, 0x02);
        machine.inb(IIR);
        machine.port.line_mut().room = Some(1);
        machine.outb(THR, b'a');
        assert!(machine.pin.is_high());
        machine.outb(THR, b'b');
        assert_eq!(machine.inb(LSR), 0x00);
        assert!(!machine.pin.is_high(), "not before it has left");
        machine.port.line_mut().room = None;
        machine.port.pump();
        assert_eq!(machine.inb(LSR), 0x60);
        assert!(machine.pin.is_high());
        assert_eq!(machine.printed(), b"ab");
        assert_eq!(machine.port.lost(), 0);
    }
}

#[test]
fn only_a_guest_that_does_not_wait_loses_and_it_is_counted() {
    let mut machine = Ours::new();
    machine.outb(FCR, 0x01);
    machine.port.line_mut().room = Some(0);
    machine
        .port
        .write_string(THR, &(0..20).collect::<Vec<u8>>());
    machine.outb(THR, 20);
    assert_eq!(machine.port.lost(), 5);
    machine.port.line_mut().room = None;
    machine.port.pump();
    assert_eq!(machine.printed(), (0..16).collect::<Vec<u8>>());
}

#[test]
fn the_line_is_told_of_outputs_that_are_active_from_the_start() {
    let config = Config {
        power_on: PowerOn::Programmed,
        ..Config::default()
    };
    let machine = Ours::with_config(config);
    assert!(
        machine
            .port
            .line()
            .outputs
            .is_some_and(|outputs| outputs.out2)
    );
    assert_eq!(Ours::new().port.line().outputs, None);
}

/// FCR.2, both changes of FCR.0, loopback, and master reset.
const CLEARS_THE_TRANSMITTER: [fn(&mut Ours); 4] = [
    |machine| machine.outb(FCR, 0x07),
    |machine| machine.outb(FCR, 0x00),
    |machine| machine.outb(MCR, 0x1a),
    |machine| machine.port.reset(),
];

#[test]
fn output_that_is_cleared_while_the_line_refuses_it_is_counted_and_is_no_input() {
    for clear in CLEARS_THE_TRANSMITTER {
        let mut machine = Ours::new();
        machine.outb(FCR, 0x01);
        machine.outb(MCR, 0x08);
        machine.port.line_mut().room = Some(1);
        machine.port.write_string(THR, b"abc");
        clear(&mut machine);
        assert_eq!(machine.port.lost(), 2);
        assert_eq!(machine.inb(LSR), 0x60, "nothing waits and nothing came in");
        machine.port.line_mut().room = None;
        machine.port.pump();
        assert_eq!(machine.printed(), b"a");
    }
}

#[test]
fn output_that_the_line_takes_by_now_leaves_before_it_would_be_cleared() {
    for clear in CLEARS_THE_TRANSMITTER {
        let mut machine = Ours::new();
        machine.outb(FCR, 0x01);
        machine.port.line_mut().room = Some(0);
        machine.port.write_string(THR, b"abc");
        machine.port.line_mut().room = Some(2);
        clear(&mut machine);
        assert_eq!(machine.printed(), b"ab");
        assert_eq!(machine.port.lost(), 1);
    }
}

#[test]
fn a_transmitter_that_loopback_clears_raises_its_interrupt() {
    let mut machine = Ours::new();
    machine.outb(MCR, 0x08);
    machine.outb(IER, 0x02);
    machine.port.line_mut().room = Some(0);
    machine.outb(THR, b'a');
    assert!(!machine.pin.is_high());
    machine.outb(MCR, 0x18);
    assert!(machine.pin.is_high());
    assert_eq!(machine.inb(IIR), 0x02);
}

#[test]
fn a_line_that_claims_too_much_is_believed_as_far_as_possible() {
    struct Boastful(usize);
    impl Line for Boastful {
        fn transmit(&mut self, bytes: &[u8]) -> usize {
            self.0 += bytes.len();
            usize::MAX
        }
    }
    let mut port = SerialPort::new((), Boastful(0));
    port.write(THR, 1);
    port.write_string(THR, &[2, 3]);
    port.write(IER, 0x02);
    port.write_string(THR, &[4, 5, 6]);
    port.write(THR, 7);
    assert_eq!(port.line().0, 7);
    assert_eq!(port.read(LSR), 0x60);
}

#[test]
fn a_string_reaches_the_line_in_one_call() {
    #[derive(Default)]
    struct Calls(Vec<usize>);
    impl Line for Calls {
        fn transmit(&mut self, bytes: &[u8]) -> usize {
            self.0.push(bytes.len());
            bytes.len()
        }
    }
    let mut port = SerialPort::new((), Calls::default());
    port.write_string(THR, &[b'x'; 4096]);
    port.write(IER, 0x02);
    port.write_string(THR, &[b'y'; 100]);
    assert_eq!(port.line().0, [4096, 100]);
}

#[test]
fn outputs_are_told_when_they_change_and_only_then() {
    #[derive(Default)]
    struct Recorder(Vec<Outputs>);
    impl Line for Recorder {
        fn transmit(&mut self, bytes: &[u8]) -> usize {
            bytes.len()
        }
        fn outputs(&mut self, outputs: Outputs) {
            self.0.push(outputs);
        }
    }
    let none = Outputs::default();
    let mut port = SerialPort::new((), Recorder::default());
    for mcr in [0x00, 0x01, 0x01, 0x03, 0x13, 0x1f, 0x00] {
        port.write(MCR, mcr);
    }
    port.write(LCR, 0x40);
    port.reset();
    let dtr = Outputs { dtr: true, ..none };
    let both = Outputs { rts: true, ..dtr };
    let broken = Outputs {
        break_: true,
        ..none
    };
    assert_eq!(port.line().0, [dtr, both, none, broken, none]);
}

#[test]
fn outputs_are_told_before_the_bytes_that_leave_under_them() {
    #[derive(Debug, PartialEq)]
    enum Seen {
        Dtr(bool),
        Bytes(Vec<u8>),
    }
    #[derive(Default)]
    struct Recorder(Vec<Seen>);
    impl Line for Recorder {
        fn transmit(&mut self, bytes: &[u8]) -> usize {
            self.0.push(Seen::Bytes(bytes.to_vec()));
            bytes.len()
        }
        fn outputs(&mut self, outputs: Outputs) {
            self.0.push(Seen::Dtr(outputs.dtr));
        }
    }
    let config = Config {
        auto_flow_control: true,
        ..Config::default()
    };
    let mut port = SerialPort::with_config(config, (), Recorder::default());
    port.set_modem_inputs(ModemInputs {
        cts: false,
        ..ModemInputs::default()
    });
    port.write(FCR, 0x01);
    port.write(MCR, 0x20);
    port.write(THR, b'x');
    assert_eq!(port.line().0, [], "held: nobody is clear to send");
    port.write(MCR, 0x01);
    assert_eq!(port.line().0, [Seen::Dtr(true), Seen::Bytes(b"x".to_vec())]);
}

#[test]
fn a_reset_lowers_the_interrupt_and_keeps_input_that_waits() {
    let mut machine = Ours::new();
    machine.outb(FCR, 0x01);
    machine.outb(MCR, 0x0b);
    machine.outb(IER, 0x0f);
    machine.type_in(b"ab");
    assert!(machine.pin.is_high());
    machine.port.reset();
    assert!(!machine.pin.is_high());
    // One was in the FIFO and is gone with it; the other is in RBR.
    assert_eq!([machine.inb(RBR), machine.inb(LSR)], [b'b', 0x60]);
}

#[test]
fn pulse_by_default_is_an_edge() {
    #[derive(Default)]
    struct Edges(Vec<bool>);
    impl InterruptLine for Edges {
        fn assert(&mut self) {
            self.0.push(true);
        }
        fn deassert(&mut self) {
            self.0.push(false);
        }
    }
    let mut port = SerialPort::new(Edges::default(), ());
    port.write(MCR, 0x08);
    port.write(IER, 0x02);
    assert_eq!(port.interrupt().0, [true]);
    port.write(THR, b'x');
    assert_eq!(
        port.interrupt().0,
        [true, false, true],
        "the chip lowers it, sends, and raises it"
    );
    port.read(IIR);
    assert_eq!(port.interrupt().0, [true, false, true, false]);
    port.write_string(THR, b"xyz");
    assert_eq!(port.interrupt().0, [true, false, true, false, true]);
    port.write_string(THR, b"xyz");
    assert_eq!(port.interrupt().0.len(), 7, "one edge for the string");
}

#[test]
fn serving_one_cause_announces_the_next_without_moving_the_level() {
    #[derive(Default)]
    struct Told(Vec<&'static str>);
    impl InterruptLine for Told {
        fn assert(&mut self) {
            self.0.push("assert");
        }
        fn deassert(&mut self) {
            self.0.push("deassert");
        }
        fn next_cause(&mut self) {
            self.0.push("next");
        }
    }
    let mut port = SerialPort::new(Told::default(), ());
    port.write(MCR, 0x08);
    port.write(IER, 0x0f);
    port.set_modem_inputs(ModemInputs {
        dcd: false,
        ..ModemInputs::default()
    });
    port.receive(Character::BREAK);
    // Line status, data, THRE, modem status; MSR is served out of turn.
    for register in [LSR, MSR, RBR, IIR] {
        port.read(register);
        port.read(LCR);
    }
    assert_eq!(
        port.interrupt().0,
        ["assert", "next", "next", "next", "deassert"]
    );
}

/// Everything that can happen to a port.
#[derive(Clone, Debug)]
enum Event {
    Read(u8),
    Write(u8, u8),
    Type(Vec<u8>),
    Break,
    Modem(u8),
    Room(Option<usize>),
    Pump,
    Reset,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0_u8..9).prop_map(Event::Read),
        8 => (0_u8..9, prop_oneof![any::<u8>(), 0_u8..16]).prop_map(|(offset, value)| Event::Write(offset, value)),
        2 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Event::Type),
        1 => Just(Event::Break),
        1 => any::<u8>().prop_map(Event::Modem),
        1 => prop::option::of(0_usize..20).prop_map(Event::Room),
        1 => Just(Event::Pump),
        1 => Just(Event::Reset),
    ]
}

fn happen(machine: &mut Ours, event: &Event) -> Option<u8> {
    match event {
        Event::Read(offset) => return Some(machine.inb(*offset)),
        Event::Write(offset, value) => machine.outb(*offset, *value),
        Event::Type(keys) => machine.type_in(keys),
        Event::Break => {
            machine.port.line_mut().keyboard.push_back(Character::BREAK);
            machine.port.pump();
        }
        Event::Modem(bits) => machine.port.set_modem_inputs(ModemInputs {
            cts: bits & 1 != 0,
            dsr: bits & 2 != 0,
            ri: bits & 4 != 0,
            dcd: bits & 8 != 0,
        }),
        Event::Room(room) => {
            machine.port.line_mut().room = *room;
            machine.port.pump();
        }
        Event::Pump => machine.port.pump(),
        Event::Reset => machine.port.reset(),
    }
    None
}

proptest! {
    /// [`machine::Pin`] panics if it is told a level that it has.
    #[test]
    fn the_pin_always_stands_where_the_chip_says(events in prop::collection::vec(event(), 1..200)) {
        let mut machine = Ours::new();
        for event in &events {
            happen(&mut machine, event);
            prop_assert_eq!(machine.pin.is_high(), machine.port.uart().interrupt_asserted());
        }
    }

    /// In any state, a string is its accesses one after another, except that edges within it may be
    /// merged.
    #[test]
    fn a_string_is_its_accesses_one_after_another(
        events in prop::collection::vec(event(), 0..60),
        offset in 0_u8..9,
        data in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let (mut whole, mut single) = (Ours::new(), Ours::new());
        for event in &events {
            happen(&mut whole, event);
            happen(&mut single, event);
        }
        let edges = single.pin.edges();

        whole.port.write_string(offset, &data);
        for &byte in &data {
            single.outb(offset, byte);
        }
        let (mut read_whole, mut read_single) = (data.clone(), data.clone());
        whole.port.read_string(offset, &mut read_whole);
        for byte in &mut read_single {
            *byte = single.inb(offset);
        }

        prop_assert_eq!(read_whole, read_single);
        prop_assert_eq!(whole.port.uart(), single.port.uart());
        prop_assert_eq!(whole.printed(), single.printed());
        prop_assert_eq!(whole.port.lost(), single.port.lost());
        prop_assert_eq!(whole.pin.is_high(), single.pin.is_high());
        prop_assert!(whole.pin.edges() - edges <= 2);
        prop_assert!(whole.pin.edges() <= single.pin.edges());
    }

    /// Whatever a guest sends to the line is printed, waits, or is counted.
    #[test]
    fn no_output_vanishes_uncounted(events in prop::collection::vec(event(), 1..200)) {
        let mut machine = Ours::new();
        let mut sent = 0;
        for event in &events {
            if let Event::Write(THR, _) = event {
                // Not with DLAB (the divisor latch), in a break, or in loopback.
                sent += usize::from(machine.inb(LCR) & 0xc0 == 0 && machine.inb(MCR) & 0x10 == 0);
            }
            happen(&mut machine, event);
            let waiting = machine.port.uart().outgoing().len();
            let lost = usize::try_from(machine.port.lost()).unwrap();
            prop_assert_eq!(machine.printed().len() + waiting + lost, sent, "{:?}", event);
        }
    }

    /// What is typed arrives in order, less what the guest itself threw away by resets of chip or
    /// FIFO.
    #[test]
    fn nothing_is_lost_between_the_line_and_a_guest_that_only_reads(
        keys in prop::collection::vec(any::<u8>(), 0..200),
        fcr in prop::sample::select(vec![0x00, 0x01, 0x41, 0x81, 0xc1]),
        polls in prop::collection::vec(any::<bool>(), 0..100),
    ) {
        let mut machine = Ours::new();
        machine.outb(FCR, fcr);
        let mut read = Vec::new();
        let mut keys_left = keys.chunks(7);
        for poll in polls {
            if poll {
                machine.type_in(keys_left.next().unwrap_or_default());
            } else if machine.inb(LSR) & 1 != 0 {
                read.push(machine.inb(RBR));
            }
        }
        for chunk in keys_left {
            machine.type_in(chunk);
        }
        for _ in 0..=keys.len() {
            if machine.inb(LSR) & 1 != 0 {
                read.push(machine.inb(RBR));
            }
        }
        prop_assert_eq!(read, keys);
    }
}

/// What is not known before the VMM runs is chosen then: any line, any interrupt.
#[test]
fn boxed_lines_work_as_those_inside() {
    let mut machine = Ours::new();
    let pin = machine.pin.clone();
    let lines: (Box<dyn InterruptLine>, Box<dyn Line>) = (Box::new(pin.clone()), Box::new(()));
    let mut port = SerialPort::new(lines.0, lines.1);
    port.write(MCR, 0x08);
    port.write(IER, 0x02);
    assert!(pin.is_high());
    let edges = pin.edges();
    port.write(THR, b'x');
    assert_eq!(pin.edges(), edges + 1, "a pulse arrives as one");
    port.read(IIR);
    assert!(!pin.is_high());

    let line: &mut dyn Line = machine.port.line_mut();
    let mut port = SerialPort::new((), line);
    port.write(THR, b'x');
    assert_eq!(machine.printed(), b"x");
}
