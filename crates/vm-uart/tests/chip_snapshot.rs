//! Snapshots: the identity for all that follows, a fixed layout, and a refusal by name of whatever
//! no chip can hold.

mod machine;

use machine::{Ours, Pin, Port, Terminal};
use proptest::prelude::*;
use vm_uart::registers::{FCR, IER, IIR, LCR, LSR, MCR, RBR, SCR, THR};
use vm_uart::{
    Character, CharacterErrors, CharacterTimeout, Config, ModemInputs, SerialPort, Snapshot,
    SnapshotError, Uart,
};

fn configs() -> impl Strategy<Value = Config> {
    prop::sample::select(Config::every().collect::<Vec<_>>())
}

#[derive(Clone, Debug)]
enum Event {
    Read(u8),
    Write(u8, u8),
    Receive(u8, u8),
    Idle,
    Sent(usize),
    Wait(u64),
    Modem(u8),
    Reset,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0_u8..8).prop_map(Event::Read),
        8 => (0_u8..8, prop_oneof![any::<u8>(), 0_u8..16]).prop_map(|(offset, value)| Event::Write(offset, value)),
        6 => (any::<u8>(), prop_oneof![3 => Just(0), 1 => any::<u8>()]).prop_map(|(byte, errors)| Event::Receive(byte, errors)),
        1 => Just(Event::Idle),
        2 => (0_usize..20).prop_map(Event::Sent),
        1 => (0_u64..2_000_000).prop_map(Event::Wait),
        1 => any::<u8>().prop_map(Event::Modem),
        1 => Just(Event::Reset),
    ]
}

/// One event, and everything that can be seen of it.
fn happen(uart: &mut Uart, event: &Event) -> (usize, bool, Vec<u8>) {
    let mut answer = 0;
    match *event {
        Event::Read(offset) => answer = uart.read(offset).into(),
        Event::Write(offset, value) => answer = uart.write(offset, value),
        Event::Receive(byte, errors) => {
            uart.receive(Character {
                byte,
                errors: CharacterErrors::from_bits_truncate(errors),
            });
        }
        Event::Idle => uart.receiver_idle(),
        Event::Sent(count) => uart.transmitted(count),
        Event::Wait(nanoseconds) => uart.advance(nanoseconds),
        Event::Modem(bits) => uart.set_modem_inputs(ModemInputs {
            cts: bits & 1 != 0,
            dsr: bits & 2 != 0,
            ri: bits & 4 != 0,
            dcd: bits & 8 != 0,
        }),
        Event::Reset => answer = uart.reset(),
    }
    (answer, uart.interrupt_asserted(), uart.outgoing().to_vec())
}

proptest! {
    #[test]
    fn at_any_point_it_is_the_identity_for_all_that_follows(
        config in configs(),
        before in prop::collection::vec(event(), 0..120),
        after in prop::collection::vec(event(), 0..60),
    ) {
        let mut uart = Uart::new(config);
        for event in &before {
            happen(&mut uart, event);
        }
        let bytes = uart.snapshot().to_bytes();
        let snapshot = Snapshot::from_bytes(&bytes).expect("own bytes");
        prop_assert_eq!(&snapshot, &uart.snapshot());
        let mut restored = Uart::restore(config, &snapshot).expect("own snapshot");
        prop_assert_eq!(&restored, &uart);
        for event in &after {
            prop_assert_eq!(happen(&mut restored, event), happen(&mut uart, event));
        }
        prop_assert_eq!(restored, uart);
    }

    /// Whatever bytes come: an error, or a chip that behaves and whose own snapshot is those bytes
    /// again.
    #[test]
    fn damaged_bytes_are_refused_or_mean_what_they_say(
        config in configs(),
        before in prop::collection::vec(event(), 0..60),
        damage in prop::collection::vec((0_usize..Snapshot::SIZE, any::<u8>()), 1..4),
        after in prop::collection::vec(event(), 0..60),
    ) {
        // Without a clock `idle_ns` means nothing and comes back as 0.
        let config = Config { character_timeout: CharacterTimeout::FourCharacters, ..config };
        let mut uart = Uart::new(config);
        for event in &before {
            happen(&mut uart, event);
        }
        let mut bytes = uart.snapshot().to_bytes();
        for (offset, value) in damage {
            bytes[offset] = value;
        }
        let restored = Snapshot::from_bytes(&bytes).and_then(|snapshot| Uart::restore(config, &snapshot));
        if let Ok(mut restored) = restored {
            prop_assert_eq!(restored.snapshot().to_bytes(), bytes);
            for event in &after {
                happen(&mut restored, event);
            }
        }
    }

    #[test]
    fn any_bytes_at_all_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(snapshot) = Snapshot::from_bytes(&bytes) {
            let _ = Uart::restore(Config::default(), &snapshot);
        }
    }
}

/// A chip with something in every field.
fn busy() -> Uart {
    let mut uart = Uart::new(Config {
        character_timeout: CharacterTimeout::FourCharacters,
        ..Config::default()
    });
    uart.receive(0x77.into());
    for (offset, value) in [
        (LCR, 0x9b),
        (0, 0x34),
        (1, 0x12),
        (LCR, 0x1b),
        (FCR, 0x81),
        (MCR, 0x0b),
        (SCR, 0x5a),
    ] {
        uart.write(offset, value);
    }
    uart.write(IER, 0x0d);
    for character in [
        b'a'.into(),
        Character {
            byte: b'b',
            errors: CharacterErrors::PARITY,
        },
        Character {
            byte: b'c',
            errors: CharacterErrors::FRAMING,
        },
        Character::BREAK,
    ] {
        uart.receive(character);
    }
    uart.write(THR, b'x');
    uart.write(THR, b'y');
    uart.advance(1000);
    uart.set_modem_inputs(ModemInputs {
        dcd: false,
        ..ModemInputs::default()
    });
    uart
}

#[test]
fn the_layout_is_what_the_documentation_says() {
    let bytes = busy().snapshot().to_bytes();
    let mut expected = [0; Snapshot::SIZE];
    expected[0..2].copy_from_slice(&[1, 0]);
    expected[3..8].copy_from_slice(&[0x0d, 0x1b, 0x0b, 0x81, 0x5a]);
    expected[8..10].copy_from_slice(&[0x34, 0x12]);
    expected[10..14].copy_from_slice(&[0x38, 0x77, 4, 2]);
    expected[16..24].copy_from_slice(&1000_u64.to_le_bytes());
    expected[24..32].copy_from_slice(&0b0010_u64.to_le_bytes());
    expected[32..40].copy_from_slice(&0b1100_u64.to_le_bytes());
    expected[40..48].copy_from_slice(&0b1000_u64.to_le_bytes());
    expected[48..52].copy_from_slice(b"abc\0");
    expected[112..114].copy_from_slice(b"xy");
    assert_eq!(bytes, expected);
}

#[test]
fn each_flag_has_its_bit() {
    let base = busy().snapshot();
    for (bit, flagged) in [
        (
            1,
            Snapshot {
                overrun: true,
                ..base.clone()
            },
        ),
        (
            2,
            Snapshot {
                thr_interrupt: true,
                ..base.clone()
            },
        ),
        (
            4,
            Snapshot {
                timed_out: true,
                ..base.clone()
            },
        ),
        (
            8,
            Snapshot {
                rts_held: true,
                ..base.clone()
            },
        ),
    ] {
        assert_eq!(flagged.to_bytes()[2], bit);
        assert_eq!(Snapshot::from_bytes(&flagged.to_bytes()), Ok(flagged));
    }
}

#[test]
fn unknown_versions_are_refused_as_such() {
    let mut bytes = busy().snapshot().to_bytes();
    bytes[0] = 2;
    assert_eq!(
        Snapshot::from_bytes(&bytes),
        Err(SnapshotError::UnknownVersion { found: 2 })
    );
    assert_eq!(
        Snapshot::from_bytes(&bytes[..2]),
        Err(SnapshotError::UnknownVersion { found: 2 }),
        "another version may have another length"
    );
    let old = Snapshot {
        version: 0,
        ..busy().snapshot()
    };
    assert_eq!(
        Uart::restore(Config::default(), &old),
        Err(SnapshotError::UnknownVersion { found: 0 })
    );
}

#[test]
fn every_wrong_length_is_refused() {
    let bytes = busy().snapshot().to_bytes();
    for length in 0..bytes.len() {
        assert_eq!(
            Snapshot::from_bytes(&bytes[..length]),
            Err(SnapshotError::WrongLength { found: length })
        );
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(
        Snapshot::from_bytes(&longer),
        Err(SnapshotError::WrongLength { found: 177 })
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table of cases")]
fn every_impossible_value_is_refused_by_the_name_of_its_field() {
    let base = busy().snapshot();
    let empty = Snapshot {
        idle_ns: 0,
        ..Uart::new(Config::default()).snapshot()
    };
    let seventeen = {
        let mut received = [0; 64];
        received[..17].fill(1);
        Snapshot {
            received,
            received_len: 17,
            ..base.clone()
        }
    };
    let mut stray_in = base.clone();
    stray_in.received[63] = 1;
    let mut stray_out = base.clone();
    stray_out.transmit[2] = 1;
    let cases = [
        (
            "ier",
            Snapshot {
                ier: 0x10,
                ..base.clone()
            },
        ),
        (
            "mcr",
            Snapshot {
                mcr: 0x20,
                ..base.clone()
            },
        ),
        (
            "mcr",
            Snapshot {
                mcr: 0x80,
                ..base.clone()
            },
        ),
        (
            "fcr",
            Snapshot {
                fcr: 0x83,
                ..base.clone()
            },
        ),
        (
            "fcr",
            Snapshot {
                fcr: 0xc0,
                ..empty.clone()
            },
        ),
        ("received_len", seventeen),
        (
            "received_len",
            Snapshot {
                fcr: 0x00,
                ..base.clone()
            },
        ),
        ("received_len", stray_in),
        (
            "received_len",
            Snapshot {
                received_len: 255,
                ..base.clone()
            },
        ),
        ("transmit_len", stray_out),
        (
            "transmit_len",
            Snapshot {
                transmit_len: 17,
                ..base.clone()
            },
        ),
        (
            "transmit_len",
            Snapshot {
                mcr: 0x1b,
                ..base.clone()
            },
        ),
        (
            "received_parity",
            Snapshot {
                received_parity: 0x10,
                ..base.clone()
            },
        ),
        (
            "received_framing",
            Snapshot {
                received_framing: 1 << 63,
                ..base.clone()
            },
        ),
        (
            "received_break",
            Snapshot {
                received_break: 0x10,
                ..base.clone()
            },
        ),
        (
            "timed_out",
            Snapshot {
                timed_out: true,
                ..empty.clone()
            },
        ),
        (
            "idle_ns",
            Snapshot {
                timed_out: true,
                ..base.clone()
            },
        ),
        (
            "idle_ns",
            Snapshot {
                idle_ns: 1,
                ..empty.clone()
            },
        ),
        (
            "thr_interrupt",
            Snapshot {
                thr_interrupt: true,
                ..empty.clone()
            },
        ),
        (
            "thr_interrupt",
            Snapshot {
                thr_interrupt: true,
                ier: 0x02,
                ..base.clone()
            },
        ),
        (
            "rts_held",
            Snapshot {
                rts_held: true,
                ..base.clone()
            },
        ),
    ];
    for (field, snapshot) in cases {
        let Err(SnapshotError::Impossible { field: named, .. }) =
            Uart::restore(Config::default(), &snapshot)
        else {
            panic!("{field} was accepted: {snapshot:?}");
        };
        assert_eq!(named, field);
    }

    let mut one_deep = empty.clone();
    one_deep.received_len = 1;
    one_deep.received[0] = 5;
    assert!(matches!(
        Uart::restore(Config::default(), &one_deep),
        Err(SnapshotError::Impossible {
            field: "last_received",
            ..
        })
    ));
    let mut bytes = empty.to_bytes();
    bytes[2] = 0x10;
    assert!(matches!(
        Snapshot::from_bytes(&bytes),
        Err(SnapshotError::Impossible { field: "flags", .. })
    ));
    let mut bytes = empty.to_bytes();
    bytes[15] = 1;
    assert!(matches!(
        Snapshot::from_bytes(&bytes),
        Err(SnapshotError::Impossible {
            field: "reserved",
            ..
        })
    ));
}

#[test]
fn errors_say_what_was_wrong_and_what_to_do() {
    assert_eq!(
        SnapshotError::UnknownVersion { found: 9 }.to_string(),
        "serial port snapshot has version 9, this program knows 1: restore it with the program that took it, or a newer one"
    );
    let impossible = Uart::restore(
        Config::default(),
        &Snapshot {
            ier: 0xff,
            ..busy().snapshot()
        },
    )
    .unwrap_err();
    assert_eq!(
        impossible.to_string(),
        "serial port snapshot: ier is 0xff, expected bits 7 to 4 to be 0: it is damaged, or was taken from a port with \
         another configuration"
    );
}

#[test]
fn a_restored_port_asserts_its_line_and_tells_its_outputs() {
    let mut saved = Ours::new();
    saved.outb(FCR, 0x01);
    saved.outb(MCR, 0x0b);
    saved.outb(IER, 0x01);
    saved.type_in(b"k");
    let snapshot = saved.port.snapshot();

    let mut machine = Ours::new();
    machine.port.restore(&snapshot).expect("a good snapshot");
    assert!(machine.pin.is_high());
    assert!(
        machine
            .port
            .line()
            .outputs
            .is_some_and(|outputs| outputs.dtr && outputs.rts)
    );
    assert_eq!(machine.inb(RBR), b'k');
    assert!(!machine.pin.is_high());

    // A port whose line is active already gives a new edge: the interrupt controller may have been
    // restored before it.
    let edges = saved.pin.edges();
    saved.port.restore(&snapshot).expect("a good snapshot");
    assert_eq!(saved.pin.edges(), edges + 1);
    assert!(saved.pin.is_high());
}

#[test]
fn a_refused_restore_changes_nothing() {
    let mut machine = Ours::new();
    machine.outb(MCR, 0x08);
    machine.outb(IER, 0x02);
    let before = machine.port.snapshot();
    let bad = Snapshot {
        ier: 0xff,
        ..before.clone()
    };
    assert!(machine.port.restore(&bad).is_err());
    assert_eq!(machine.port.snapshot(), before);
    assert!(machine.pin.is_high());
}

#[test]
fn output_that_waited_leaves_after_a_restore_and_thre_comes() {
    let mut saved = Ours::new();
    saved.outb(FCR, 0x01);
    saved.outb(MCR, 0x08);
    saved.outb(IER, 0x02);
    saved.inb(IIR);
    saved.port.line_mut().room = Some(0);
    saved.outb(THR, b'w');
    let pin = Pin::default();
    let mut port = SerialPort::new(pin.clone(), Terminal::default());
    port.restore(&saved.port.snapshot())
        .expect("a good snapshot");
    assert_eq!(port.line().paper, b"w");
    assert!(pin.is_high(), "or the guest's output would stall");
    assert_eq!(port.read(LSR), 0x60);
}

#[test]
fn a_reset_leaves_the_snapshot_of_power_on_but_for_what_it_spares() {
    let mut uart = busy();
    let before = uart.snapshot();
    uart.reset();
    let power_on = Uart::new(*uart.config()).snapshot();
    let expected = Snapshot {
        divisor: before.divisor,
        last_received: before.last_received,
        modem: before.modem & 0xf0,
        ..power_on
    };
    assert_eq!(uart.snapshot(), expected);
}

#[test]
fn time_that_was_counted_by_the_clock_means_nothing_without_one() {
    let snapshot = busy().snapshot();
    assert_eq!(snapshot.idle_ns, 1000);
    let config = Config::default();
    assert_eq!(config.character_timeout, CharacterTimeout::WhenDrained);
    let restored = Uart::restore(config, &snapshot).expect("a good snapshot");
    assert_eq!(restored.snapshot().idle_ns, 0);
}

#[test]
fn a_flush_check_holds_across_a_restore() {
    let mut saved = Ours::new();
    saved.outb(FCR, 0x07);
    saved.port.line_mut().keyboard.push_back(b'k'.into());
    let snapshot = saved.port.snapshot();
    let mut keyboard = Terminal::default();
    keyboard.keyboard.push_back(b'k'.into());
    let mut port = SerialPort::new(Pin::default(), keyboard);
    port.restore(&snapshot).expect("a good snapshot");
    for port in [&mut saved.port, &mut port] {
        assert_eq!(port.read(LSR), 0x60, "flushed");
        assert_eq!(port.read(LSR), 0x61, "and not lost");
        assert_eq!(port.read(RBR), b'k');
    }
}

#[cfg(feature = "serde")]
#[test]
fn serde_gives_the_same_snapshot_back() {
    let snapshot = busy().snapshot();
    let json = serde_json::to_string(&snapshot).expect("plain data");
    assert_eq!(
        serde_json::from_str::<Snapshot>(&json).expect("own output"),
        snapshot
    );
    let longer = json.replacen("\"transmit\":[", "\"transmit\":[0,", 1);
    assert!(serde_json::from_str::<Snapshot>(&longer).is_err());
    let unknown = json.replacen('{', "{\"surprise\":1,", 1);
    assert!(serde_json::from_str::<Snapshot>(&unknown).is_err());
}

#[cfg(feature = "vm-superio")]
mod superio {
    use super::*;
    use vm_superio::SerialState;
    use vm_uart::registers::MSR;
    use vm_uart::snapshot::HeldOutput;

    #[test]
    fn a_state_of_vm_superio_comes_over() {
        let state = SerialState {
            baud_divisor_low: 0x01,
            baud_divisor_high: 0x02,
            interrupt_enable: 0x03,
            interrupt_identification: 0x06,
            line_control: 0x13,
            line_status: 0x61,
            modem_control: 0x0b,
            modem_status: 0xb0,
            scratch: 0x5a,
            in_buffer: (0..20).collect(),
        };
        let (snapshot, rest) = Snapshot::from_superio(&state);
        assert_eq!(rest, [16, 17, 18, 19]);
        let mut uart = Uart::restore(Config::default(), &snapshot).expect("a possible state");
        assert_eq!(uart.snapshot().divisor, 0x0201);
        for (offset, value) in [
            (IER, 0x03),
            (IIR, 0xc4),
            (LCR, 0x13),
            (MCR, 0x0b),
            (LSR, 0x61),
            (SCR, 0x5a),
        ] {
            assert_eq!(uart.read(offset), value);
        }
        for byte in 0..16 {
            assert_eq!(uart.read(RBR), byte);
        }
        assert_eq!(
            uart.read(IIR),
            0xc2,
            "raised once more: one too few would stall the guest"
        );
        assert_eq!(uart.read(IIR), 0xc1);
    }

    proptest! {
        #[test]
        fn any_state_that_vm_superio_accepts_is_accepted(
            registers in any::<[u8; 9]>(),
            in_buffer in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let [low, high, ier, iir, lcr, lsr, mcr, msr, scratch] = registers;
            let state = SerialState {
                baud_divisor_low: low,
                baud_divisor_high: high,
                interrupt_enable: ier,
                interrupt_identification: iir,
                line_control: lcr,
                line_status: lsr,
                modem_control: mcr,
                modem_status: msr,
                scratch,
                in_buffer: in_buffer.clone(),
            };
            let (snapshot, rest) = Snapshot::from_superio(&state);
            let uart = Uart::restore(Config::default(), &snapshot).expect("accepted");
            let back = uart.snapshot().to_superio().expect("nothing waits");
            prop_assert_eq!([back.in_buffer, rest].concat(), in_buffer);
            prop_assert_eq!([back.baud_divisor_low, back.baud_divisor_high], [low, high]);
            prop_assert_eq!([back.line_control, back.scratch], [lcr, scratch]);
            prop_assert_eq!([back.interrupt_enable, back.modem_control], [ier & 0x0f, mcr & 0x1f]);
        }

        #[test]
        fn what_goes_over_is_accepted_there(before in prop::collection::vec(event(), 0..80)) {
            let mut uart = Uart::new(Config::default());
            for event in &before {
                happen(&mut uart, event);
            }
            uart.transmitted(16);
            if let Ok(state) = uart.snapshot().to_superio() {
                let serial = vm_superio::Serial::from_state(
                    &state,
                    machine::Bell::default(),
                    vm_superio::serial::NoEvents,
                    std::io::sink(),
                );
                prop_assert!(serial.is_ok());
            }
        }
    }

    #[test]
    fn what_stood_outside_during_loopback_is_forgotten_there_and_a_cable_here() {
        let state = SerialState {
            modem_control: 0x1b,
            modem_status: 0x00,
            ..SerialState::default()
        };
        let (snapshot, _) = Snapshot::from_superio(&state);
        let mut uart = Uart::restore(Config::default(), &snapshot).expect("a possible state");
        assert_eq!(uart.read(MSR) & 0xf0, 0xb0, "RTS, DTR and OUT2 looped");
        uart.write(MCR, 0x00);
        assert_eq!(uart.read(MSR) & 0xf0, 0xb0, "a terminal is there");
    }

    #[test]
    fn an_overrun_goes_over_and_comes_back() {
        let mut uart = Uart::new(Config::default());
        uart.receive(b'a'.into());
        uart.receive(b'b'.into());
        let state = uart.snapshot().to_superio().expect("nothing held");
        assert_eq!(state.line_status, 0x63);
        assert!(Snapshot::from_superio(&state).0.overrun);
    }

    #[test]
    fn output_that_waits_cannot_go_over() {
        assert_eq!(busy().snapshot().to_superio(), Err(HeldOutput { bytes: 2 }));
    }
}
