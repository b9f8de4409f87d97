//! Interrupts: priorities, what raises each, what clears each, and the gate (section 8.6, Table IV;
//! section 8.11).

mod bits;

use bits::{IIR_DATA, IIR_LINE_STATUS, IIR_MODEM, IIR_NONE, IIR_THRE, IIR_TIMEOUT};
use vm_uart::interrupt::{Causes, pending};
use vm_uart::registers::{FCR, IER, IIR, Ier, InterruptId, LCR, LSR, MCR, MSR, RBR, THR};
use vm_uart::{
    Character, CharacterTimeout, Config, InterruptGate, ModemInputs, Uart,
    timing::{character_ns, four_characters_ns},
};

fn chip(config: Config) -> Uart {
    let mut uart = Uart::new(config);
    uart.write(LCR, 0x03);
    uart.write(MCR, 0x08);
    uart
}

fn id(uart: &mut Uart) -> u8 {
    uart.read(IIR) & 0x0f
}

/// The line takes everything that is ready to leave.
fn send(uart: &mut Uart) {
    let count = uart.outgoing().len();
    uart.transmitted(count);
}

#[test]
fn the_priority_function_is_table_iv_for_every_set_of_causes() {
    let by_priority = [
        (Causes::LINE_STATUS, InterruptId::LineStatus),
        (Causes::DATA_AVAILABLE, InterruptId::DataAvailable),
        (Causes::CHARACTER_TIMEOUT, InterruptId::CharacterTimeout),
        (Causes::TRANSMITTER_EMPTY, InterruptId::TransmitterEmpty),
        (Causes::MODEM_STATUS, InterruptId::ModemStatus),
    ];
    for bits in 0..32 {
        let causes = Causes::from_bits_retain(bits);
        let expected = by_priority
            .iter()
            .find(|(cause, _)| causes.contains(*cause))
            .map_or(InterruptId::None, |&(_, id)| id);
        assert_eq!(pending(causes), expected, "{causes:?}");
    }
}

#[test]
fn each_enable_bit_lets_its_own_causes_through() {
    for bits in 0..16 {
        let ier = Ier::from_bits_retain(bits);
        let enabled = Causes::enabled_by(ier);
        for (bit, causes) in [
            (
                Ier::RECEIVED_DATA,
                Causes::DATA_AVAILABLE | Causes::CHARACTER_TIMEOUT,
            ),
            (Ier::TRANSMITTER_EMPTY, Causes::TRANSMITTER_EMPTY),
            (Ier::LINE_STATUS, Causes::LINE_STATUS),
            (Ier::MODEM_STATUS, Causes::MODEM_STATUS),
        ] {
            assert_eq!(
                enabled.intersection(causes),
                if ier.contains(bit) {
                    causes
                } else {
                    Causes::empty()
                }
            );
        }
    }
}

#[test]
fn all_five_at_once_are_reported_one_by_one() {
    let mut uart = chip(Config::default());
    uart.write(FCR, 0x41);
    uart.write(IER, 0x0f);
    uart.set_modem_inputs(ModemInputs {
        dcd: false,
        ..ModemInputs::default()
    });
    for character in [Character::BREAK, 1.into(), 2.into(), 3.into()] {
        uart.receive(character);
    }
    assert_eq!(id(&mut uart), IIR_LINE_STATUS);
    uart.read(LSR);
    assert_eq!(id(&mut uart), IIR_DATA);
    uart.read(RBR);
    uart.receiver_idle();
    assert_eq!(id(&mut uart), IIR_TIMEOUT);
    uart.read(RBR);
    assert_eq!(id(&mut uart), IIR_THRE);
    assert_eq!(id(&mut uart), IIR_MODEM);
    uart.read(MSR);
    assert_eq!(id(&mut uart), IIR_NONE);
    assert!(!uart.interrupt_asserted());
}

#[test]
fn iir_7_and_6_follow_fcr_0() {
    let mut uart = chip(Config::default());
    for (fcr, bits) in [(0x00, 0x00), (0x01, 0xc0), (0x00, 0x00), (0xc7, 0xc0)] {
        uart.write(FCR, fcr);
        assert_eq!(uart.read(IIR) & 0xf0, bits);
    }
}

#[test]
fn reading_iir_acknowledges_thre_and_only_if_it_is_what_it_reports() {
    let mut uart = chip(Config::default());
    uart.write(IER, 0x03);
    uart.receive(1.into());
    assert_eq!([id(&mut uart), id(&mut uart)], [IIR_DATA, IIR_DATA]);
    uart.read(RBR);
    assert_eq!([id(&mut uart), id(&mut uart)], [IIR_THRE, IIR_NONE]);
}

#[test]
fn enabling_thre_with_an_empty_transmitter_raises_it_each_time() {
    let mut uart = chip(Config::default());
    for _ in 0..3 {
        uart.write(IER, 0x02);
        assert_eq!([id(&mut uart), id(&mut uart)], [IIR_THRE, IIR_NONE]);
        uart.write(IER, 0x00);
    }
}

#[test]
fn an_unrelated_ier_write_does_not_raise_thre_again() {
    let mut uart = chip(Config::default());
    uart.write(IER, 0x02);
    id(&mut uart);
    for ier in [0x02, 0x03, 0x0f, 0x06, 0x02] {
        uart.write(IER, ier);
        assert_eq!(id(&mut uart), IIR_NONE, "IER {ier:02x}");
    }
}

#[test]
fn an_unacknowledged_thre_survives_an_unrelated_ier_write() {
    let mut uart = chip(Config::default());
    uart.write(IER, 0x02);
    uart.write(IER, 0x07);
    assert_eq!(id(&mut uart), IIR_THRE);
}

#[test]
fn a_thr_write_clears_thre_and_the_emptied_transmitter_raises_it() {
    let mut uart = chip(Config::default());
    uart.write(FCR, 0x01);
    uart.write(IER, 0x02);
    uart.write(THR, b'a');
    uart.write(THR, b'b');
    assert!(!uart.interrupt_asserted());
    uart.transmitted(1);
    assert_eq!(id(&mut uart), IIR_NONE);
    uart.transmitted(1);
    assert_eq!([id(&mut uart), id(&mut uart)], [IIR_THRE, IIR_NONE]);
}

#[test]
fn enabling_thre_while_bytes_wait_raises_nothing_until_they_leave() {
    let mut uart = chip(Config::default());
    uart.write(THR, b'a');
    uart.write(IER, 0x02);
    assert_eq!(id(&mut uart), IIR_NONE);
    send(&mut uart);
    assert_eq!(id(&mut uart), IIR_THRE);
}

#[test]
fn an_fcr_reset_raises_thre_only_if_it_emptied_something() {
    let mut uart = chip(Config::default());
    uart.write(FCR, 0x01);
    uart.write(IER, 0x02);
    id(&mut uart);
    uart.write(FCR, 0x05);
    assert_eq!(id(&mut uart), IIR_NONE, "acknowledged, and empty before");
    uart.write(THR, b'a');
    uart.write(FCR, 0x05);
    assert_eq!(id(&mut uart), IIR_THRE);
}

#[test]
fn without_out2_no_interrupt_leaves_and_iir_reports_all_the_same() {
    let mut uart = Uart::new(Config::default());
    uart.write(IER, 0x0f);
    assert!(!uart.interrupt_asserted());
    assert_eq!(uart.pending_interrupt(), InterruptId::TransmitterEmpty);
    uart.write(MCR, 0x08);
    assert!(uart.interrupt_asserted());
    uart.write(MCR, 0x07);
    assert!(!uart.interrupt_asserted());

    let mut ungated = Uart::new(Config {
        interrupt_gate: InterruptGate::None,
        ..Config::default()
    });
    ungated.write(IER, 0x02);
    assert!(ungated.interrupt_asserted());
}

#[test]
fn each_modem_delta_interrupts_and_reading_msr_ends_it() {
    let base = ModemInputs {
        ri: true,
        ..ModemInputs::default()
    };
    for changed in [
        ModemInputs { cts: false, ..base },
        ModemInputs { dsr: false, ..base },
        ModemInputs { ri: false, ..base },
        ModemInputs { dcd: false, ..base },
    ] {
        let mut uart = chip(Config::default());
        uart.write(IER, 0x08);
        uart.set_modem_inputs(base);
        assert_eq!(id(&mut uart), IIR_NONE, "the leading edge of RI");
        uart.set_modem_inputs(changed);
        assert!(uart.interrupt_asserted());
        assert_eq!(
            [id(&mut uart), id(&mut uart)],
            [IIR_MODEM, IIR_MODEM],
            "IIR does not clear it"
        );
        uart.read(MSR);
        assert_eq!(id(&mut uart), IIR_NONE);
    }
}

#[test]
fn timeout_comes_once_the_host_has_no_more_and_goes_with_one_read() {
    let mut uart = chip(Config::default());
    uart.write(FCR, 0x81);
    uart.write(IER, 0x01);
    uart.receive(1.into());
    uart.receive(2.into());
    assert_eq!(id(&mut uart), IIR_NONE, "the host may have more");
    uart.receiver_idle();
    assert_eq!(id(&mut uart), IIR_TIMEOUT);
    uart.receive(3.into());
    assert_eq!(
        id(&mut uart),
        IIR_TIMEOUT,
        "an arrival does not take it back"
    );
    uart.read(RBR);
    assert_eq!(id(&mut uart), IIR_NONE);
    uart.receiver_idle();
    assert_eq!(id(&mut uart), IIR_TIMEOUT, "two are left");
}

#[test]
fn no_timeout_for_an_empty_fifo_or_without_fifo() {
    let mut uart = chip(Config::default());
    uart.write(IER, 0x01);
    uart.receiver_idle();
    uart.receive(1.into());
    uart.receiver_idle();
    assert_eq!(
        id(&mut uart),
        IIR_DATA,
        "16450 mode knows data available only"
    );
    uart.write(FCR, 0x81);
    uart.receiver_idle();
    assert_eq!(id(&mut uart), IIR_NONE);
}

#[test]
fn from_the_trigger_level_on_it_is_data_available() {
    let mut uart = chip(Config::default());
    uart.write(FCR, 0x41);
    uart.write(IER, 0x01);
    for count in 1..=4 {
        uart.receive(count.into());
        uart.receiver_idle();
        assert_eq!(
            id(&mut uart),
            if count < 4 { IIR_TIMEOUT } else { IIR_DATA }
        );
    }
}

fn by_the_clock() -> Config {
    Config {
        character_timeout: CharacterTimeout::FourCharacters,
        ..Config::default()
    }
}

#[test]
fn timeout_after_exactly_four_character_times_of_every_format() {
    for lcr in 0..0x40 {
        for divisor in [1_u16, 12, 0xffff] {
            let mut uart = chip(by_the_clock());
            uart.write(LCR, 0x80);
            uart.write(0, divisor.to_le_bytes()[0]);
            uart.write(1, divisor.to_le_bytes()[1]);
            uart.write(LCR, lcr);
            uart.write(FCR, 0x81);
            uart.write(IER, 0x01);
            uart.receive(1.into());
            // From Table II and section 8.1, in half bits: start, word, parity, stop.
            let word = 10 + 2 * u64::from(lcr & 3);
            let parity = if lcr & 8 != 0 { 2 } else { 0 };
            let stop = match (lcr & 4 != 0, lcr & 3) {
                (false, _) => 2,
                (true, 0) => 3,
                (true, _) => 4,
            };
            let bits = 2 + word + parity + stop;
            let expected = bits * 4 * 8 * u64::from(divisor) * 1_000_000_000 / 1_843_200;
            assert_eq!(uart.until_timeout(), Some(expected));
            uart.advance(expected - 1);
            assert_eq!(id(&mut uart), IIR_NONE, "LCR {lcr:02x}");
            uart.advance(1);
            assert_eq!(id(&mut uart), IIR_TIMEOUT, "LCR {lcr:02x}");
            assert_eq!(uart.until_timeout(), None);
        }
    }
}

#[test]
fn arrival_and_read_start_the_time_anew() {
    let mut uart = chip(by_the_clock());
    uart.write(FCR, 0x81);
    uart.write(IER, 0x01);
    uart.receive(1.into());
    let four = uart.until_timeout().expect("a character waits");
    uart.advance(four - 1);
    uart.receive(2.into());
    uart.advance(four - 1);
    assert_eq!(id(&mut uart), IIR_NONE);
    uart.read(RBR);
    uart.advance(four - 1);
    assert_eq!(id(&mut uart), IIR_NONE);
    uart.advance(1);
    assert_eq!(id(&mut uart), IIR_TIMEOUT);
    uart.read(RBR);
    uart.advance(u64::MAX);
    assert_eq!(id(&mut uart), IIR_NONE, "nothing is left to time out");
}

#[test]
fn by_the_clock_an_idle_host_means_nothing() {
    let mut uart = chip(by_the_clock());
    uart.write(FCR, 0x81);
    uart.write(IER, 0x01);
    uart.receive(1.into());
    uart.receiver_idle();
    assert_eq!(id(&mut uart), IIR_NONE);
}

#[test]
fn no_divisor_and_no_clock_overflow() {
    let all = vm_uart::registers::Lcr::from_bits_retain(0xff);
    assert_eq!(
        four_characters_ns(all, 0, 0),
        24 * 32 * 65_536 * 1_000_000_000
    );
    assert_eq!(four_characters_ns(all, 0, 1), four_characters_ns(all, 0, 0));
}

#[test]
fn one_character_is_a_quarter_of_four() {
    for format in 0..0x80 {
        let mut uart = Uart::new(Config::default());
        uart.write(LCR, format);
        let lcr = vm_uart::registers::Lcr::from_bits_retain(format);
        // The default divisor of 12 and the PC's clock.
        let four = four_characters_ns(lcr, 12, 1_843_200);
        assert_eq!(uart.character_ns(), character_ns(lcr, 12, 1_843_200));
        assert_eq!(uart.character_ns(), four / 4, "LCR {format:#04x}");
    }
}
