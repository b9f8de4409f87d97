//! What the traces and the model have found in the device, each case reduced to its few accesses.

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
    port.write(4, 0x08); // OUT2
    port.write(1, 0x02); // THRE interrupt, at once
    assert_eq!(port.interrupt().0, 1);
    port.write(3, 0x80); // DLAB
    port.write(0, 0x0c);
    assert_eq!(port.interrupt().0, 1);
    assert_eq!(port.read(2), 0x02);
}

#[test]
fn a_lost_character_restarts_the_timeout_like_any_that_arrives() {
    let config = Config {
        character_timeout: CharacterTimeout::FourCharacters,
        ..Config::default()
    };
    let mut port = SerialPort::with_config(config, (), ());
    port.write(3, 0x83);
    port.write(0, 1); // 115,200 baud: four characters last 347.2 µs
    port.write(3, 0x03);
    port.write(2, 0xc1);
    port.write(1, 0x01);
    for byte in 0..16 {
        assert_eq!(port.receive(byte.into()), Received::Stored);
    }
    port.advance(300_000);
    assert_eq!(port.receive(Character::BREAK), Received::Overrun);
    port.advance(300_000);
    port.write(2, 0xc1);
    assert_eq!(port.uart().until_timeout(), Some(47_222));
}

#[test]
fn without_a_clock_looped_characters_below_the_trigger_level_are_reported() {
    let mut port = SerialPort::new((), ());
    port.write(3, 0x03);
    port.write(2, 0xc1); // trigger level 14
    port.write(1, 0x01);
    port.write(4, 0x10);
    port.write(0, b'a');
    assert_eq!(port.read(2), 0xcc);
    assert_eq!(port.read(0), b'a');
    assert_eq!(port.read(2), 0xc1);
}
