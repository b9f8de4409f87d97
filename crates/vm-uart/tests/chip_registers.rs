//! Registers: which bits stay, which offsets reach what, and what power-on and master reset leave
//! (Tables I and II, section 8).

use vm_uart::registers::{DLL, DLM, FCR, IER, IIR, LCR, LSR, MCR, MSR, RBR, SCR, THR};
use vm_uart::{Config, ModemInputs, PowerOn, Uart};

fn chip() -> Uart {
    Uart::new(Config::default())
}

#[test]
fn power_on_values() {
    let mut uart = chip();
    let read: Vec<u8> = (0..8).map(|offset| uart.read(offset)).collect();
    assert_eq!(read, [0x00, 0x00, 0x01, 0x00, 0x00, 0x60, 0xb0, 0x00]);
    uart.write(LCR, 0x80);
    assert_eq!((uart.read(DLL), uart.read(DLM)), (0x0c, 0x00));
    assert!(!uart.interrupt_asserted());
}

#[test]
fn a_programmed_port_comes_up_with_eight_bits_and_out2_after_power_on_and_reset() {
    let config = Config {
        power_on: PowerOn::Programmed,
        ..Config::default()
    };
    let mut uart = Uart::new(config);
    for _ in 0..2 {
        let read: Vec<u8> = (0..8).map(|offset| uart.read(offset)).collect();
        assert_eq!(read, [0x00, 0x00, 0x01, 0x03, 0x08, 0x60, 0xb0, 0x00]);
        assert!(uart.outputs().out2);
        uart.write(LCR, 0x1b);
        uart.write(MCR, 0x03);
        uart.reset();
    }
}

#[test]
fn every_byte_written_keeps_exactly_the_bits_the_chip_has() {
    for value in 0..=0xff {
        for (offset, kept) in [(IER, 0x0f), (LCR, 0xff), (MCR, 0x1f), (SCR, 0xff)] {
            let mut uart = chip();
            uart.write(offset, value);
            assert_eq!(uart.read(offset), value & kept, "offset {offset}");
        }
    }
}

#[test]
fn status_registers_cannot_be_written() {
    for value in 0..=0xff {
        let mut uart = chip();
        let before = uart.clone();
        uart.write(LSR, value);
        uart.write(MSR, value);
        assert_eq!(uart, before);
    }
}

#[test]
fn the_divisor_latch_hides_rbr_thr_and_ier_and_nothing_else() {
    let mut uart = chip();
    uart.write(IER, 0x0d);
    uart.receive(b'x'.into());
    uart.write(LCR, 0x83);
    uart.write(DLL, 0x34);
    uart.write(DLM, 0x12);
    assert_eq!((uart.read(DLL), uart.read(DLM)), (0x34, 0x12));
    assert!(uart.outgoing().is_empty());
    uart.write(SCR, 0x5a);
    assert_eq!(uart.read(SCR), 0x5a);
    assert_eq!(uart.read(LCR), 0x83);
    assert_eq!(uart.read(LSR), 0x61);
    assert_eq!(uart.read(IIR), 0x04);
    uart.write(LCR, 0x03);
    assert_eq!(uart.read(IER), 0x0d);
    assert_eq!(uart.read(RBR), b'x');
}

#[test]
fn fcr_is_reached_under_dlab() {
    // Linux writes LCR 0xbf, then offset 2: on this chip that is FCR.
    let mut uart = chip();
    uart.write(LCR, 0xbf);
    uart.write(FCR, 0x01);
    assert_eq!(uart.read(IIR), 0xc1);
    uart.write(FCR, 0x00);
    assert_eq!(uart.read(IIR), 0x01);
}

#[test]
fn fcr_bit_5_of_the_tl16c750_is_not_there() {
    let mut uart = chip();
    uart.write(LCR, 0x80);
    uart.write(FCR, 0x21);
    assert_eq!(uart.read(IIR) & 0x20, 0);
}

#[test]
fn offsets_beyond_the_eighth_float_and_take_nothing() {
    let mut uart = chip();
    let before = uart.clone();
    for offset in 8..=0xff {
        uart.write(offset, 0x55);
        assert_eq!(uart.read(offset), 0xff);
    }
    assert_eq!(uart, before);
}

#[test]
fn msr_tells_changes_once_and_of_ri_the_trailing_edge_only() {
    let mut uart = chip();
    let quiet = ModemInputs {
        cts: false,
        dsr: false,
        ri: false,
        dcd: false,
    };
    for (inputs, raised, dropped) in [
        (ModemInputs { cts: true, ..quiet }, 0x11, 0x01),
        (ModemInputs { dsr: true, ..quiet }, 0x22, 0x02),
        (ModemInputs { ri: true, ..quiet }, 0x40, 0x04),
        (ModemInputs { dcd: true, ..quiet }, 0x88, 0x08),
    ] {
        uart.set_modem_inputs(quiet);
        uart.read(MSR);
        uart.set_modem_inputs(inputs);
        assert_eq!(uart.read(MSR), raised);
        assert_eq!(
            uart.read(MSR),
            raised & 0xf0,
            "a second read finds no change"
        );
        uart.set_modem_inputs(inputs);
        assert_eq!(uart.read(MSR), raised & 0xf0, "the same again is no change");
        uart.set_modem_inputs(quiet);
        assert_eq!(uart.read(MSR), dropped);
    }
}

#[test]
fn deltas_gather_until_they_are_read() {
    let mut uart = chip();
    uart.set_modem_inputs(ModemInputs {
        cts: false,
        ..ModemInputs::default()
    });
    uart.set_modem_inputs(ModemInputs {
        dcd: false,
        ..ModemInputs::default()
    });
    assert_eq!(uart.read(MSR), 0x39);
}

#[test]
fn a_master_reset_spares_the_divisor_latch_and_what_comes_from_outside() {
    let mut uart = chip();
    uart.receive(b'o'.into());
    uart.write(LCR, 0x83);
    uart.write(DLL, 0x01);
    for (offset, value) in [
        (LCR, 0x1b),
        (IER, 0x0f),
        (FCR, 0xc1),
        (MCR, 0x0f),
        (SCR, 0x77),
    ] {
        uart.write(offset, value);
    }
    for byte in 0..17 {
        uart.receive(byte.into());
    }
    uart.write(THR, b'x');
    let inputs = ModemInputs {
        cts: false,
        ..ModemInputs::default()
    };
    uart.set_modem_inputs(inputs);
    uart.reset();

    let mut fresh = chip();
    fresh.receive(b'o'.into());
    fresh.read(RBR);
    fresh.write(LCR, 0x80);
    fresh.write(DLL, 0x01);
    fresh.write(LCR, 0x00);
    fresh.set_modem_inputs(inputs);
    fresh.read(MSR);
    assert_eq!(uart, fresh);
}
