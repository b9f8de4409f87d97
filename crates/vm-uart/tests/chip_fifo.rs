//! FIFOs, 16450 mode, and the errors that travel with a character (sections 8.4, 8.5 and 8.11).

mod bits;

use bits::{LSR_BI, LSR_DR, LSR_FE, LSR_FIFO_ERROR, LSR_OE, LSR_PE, LSR_TEMT, LSR_THRE};
use vm_uart::registers::{FCR, IER, IIR, InterruptId, LSR, MCR, RBR, THR};
use vm_uart::{Character, CharacterErrors, Config, FifoDepth, Received, Uart};

const EMPTY: u8 = LSR_THRE | LSR_TEMT;

fn chip(fcr: u8) -> Uart {
    let mut uart = Uart::new(Config::default());
    uart.write(MCR, 0x08);
    uart.write(FCR, fcr);
    uart
}

fn fill(uart: &mut Uart, bytes: impl IntoIterator<Item = u8>) {
    for byte in bytes {
        assert_eq!(uart.receive(byte.into()), Received::Stored);
    }
}

fn drain(uart: &mut Uart) -> Vec<u8> {
    let ready = std::iter::from_fn(|| (uart.read(LSR) & LSR_DR != 0).then(|| uart.read(RBR)));
    // One more than the deepest FIFO holds.
    ready.take(65).collect()
}

#[test]
fn data_available_stands_from_the_trigger_level_and_falls_below_it() {
    for (fcr, level) in [(0x01, 1), (0x41, 4), (0x81, 8), (0xc1, 14)] {
        let mut uart = chip(fcr);
        uart.write(IER, 0x01);
        for count in 1..=16 {
            fill(&mut uart, [count]);
            assert_eq!(
                uart.interrupt_asserted(),
                count >= level,
                "level {level}, {count} in"
            );
        }
        for left in (0..16).rev() {
            uart.read(RBR);
            assert_eq!(
                uart.interrupt_asserted(),
                left >= level,
                "level {level}, {left} left"
            );
        }
    }
}

#[test]
fn an_overrun_keeps_sixteen_loses_the_newest_and_tells_at_once() {
    let mut uart = chip(0xc1);
    uart.write(IER, 0x04);
    fill(&mut uart, 0..16);
    assert!(!uart.interrupt_asserted());
    assert_eq!(uart.receive(0xee.into()), Received::Overrun);
    assert_eq!(uart.read(IIR), 0xc6, "before anything is read");
    assert_eq!(uart.read(LSR), EMPTY | LSR_OE | LSR_DR);
    assert_eq!(uart.read(LSR), EMPTY | LSR_DR, "reading cleared it");
    assert_eq!(drain(&mut uart), (0..16).collect::<Vec<u8>>());
}

#[test]
fn without_fifo_a_newer_character_destroys_the_older() {
    let mut uart = chip(0x00);
    fill(&mut uart, [b'a']);
    assert_eq!(uart.receive(b'b'.into()), Received::Overrun);
    assert_eq!(uart.read(LSR), EMPTY | LSR_OE | LSR_DR);
    assert_eq!(uart.read(RBR), b'b');
    assert_eq!(uart.read(LSR), EMPTY);
}

#[test]
fn errors_show_when_their_character_reaches_the_top() {
    let mut uart = chip(0x01);
    let parity = Character {
        byte: 2,
        errors: CharacterErrors::PARITY,
    };
    let framing = Character {
        byte: 3,
        errors: CharacterErrors::FRAMING,
    };
    for character in [1.into(), parity, framing, Character::BREAK, 5.into()] {
        uart.receive(character);
    }
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push((uart.read(LSR), uart.read(RBR)));
    }
    assert_eq!(
        seen,
        [
            (EMPTY | LSR_FIFO_ERROR | LSR_DR, 1),
            (EMPTY | LSR_FIFO_ERROR | LSR_DR | LSR_PE, 2),
            (EMPTY | LSR_FIFO_ERROR | LSR_DR | LSR_FE, 3),
            (EMPTY | LSR_FIFO_ERROR | LSR_DR | LSR_BI | LSR_FE, 0),
            (EMPTY | LSR_DR, 5),
        ]
    );
}

#[test]
fn reading_lsr_clears_the_errors_of_the_top_and_bit_7_with_the_last() {
    let mut uart = chip(0x01);
    uart.receive(Character::BREAK);
    uart.receive(Character::BREAK);
    assert_eq!(
        uart.read(LSR),
        EMPTY | LSR_FIFO_ERROR | LSR_DR | LSR_BI | LSR_FE
    );
    assert_eq!(
        uart.read(LSR),
        EMPTY | LSR_FIFO_ERROR | LSR_DR,
        "the second break still lies below"
    );
    uart.read(RBR);
    assert_eq!(
        uart.read(LSR),
        EMPTY | LSR_FIFO_ERROR | LSR_DR | LSR_BI | LSR_FE
    );
    assert_eq!(uart.read(LSR), EMPTY | LSR_DR);
}

#[test]
fn errors_leave_with_a_character_that_is_read_without_looking() {
    let mut uart = chip(0x01);
    uart.receive(Character::BREAK);
    fill(&mut uart, [7]);
    uart.read(RBR);
    assert_eq!(uart.read(LSR), EMPTY | LSR_DR);
}

#[test]
fn bit_7_is_0_without_fifo() {
    let mut uart = chip(0x00);
    uart.receive(Character::BREAK);
    assert_eq!(uart.read(LSR), EMPTY | LSR_DR | LSR_BI | LSR_FE);
}

#[test]
fn a_break_is_one_zero_character() {
    let mut uart = chip(0x01);
    assert_eq!(uart.receive_break(), Received::Stored);
    uart.read(LSR);
    assert_eq!(drain(&mut uart), [0]);
}

#[test]
fn any_change_of_fcr_0_clears_both_fifos() {
    for (before, after) in [(0x00, 0x01), (0x01, 0x00), (0xc1, 0xc0)] {
        let mut uart = chip(before);
        fill(&mut uart, [1]);
        uart.write(THR, b'x');
        uart.write(FCR, after);
        assert_eq!(uart.read(LSR), EMPTY);
        assert!(uart.outgoing().is_empty());
    }
}

#[test]
fn fcr_1_and_fcr_2_clear_one_side_each_and_fall_back() {
    let mut uart = chip(0x01);
    fill(&mut uart, [1, 2]);
    uart.write(THR, b'x');
    uart.write(FCR, 0x05);
    assert!(uart.outgoing().is_empty());
    assert_eq!(uart.read(LSR), EMPTY | LSR_DR);
    uart.write(THR, b'y');
    uart.write(FCR, 0x03);
    assert_eq!(uart.read(LSR), 0x00);
    assert_eq!(uart.outgoing(), b"y");
    fill(&mut uart, [3]);
    assert_eq!(drain(&mut uart), [3], "the reset does not last");
}

#[test]
fn clearing_the_receiver_keeps_the_overrun_until_lsr_is_read() {
    // FCR.1, and both changes of FCR.0.
    for fcr in [&[0x03][..], &[0x00], &[0x00, 0x01]] {
        let mut uart = chip(0x01);
        fill(&mut uart, 0..16);
        uart.receive(0.into());
        uart.write(IER, 0x04);
        for &value in fcr {
            uart.write(FCR, value);
        }
        assert_eq!(uart.pending_interrupt(), InterruptId::LineStatus);
        assert_eq!(uart.read(LSR), EMPTY | LSR_OE, "FCR {fcr:02x?}");
        assert_eq!(uart.read(LSR), EMPTY);
        assert_eq!(uart.pending_interrupt(), InterruptId::None);
    }
}

#[test]
fn master_reset_takes_the_overrun_away() {
    let mut uart = chip(0x01);
    fill(&mut uart, 0..16);
    uart.receive(0.into());
    uart.reset();
    assert_eq!(uart.read(LSR), EMPTY);
}

#[test]
fn clearing_the_receiver_takes_the_errors_of_its_characters_along() {
    for fcr in [0x03, 0x00] {
        let mut uart = chip(0x01);
        uart.receive_break();
        uart.receive_break();
        uart.write(FCR, fcr);
        assert_eq!(uart.read(LSR), EMPTY);
    }
}

#[test]
fn other_fcr_bits_act_only_with_bit_0() {
    // FIFO off and staying off: neither reset may act, nor the trigger level.
    let mut uart = chip(0x00);
    fill(&mut uart, [9]);
    uart.write(THR, b'x');
    uart.write(FCR, 0xc6);
    assert_eq!(uart.outgoing(), b"x");
    uart.write(IER, 0x01);
    assert_eq!(
        uart.read(IIR),
        0x04,
        "one character is what makes data available"
    );
    assert_eq!(drain(&mut uart), [9]);
}

#[test]
fn an_empty_receiver_reads_the_last_character_without_fifo_and_zero_with() {
    let mut uart = chip(0x00);
    fill(&mut uart, [0x5a]);
    assert_eq!([uart.read(RBR), uart.read(RBR)], [0x5a, 0x5a]);
    assert_eq!(uart.read(LSR), EMPTY);
    uart.write(FCR, 0x01);
    assert_eq!(uart.read(RBR), 0);
}

#[test]
fn thre_and_temt_stay_low_until_the_last_byte_has_left() {
    let mut uart = chip(0x01);
    uart.write(THR, b'a');
    uart.write(THR, b'b');
    assert_eq!(uart.read(LSR), 0);
    uart.transmitted(1);
    assert_eq!((uart.read(LSR), uart.outgoing()), (0, &b"b"[..]));
    uart.transmitted(100);
    assert_eq!((uart.read(LSR), uart.outgoing()), (EMPTY, &b""[..]));
}

#[test]
fn a_full_transmitter_says_what_it_loses() {
    let mut uart = chip(0x01);
    let lost: Vec<usize> = (0..18).map(|byte| uart.write(THR, byte)).collect();
    assert_eq!(lost, [[0; 16].as_slice(), &[1; 2]].concat());
    assert_eq!(
        uart.outgoing(),
        (0..16).collect::<Vec<u8>>(),
        "the newest are lost"
    );

    let mut uart = chip(0x00);
    assert_eq!([uart.write(THR, b'a'), uart.write(THR, b'b')], [0, 1]);
    assert_eq!(uart.outgoing(), b"b", "without FIFO the newer stays");
}

#[test]
fn a_fifo_of_64_has_its_own_levels_and_the_registers_of_16() {
    let config = Config {
        fifo: FifoDepth::SixtyFour,
        ..Config::default()
    };
    for (fcr, level) in [(0x01, 1), (0x41, 16), (0x81, 32), (0xc1, 56)] {
        let mut uart = Uart::new(config);
        uart.write(MCR, 0x08);
        uart.write(FCR, fcr);
        uart.write(IER, 0x01);
        for count in 1..=64 {
            fill(&mut uart, [count]);
            assert_eq!(uart.interrupt_asserted(), count >= level);
        }
        assert_eq!(uart.receive(0.into()), Received::Overrun);
        assert_eq!(uart.read(IIR), 0xc4);
        assert_eq!(drain(&mut uart), (1..=64).collect::<Vec<u8>>());
    }
}

#[test]
fn all_64_places_carry_their_own_errors() {
    let config = Config {
        fifo: FifoDepth::SixtyFour,
        ..Config::default()
    };
    let mut uart = Uart::new(config);
    uart.write(FCR, 0x01);
    let sent: Vec<Character> = (0..64)
        .map(|byte| Character {
            byte,
            errors: CharacterErrors::from_bits_truncate(byte << 2),
        })
        .collect();
    for &character in &sent {
        uart.receive(character);
    }
    assert_eq!(uart.received().collect::<Vec<_>>(), sent);
    for character in sent {
        assert_eq!(
            uart.read(LSR) & (LSR_PE | LSR_FE | LSR_BI),
            character.errors.bits()
        );
        assert_eq!(uart.read(RBR), character.byte);
    }
}
