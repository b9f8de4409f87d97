//! Input that the owner pushes: in batches, with a signal when there is room again, and counted
//! where it is lost.

mod machine;

use machine::{FCR, IER, LCR, LSR, MCR, Ours, Port, RBR};
use proptest::prelude::*;
use vm_uart::{Character, Config, Line, ReceiveGate, Received, SerialPort};

/// Counts the signals that there is room again.
#[derive(Default)]
struct Pusher {
    waiting: Vec<u8>,
    rung: usize,
}

impl Line for Pusher {
    fn transmit(&mut self, bytes: &[u8]) -> usize {
        bytes.len()
    }

    fn receive(&mut self) -> Option<Character> {
        self.waiting.pop().map(Character::from)
    }

    fn room_again(&mut self) {
        self.rung += 1;
    }
}

fn port(fcr: u8) -> SerialPort<(), Pusher> {
    let mut port = SerialPort::new((), Pusher::default());
    port.write(FCR, fcr);
    port
}

#[test]
fn a_batch_fills_the_receiver_to_its_level_and_the_rest_is_not_taken() {
    for (fcr, level) in [(0x00, 1), (0x01, 1), (0x41, 4), (0x81, 8), (0xc1, 14)] {
        let mut port = port(fcr);
        assert_eq!(port.receive_bytes(&[7; 20]), level);
        assert_eq!(port.receive_bytes(&[7; 20]), 0);
        assert_eq!(port.uart().received().count(), level);
        assert_eq!(port.missed(), 0);
    }
}

#[test]
fn a_batch_moves_the_interrupt_line_once() {
    let mut machine = Ours::new();
    for (register, value) in [(FCR, 0xc1), (MCR, 0x08), (IER, 0x01)] {
        machine.outb(register, value);
    }
    assert_eq!(machine.port.receive_bytes(b"hello"), 5);
    assert_eq!(machine.edges(), 1);
    assert!(machine.pin.is_high());
}

#[test]
fn what_waits_in_the_line_goes_before_a_batch() {
    let mut port = port(0x41);
    port.line_mut().waiting = b"ba".to_vec();
    assert_eq!(port.receive_bytes(b"cdef"), 2);
    let read: Vec<u8> = (0..4).map(|_| port.read(RBR)).collect();
    assert_eq!(read, b"abcd");
}

#[test]
fn room_is_told_once_for_each_refusal_and_to_nobody_else() {
    let mut port = port(0x41);
    assert_eq!(port.receive_bytes(b"abcd"), 4);
    port.read(RBR);
    assert_eq!(port.line().rung, 0, "nothing was refused");
    assert_eq!(port.receive_bytes(b"ef"), 1);
    port.read(LSR);
    assert_eq!(port.line().rung, 0, "there is no room yet");
    port.read(RBR);
    port.read(RBR);
    assert_eq!(port.line().rung, 1, "once");
    assert_eq!(port.receive_bytes(b"fg"), 2);
    port.read(RBR);
    assert_eq!(port.line().rung, 1, "nothing was refused since");
}

#[test]
fn room_is_told_when_loopback_ends_when_the_fifo_is_cleared_and_when_the_gate_opens() {
    let mut port = port(0x41);
    port.write(MCR, 0x10);
    assert_eq!(port.receive_bytes(b"a"), 0);
    port.write(MCR, 0x00);
    assert_eq!(port.line().rung, 1);

    port.receive_bytes(b"abcde");
    port.write(FCR, 0x43);
    port.read(LSR);
    assert_eq!(port.line().rung, 2);

    let config = Config {
        receive_gate: ReceiveGate::UntilInterruptEnabled,
        ..Config::default()
    };
    let mut port = SerialPort::with_config(config, (), Pusher::default());
    port.write(MCR, 0x09);
    assert_eq!(port.receive_bytes(b"a"), 0);
    port.write(IER, 0x01);
    assert_eq!(port.line().rung, 1);
}

#[test]
fn characters_and_breaks_that_never_arrive_are_counted() {
    let mut port = port(0x01);
    for _ in 0..16 {
        assert_eq!(port.receive(b'a'.into()), Received::Stored);
    }
    assert_eq!(port.missed(), 0);
    assert_eq!(port.receive(Character::BREAK), Received::Overrun);
    port.write(MCR, 0x10);
    assert_eq!(port.receive(Character::BREAK), Received::CutOff);
    assert_eq!(port.missed(), 2);
}

#[test]
fn looking_at_lsr_leaves_its_errors_where_they_are() {
    let mut machine = Ours::new();
    machine.outb(LCR, 0x03);
    machine.outb(FCR, 0x01);
    machine.port.receive(Character::BREAK);
    let seen = machine.port.line_status().bits();
    assert_eq!(seen, 0xf9);
    assert_eq!(machine.port.uart().line_status().bits(), seen);
    assert_eq!(machine.inb(LSR), seen);
    assert_eq!(machine.port.line_status().bits(), 0x61);
}

proptest! {
    /// A pusher that offers again when it is told of room loses nothing and never waits for ever.
    #[test]
    fn all_that_is_pushed_arrives(
        keys in prop::collection::vec(any::<u8>(), 0..200),
        fcr in prop::sample::select(vec![0x00, 0x01, 0x41, 0x81, 0xc1]),
    ) {
        let mut port = port(fcr);
        let mut pushed = port.receive_bytes(&keys);
        let mut read = Vec::new();
        for _ in 0..2 * keys.len() {
            if port.read(LSR) & 1 != 0 {
                read.push(port.read(RBR));
            }
            if std::mem::take(&mut port.line_mut().rung) > 0 {
                pushed += port.receive_bytes(&keys[pushed..]);
            }
        }
        prop_assert_eq!(read, keys);
    }
}
