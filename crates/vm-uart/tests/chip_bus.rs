//! Bus accesses of every width, at every address, in every length: what each means, and that none
//! panics.

use proptest::prelude::*;
use vm_uart::bus::mmio::{Mmio, Stride};
use vm_uart::bus::{Registers, Width, pio};
use vm_uart::registers::{LSR, SCR, THR};
use vm_uart::{Line, NullUart, SerialPort};

const STRIDES: [Stride; 4] = [Stride::One, Stride::Two, Stride::Four, Stride::Eight];
const WIDTHS: [Width; 4] = [Width::Byte, Width::Word, Width::Dword, Width::Qword];

/// Registers that note each access; reading register n gives 0x10 + n.
#[derive(Default, Debug, PartialEq)]
struct Noted(Vec<(char, u8, u8)>);

impl Registers for Noted {
    fn read(&mut self, offset: u8) -> u8 {
        let value = 0x10 + offset;
        self.0.push(('r', offset, value));
        value
    }

    fn write(&mut self, offset: u8, value: u8) {
        self.0.push(('w', offset, value));
    }
}

#[test]
fn a_wide_port_access_is_split_into_successive_ports() {
    let mut noted = Noted::default();
    pio::write(&mut noted, 2, Width::Word, &[0xaa, 0xbb]);
    let mut data = [0; 4];
    pio::read(&mut noted, 3, Width::Dword, &mut data);
    assert_eq!(data, [0x13, 0x14, 0x15, 0x16]);
    assert_eq!(
        noted.0,
        [
            ('w', 2, 0xaa),
            ('w', 3, 0xbb),
            ('r', 3, 0x13),
            ('r', 4, 0x14),
            ('r', 5, 0x15),
            ('r', 6, 0x16)
        ]
    );
}

#[test]
fn what_of_it_lies_beyond_the_eighth_port_floats_or_vanishes() {
    let mut noted = Noted::default();
    pio::write(&mut noted, 7, Width::Dword, &[1, 2, 3, 4]);
    let mut data = [0; 4];
    pio::read(&mut noted, 6, Width::Dword, &mut data);
    assert_eq!(data, [0x16, 0x17, 0xff, 0xff]);
    assert_eq!(noted.0, [('w', 7, 1), ('r', 6, 0x16), ('r', 7, 0x17)]);
}

#[test]
fn a_string_of_bytes_goes_to_one_port() {
    let mut noted = Noted::default();
    pio::write(&mut noted, 7, Width::Byte, &[1, 2, 3]);
    let mut data = [0; 2];
    pio::read(&mut noted, 5, Width::Byte, &mut data);
    assert_eq!(
        noted.0,
        [
            ('w', 7, 1),
            ('w', 7, 2),
            ('w', 7, 3),
            ('r', 5, 0x15),
            ('r', 5, 0x15)
        ]
    );
}

#[test]
fn a_string_of_words_is_split_element_by_element() {
    let mut noted = Noted::default();
    pio::write(&mut noted, 0, Width::Word, &[1, 2, 3, 4, 5]);
    assert_eq!(
        noted.0,
        [
            ('w', 0, 1),
            ('w', 1, 2),
            ('w', 0, 3),
            ('w', 1, 4),
            ('w', 0, 5)
        ],
        "and a last element cut short is narrower"
    );
}

#[test]
fn a_string_to_thr_loses_nothing() {
    struct Paper(Vec<u8>);
    impl Line for Paper {
        fn transmit(&mut self, bytes: &[u8]) -> usize {
            self.0.extend(bytes);
            bytes.len()
        }
    }
    let mut port = SerialPort::new((), Paper(Vec::new()));
    let text = b"rep outsb brings many bytes in one exit".as_slice();
    pio::write(&mut port, THR.into(), Width::Byte, text);
    assert_eq!(port.line().0, text);
}

#[test]
fn adjacent_registers_in_memory_are_split_like_ports() {
    let window = Mmio::new(Stride::One);
    for width in WIDTHS {
        for offset in 0..12 {
            let (mut memory, mut ports) = (Noted::default(), Noted::default());
            let (mut from_memory, mut from_ports) = ([0; 8], [0; 8]);
            let data: Vec<u8> = (1..=width.bytes() as u8).collect();
            window.write(&mut memory, offset, &data);
            pio::write(&mut ports, offset, width, &data);
            window.read(&mut memory, offset, &mut from_memory[..width.bytes()]);
            pio::read(&mut ports, offset, width, &mut from_ports[..width.bytes()]);
            assert_eq!((memory, from_memory), (ports, from_ports));
        }
    }
}

#[test]
fn spaced_registers_are_reached_one_at_a_time_in_the_lowest_byte() {
    for stride in [Stride::Two, Stride::Four, Stride::Eight] {
        let window = Mmio::new(stride);
        for register in 0..8 {
            for width in WIDTHS {
                let mut noted = Noted::default();
                let offset = u64::from(register) * stride as u64;
                let mut data = vec![0xee; width.bytes()];
                window.read(&mut noted, offset, &mut data);
                assert_eq!(data[0], 0x10 + register);
                assert!(data[1..].iter().all(|&byte| byte == 0));
                window.write(
                    &mut noted,
                    offset,
                    &[0x5a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..width.bytes()],
                );
                assert_eq!(
                    noted.0,
                    [('r', register, 0x10 + register), ('w', register, 0x5a)]
                );
            }
        }
    }
}

#[test]
fn between_and_beyond_the_registers_is_nothing() {
    for stride in [Stride::Two, Stride::Four, Stride::Eight] {
        let window = Mmio::new(stride);
        assert_eq!(window.size(), 8 * stride as u64);
        for offset in (0..window.size())
            .filter(|offset| offset % stride as u64 != 0)
            .chain([window.size(), u64::MAX])
        {
            let mut noted = Noted::default();
            let mut data = [0; 4];
            window.read(&mut noted, offset, &mut data);
            window.write(&mut noted, offset, &data);
            assert_eq!(data, [0xff; 4]);
            assert_eq!(noted, Noted::default());
        }
    }
}

#[test]
fn lengths_that_no_bus_has_reach_nothing_in_memory() {
    for stride in STRIDES {
        for length in [0, 3, 5, 6, 7, 9, 16] {
            let mut noted = Noted::default();
            let mut data = vec![0; length];
            Mmio::new(stride).read(&mut noted, 0, &mut data);
            assert!(data.iter().all(|&byte| byte == 0xff));
            Mmio::new(stride).write(&mut noted, 0, &data);
            assert_eq!(noted, Noted::default());
        }
    }
}

#[test]
fn empty_port_accesses_do_nothing() {
    for width in WIDTHS {
        let mut noted = Noted::default();
        pio::write(&mut noted, 0, width, &[]);
        pio::read(&mut noted, 0, width, &mut []);
        assert_eq!(noted, Noted::default());
    }
}

#[test]
fn a_null_uart_is_ready_to_send_and_nothing_else() {
    let mut nothing = NullUart;
    for offset in 0..=255 {
        Registers::write(&mut nothing, offset, 0x5a);
        assert_eq!(
            Registers::read(&mut nothing, offset),
            if offset == LSR { 0x60 } else { 0xff }
        );
    }
    let mut data = [0; 3];
    Registers::read_string(&mut nothing, LSR, &mut data);
    assert_eq!(data, [0x60; 3]);
}

proptest! {
    #[test]
    fn no_access_panics_and_every_read_answers(
        offset in prop_oneof![0_u64..80, any::<u64>(), Just(u64::MAX)],
        width in prop::sample::select(WIDTHS.to_vec()),
        stride in prop::sample::select(STRIDES.to_vec()),
        data in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut port = SerialPort::new((), ());
        port.write(SCR, 0x5a);
        let mut answer = data.clone();
        pio::write(&mut port, offset, width, &data);
        pio::read(&mut port, offset, width, &mut answer);
        if offset >= 8 {
            prop_assert!(answer.iter().all(|&byte| byte == 0xff));
        }
        let window = Mmio::new(stride);
        window.write(&mut port, offset, &data);
        window.read(&mut port, offset, &mut answer);
        if offset >= window.size() {
            prop_assert!(answer.iter().all(|&byte| byte == 0xff));
        }
    }
}
