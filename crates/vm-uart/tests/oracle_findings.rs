//! What the traces and the model have found in the device, each case reduced to its few accesses.

mod bits;

use bits::{IER_RECEIVED, IER_THRE, IIR_THRE, LCR_8N1, LCR_DLAB, MCR_LOOP, MCR_OUT2};
use vm_uart::registers::{DLL, FCR, IER, IIR, LCR, MCR, RBR, THR};
use vm_uart::{Character, CharacterTimeout, Config, InterruptLine, Received, SerialPort};

/// Counts every movement of the line.
#[derive(Default)]
struct Movements(usize);

impl InterruptLine for Movements {
    fn assert(&mut self) {
        self.0 += 1;
    }

    fn deassert(&mut self) {
        self.0 += 1;
    }

    fn next_cause(&mut self) {
        self.0 += 1;
    }
}

#[test]
fn a_divisor_latch_write_is_no_thr_write() {
    let mut port = SerialPort::new(Movements::default(), ());
    port.write(MCR, MCR_OUT2);
    port.write(IER, IER_THRE); // an interrupt at once
    assert_eq!(port.interrupt().0, 1);
    port.write(LCR, LCR_DLAB);
    port.write(DLL, 0x0c);
    assert_eq!(port.interrupt().0, 1);
    assert_eq!(port.read(IIR), IIR_THRE);
}

#[test]
fn a_lost_character_restarts_the_timeout_like_any_that_arrives() {
    let config = Config {
        character_timeout: CharacterTimeout::FourCharacters,
        ..Config::default()
    };
    let mut port = SerialPort::with_config(config, (), ());
    port.write(LCR, LCR_DLAB | LCR_8N1);
    port.write(DLL, 1); // 115,200 baud: four characters last 347.2 µs
    port.write(LCR, LCR_8N1);
    port.write(FCR, 0xc1);
    port.write(IER, IER_RECEIVED);
    for byte in 0..16 {
        assert_eq!(port.receive(byte.into()), Received::Stored);
    }
    port.advance(300_000);
    assert_eq!(port.receive(Character::BREAK), Received::Overrun);
    port.advance(300_000);
    port.write(FCR, 0xc1);
    assert_eq!(port.uart().until_timeout(), Some(47_222));
}

#[test]
fn without_a_clock_looped_characters_below_the_trigger_level_are_reported() {
    let mut port = SerialPort::new((), ());
    port.write(LCR, LCR_8N1);
    port.write(FCR, 0xc1); // trigger level 14
    port.write(IER, IER_RECEIVED);
    port.write(MCR, MCR_LOOP);
    port.write(THR, b'a');
    assert_eq!(port.read(IIR), 0xcc);
    assert_eq!(port.read(RBR), b'a');
    assert_eq!(port.read(IIR), 0xc1);
}
