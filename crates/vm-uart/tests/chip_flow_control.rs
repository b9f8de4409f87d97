//! The options of later chips: auto flow control (TL16C550C) and the receive gate; and that they
//! cannot be seen while off.

mod machine;

use machine::{MCR_AFE, MCR_RTS, Ours, Port};
use proptest::prelude::*;
use vm_uart::registers::{FCR, IER, IIR, LCR, LSR, MCR, MSR, RBR, THR};
use vm_uart::{Config, FifoDepth, ModemInputs, ReceiveAhead, ReceiveGate, Uart};

fn auto_flow() -> Config {
    Config {
        auto_flow_control: true,
        receive_ahead: ReceiveAhead::Full,
        ..Config::default()
    }
}

fn no_cts() -> ModemInputs {
    ModemInputs {
        cts: false,
        ..ModemInputs::default()
    }
}

#[test]
fn mcr_5_stays_only_where_it_was_built_in() {
    let mut plain = Uart::new(Config::default());
    plain.write(MCR, 0xff);
    assert_eq!(plain.read(MCR), 0x1f);
    let mut with = Uart::new(auto_flow());
    with.write(MCR, 0xff);
    assert_eq!(with.read(MCR), 0x3f);
}

#[test]
fn rts_falls_at_the_trigger_level_and_rises_when_the_fifo_is_empty() {
    for (fcr, level) in [(0x01, 1), (0x41, 4), (0x81, 8)] {
        let mut uart = Uart::new(auto_flow());
        uart.write(FCR, fcr);
        uart.write(MCR, MCR_AFE | MCR_RTS);
        for count in 1..=level {
            assert!(uart.outputs().rts && uart.wants_input());
            uart.receive(count.into());
        }
        for _ in 0..level {
            assert!(!uart.outputs().rts && !uart.wants_input());
            uart.read(RBR);
        }
        assert!(uart.outputs().rts);
    }
}

#[test]
fn at_level_14_rts_falls_when_full_and_rises_with_the_first_free_place() {
    let mut uart = Uart::new(auto_flow());
    uart.write(FCR, 0xc1);
    uart.write(MCR, MCR_AFE | MCR_RTS);
    for byte in 0..16 {
        assert!(uart.outputs().rts);
        uart.receive(byte.into());
    }
    assert!(!uart.outputs().rts);
    uart.read(RBR);
    assert!(uart.outputs().rts);
}

#[test]
fn without_cts_bytes_wait_and_with_it_they_go() {
    let mut machine = Ours::with_config(auto_flow());
    machine.outb(FCR, 0x01);
    machine.outb(MCR, MCR_AFE | MCR_RTS | 0x08);
    machine.port.set_modem_inputs(no_cts());
    machine.outb(IER, 0x02);
    machine.inb(IIR);
    machine.outb(THR, b'a');
    machine.port.write_string(THR, b"bc");
    assert_eq!(machine.inb(LSR) & 0x60, 0);
    assert!(machine.printed().is_empty());
    machine.port.set_modem_inputs(ModemInputs::default());
    assert_eq!(machine.printed(), b"abc");
    assert_eq!(machine.inb(IIR), 0xc2);
    let long = [b'x'; 100];
    machine.port.write_string(THR, &long);
    assert_eq!(machine.printed().len(), 103);
    assert_eq!(machine.port.lost(), 0);
}

#[test]
fn a_cts_that_steers_the_transmitter_does_not_interrupt() {
    let mut uart = Uart::new(auto_flow());
    uart.write(FCR, 0x01);
    uart.write(IER, 0x08);
    uart.write(MCR, MCR_AFE | 0x08);
    uart.set_modem_inputs(no_cts());
    assert!(!uart.interrupt_asserted());
    uart.write(MCR, 0x08);
    assert!(uart.interrupt_asserted(), "it is an ordinary CTS again");
}

#[test]
fn input_held_back_waits_in_the_line() {
    let mut machine = Ours::with_config(auto_flow());
    machine.outb(LCR, 0x03);
    machine.outb(FCR, 0x81);
    machine.outb(MCR, MCR_AFE | MCR_RTS);
    machine.type_in(&[7; 20]);
    assert_eq!(machine.port.line().keyboard.len(), 12);
    assert!(
        machine
            .port
            .line()
            .outputs
            .is_some_and(|outputs| !outputs.rts)
    );
    let mut count = 0;
    while machine.inb(LSR) & 1 != 0 {
        machine.inb(RBR);
        count += 1;
    }
    assert_eq!(count, 20);
    assert!(
        machine
            .port
            .line()
            .outputs
            .is_some_and(|outputs| outputs.rts)
    );
}

#[test]
fn in_loopback_a_full_receiver_holds_the_transmitter() {
    let mut uart = Uart::new(auto_flow());
    uart.write(LCR, 0x03);
    uart.write(FCR, 0x41);
    uart.write(MCR, MCR_AFE | MCR_RTS | 0x10);
    for byte in 0..10 {
        assert_eq!(uart.write(THR, byte), 0);
    }
    assert_eq!(uart.received().count(), 4);
    assert_eq!(uart.read(MSR) & 0x10, 0, "CTS is RTS");
    let ready = std::iter::from_fn(|| (uart.read(LSR) & 1 != 0).then(|| uart.read(RBR)));
    let read: Vec<u8> = ready.take(20).collect();
    assert_eq!(read, (0..10).collect::<Vec<u8>>());
    assert_eq!(uart.read(LSR), 0x60);
}

#[test]
fn the_receive_gate_opens_when_a_driver_listens_and_closes_when_it_stops() {
    let config = Config {
        receive_gate: ReceiveGate::UntilInterruptEnabled,
        ..Config::default()
    };
    let mut machine = Ours::with_config(config);
    machine.type_in(b"early");
    // What probes do: read RBR, set IER with the outputs down, raise the outputs with IER at 0.
    for (register, value) in [
        (IER, 0x0f),
        (IER, 0),
        (MCR, 0x0b),
        (FCR, 0x07),
        (MCR, 0x02),
        (IER, 0x01),
    ] {
        machine.outb(register, value);
        assert_eq!(machine.inb(LSR), 0x60);
        assert_eq!(machine.inb(RBR), 0);
    }
    machine.outb(MCR, 0x0b);
    let mut read = Vec::new();
    while machine.inb(LSR) & 1 != 0 {
        read.push(machine.inb(RBR));
    }
    assert_eq!(read, b"early");
    machine.outb(IER, 0x00);
    machine.type_in(b"late");
    assert_eq!(machine.inb(LSR), 0x60);
    machine.outb(IER, 0x05);
    assert_eq!(machine.inb(LSR), 0x61);
}

#[test]
fn input_is_let_in_to_the_trigger_level_or_to_the_brim_and_waits_beyond() {
    for (receive_ahead, fifo, inside) in [
        (ReceiveAhead::TriggerLevel, FifoDepth::Sixteen, 8),
        (ReceiveAhead::Full, FifoDepth::Sixteen, 16),
        (ReceiveAhead::TriggerLevel, FifoDepth::SixtyFour, 32),
        (ReceiveAhead::Full, FifoDepth::SixtyFour, 64),
    ] {
        let mut machine = Ours::with_config(Config {
            receive_ahead,
            fifo,
            ..Config::default()
        });
        machine.outb(FCR, 0x81);
        machine.type_in(&[1; 100]);
        assert_eq!(machine.port.uart().received().count(), inside);
        let mut count = 0;
        while machine.inb(LSR) & 1 != 0 {
            machine.inb(RBR);
            count += 1;
        }
        assert_eq!(count, 100);
    }
}

proptest! {
    /// A chip that has auto flow control but whose MCR.5 nobody sets is the chip without it.
    #[test]
    fn auto_flow_control_cannot_be_seen_until_it_is_used(
        accesses in prop::collection::vec((0_u8..8, any::<u8>(), any::<bool>(), 0_u8..4), 1..200),
    ) {
        let mut plain = Uart::new(Config::default());
        let mut with = Uart::new(Config { auto_flow_control: true, ..Config::default() });
        for (offset, value, write, outside) in accesses {
            for uart in [&mut plain, &mut with] {
                match outside {
                    0 => { uart.receive(value.into()); }
                    1 => uart.transmitted(usize::from(value & 3)),
                    _ => {}
                }
            }
            if write {
                let value = if offset == MCR { value & !MCR_AFE } else { value };
                prop_assert_eq!(plain.write(offset, value), with.write(offset, value));
            } else {
                prop_assert_eq!(plain.read(offset), with.read(offset));
            }
            prop_assert_eq!(plain.interrupt_asserted(), with.interrupt_asserted());
            prop_assert_eq!(plain.outputs(), with.outputs());
        }
        prop_assert_eq!(plain.snapshot(), with.snapshot());
    }
}
