//! Loopback (section 8.8, bit 4) and break (section 8.1, bit 6).

mod machine;

use machine::{Ours, Port};
use vm_uart::registers::{FCR, IER, IIR, LCR, LSR, MCR, MSR, RBR, THR};
use vm_uart::{Config, Outputs, Received, Uart};

fn looped(fcr: u8) -> Uart {
    let mut uart = Uart::new(Config::default());
    uart.write(LCR, 0x03);
    uart.write(FCR, fcr);
    uart.write(MCR, 0x10);
    uart
}

#[test]
fn it_holds_exactly_sixteen() {
    let mut uart = looped(0x01);
    for byte in 0..20 {
        assert_eq!(
            uart.write(THR, byte),
            0,
            "the transmitter itself never fills"
        );
        let overrun = if byte < 16 { 0 } else { 0x02 };
        assert_eq!(uart.read(LSR), 0x61 | overrun);
    }
    let read: Vec<u8> = (0..16).map(|_| uart.read(RBR)).collect();
    assert_eq!(read, (0..16).collect::<Vec<u8>>());
    assert_eq!(uart.read(LSR), 0x60);
}

#[test]
fn without_fifo_it_holds_one() {
    let mut uart = looped(0x00);
    uart.write(THR, b'a');
    uart.write(THR, b'b');
    assert_eq!(uart.read(LSR), 0x63);
    assert_eq!(uart.read(RBR), b'b');
}

#[test]
fn outputs_become_inputs_for_every_mcr() {
    for mcr in 0x10..0x20 {
        let mut uart = looped(0x01);
        uart.write(MCR, mcr);
        let (dtr, rts, out1, out2) = (mcr & 1, mcr >> 1 & 1, mcr >> 2 & 1, mcr >> 3 & 1);
        assert_eq!(
            uart.read(MSR) >> 4,
            rts | dtr << 1 | out1 << 2 | out2 << 3,
            "MCR {mcr:02x}"
        );
        assert_eq!(uart.outputs(), Outputs::default(), "inactive outside");
    }
}

#[test]
fn the_probes_of_linux_and_reactos() {
    for (mcr, msr) in [(0x1a, 0x90), (0x10, 0x00), (0x1f, 0xf0)] {
        let mut uart = looped(0x00);
        uart.write(MCR, mcr);
        assert_eq!(uart.read(MSR) & 0xf0, msr);
    }
}

#[test]
fn a_change_of_mcr_shows_as_deltas_and_interrupts() {
    let mut uart = looped(0x01);
    uart.write(MCR, 0x18);
    uart.read(MSR);
    uart.write(IER, 0x08);
    assert_eq!(uart.read(IIR), 0xc1);
    for (mcr, delta) in [
        (0x1a, 0x01),
        (0x1b, 0x02),
        (0x1f, 0x00),
        (0x1b, 0x04),
        (0x13, 0x08),
    ] {
        uart.write(MCR, mcr);
        assert_eq!(
            uart.read(IIR),
            if delta == 0 { 0xc1 } else { 0xc0 },
            "MCR {mcr:02x}"
        );
        assert_eq!(uart.read(MSR) & 0x0f, delta, "MCR {mcr:02x}");
    }
}

#[test]
fn receive_and_transmit_interrupts_work() {
    let mut uart = looped(0x81);
    uart.write(MCR, 0x18);
    uart.write(IER, 0x03);
    assert_eq!(uart.read(IIR), 0xc2);
    assert!(!uart.interrupt_asserted());
    for _ in 0..8 {
        assert_eq!(uart.read(IIR) & 0x04, 0);
        uart.write(THR, b'x');
    }
    assert!(uart.interrupt_asserted());
    assert_eq!(uart.read(IIR), 0xc4);
}

#[test]
fn the_outside_is_cut_off_and_its_input_waits() {
    let mut uart = looped(0x01);
    assert_eq!(uart.receive(b'x'.into()), Received::CutOff);
    assert_eq!(uart.read(LSR), 0x60);

    let mut machine = Ours::new();
    machine.outb(LCR, 0x03);
    machine.outb(FCR, 0x01);
    machine.outb(MCR, 0x10);
    machine.type_in(b"typed");
    machine.outb(THR, b'!');
    assert_eq!(machine.inb(RBR), b'!');
    assert_eq!(machine.inb(LSR), 0x60);
    assert!(machine.printed().is_empty());
    machine.outb(MCR, 0x00);
    let mut read = Vec::new();
    while machine.inb(LSR) & 1 != 0 {
        read.push(machine.inb(RBR));
    }
    assert_eq!(read, b"typed", "nothing was lost");
}

#[test]
fn a_character_timeout_comes_in_loopback_too() {
    let mut machine = Ours::new();
    machine.outb(FCR, 0x81);
    machine.outb(MCR, 0x18);
    machine.outb(IER, 0x01);
    machine.outb(LCR, 0x03);
    machine.outb(THR, b'x');
    assert!(machine.pin.is_high());
    assert_eq!(machine.inb(IIR), 0xcc);
}

#[test]
fn words_shorter_than_a_byte_lose_their_upper_bits() {
    for (lcr, mask) in [(0x00, 0x1f), (0x01, 0x3f), (0x02, 0x7f), (0x03, 0xff)] {
        let mut uart = looped(0x01);
        uart.write(LCR, lcr);
        uart.write(THR, 0xe5);
        assert_eq!(uart.read(RBR), 0xe5 & mask);
    }
}

#[test]
fn bytes_that_waited_for_the_line_are_lost_when_loopback_begins_and_do_not_come_back() {
    let mut uart = Uart::new(Config::default());
    uart.write(LCR, 0x03);
    uart.write(FCR, 0x01);
    uart.write(THR, b'w');
    assert_eq!(uart.outgoing(), b"w");
    assert_eq!(uart.write(MCR, 0x10), 1);
    assert_eq!(uart.read(LSR), 0x60);
    uart.write(MCR, 0x00);
    assert!(uart.outgoing().is_empty());
}

#[test]
fn a_break_is_received_as_one() {
    let mut uart = looped(0x01);
    uart.write(LCR, 0x43);
    assert_eq!(uart.read(LSR), 0xf9);
    uart.write(LCR, 0x43);
    uart.write(THR, b'x');
    assert_eq!(uart.read(RBR), 0);
    assert_eq!(
        uart.read(LSR),
        0x60,
        "one break, and what is sent meanwhile is not seen"
    );
    uart.write(LCR, 0x03);
    uart.write(THR, b'y');
    assert_eq!(uart.read(RBR), b'y');
}

#[test]
fn a_break_outside_is_shown_to_the_line_and_swallows_what_is_sent() {
    let mut machine = Ours::new();
    machine.outb(LCR, 0x03);
    machine.outb(THR, b'a');
    machine.outb(LCR, 0x43);
    assert!(
        machine
            .port
            .line()
            .outputs
            .is_some_and(|outputs| outputs.break_)
    );
    machine.outb(IER, 0x02);
    machine.outb(MCR, 0x08);
    machine.inb(IIR);
    machine.outb(THR, 0);
    assert_eq!(machine.inb(LSR), 0x60);
    assert_eq!(machine.inb(IIR), 0x02, "it times the break");
    machine.outb(LCR, 0x03);
    machine.outb(THR, b'b');
    assert_eq!(machine.printed(), b"ab");
    assert!(
        machine
            .port
            .line()
            .outputs
            .is_some_and(|outputs| !outputs.break_)
    );
}

#[test]
fn in_loopback_the_line_outside_sees_no_break() {
    let mut uart = looped(0x01);
    uart.write(LCR, 0x43);
    assert!(!uart.outputs().break_);
    uart.write(MCR, 0x00);
    assert!(uart.outputs().break_);
}
