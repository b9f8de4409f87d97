//! Where other emulators of this chip are wrong, one scenario each: our device passes it.
//!
//! A scenario is a function that answers whether the guest got what the chip would have given it.
//! Where `vm_superio` 0.8.2 has the defect, the same function runs on it and must answer "no",
//! which shows that the scenario can fail.
#![cfg(feature = "vm-superio")]

mod machine;

use machine::*;
use vm_uart::{Character, CharacterErrors, ModemInputs};

fn ours() -> Ours {
    let mut pc = Ours::new();
    pc.outb(MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
    pc
}

/// vm-superio, Cloud Hypervisor, crosvm, libkrun.
mod iir_of_ored_bits {
    use super::*;

    /// Data and THR-empty pending together: the code must be "data available", not 4 + 2 = 6, "line
    /// status".
    fn two_causes_have_one_code(pc: &mut impl Port) -> bool {
        pc.outb(IER, 0x03);
        pc.type_in(b"k");
        pc.outb(THR, b'x');
        let code = pc.inb(IIR) & 0x0f;
        code == 0x04 || code == 0x0c
    }

    /// Reading IIR while it reports data must leave both the data and the THR-empty interrupt
    /// pending.
    fn reading_it_clears_nothing_but_a_reported_thre(pc: &mut impl Port) -> bool {
        pc.outb(IER, 0x03);
        pc.type_in(b"k");
        let first = pc.inb(IIR) & 0x0f;
        let second = pc.inb(IIR) & 0x0f;
        pc.inb(RBR);
        let after_the_data = pc.inb(IIR) & 0x0f;
        let after_thre = pc.inb(IIR) & 0x0f;
        (first & 0x07, second, after_the_data, after_thre) == (0x04, first, 0x02, IIR_NONE)
    }

    #[test]
    fn two_causes() {
        assert!(two_causes_have_one_code(&mut ours()));
        assert!(!two_causes_have_one_code(&mut Superio::new()));
    }

    #[test]
    fn one_read() {
        assert!(reading_it_clears_nothing_but_a_reported_thre(&mut ours()));
        assert!(!reading_it_clears_nothing_but_a_reported_thre(
            &mut Superio::new()
        ));
    }
}

/// vm-superio up to 0.8.1 (issue 135), Cloud Hypervisor, libkrun. 0.8.2 repaired it, so only our
/// side can be run here.
mod ier_write_not_evaluated {
    use super::*;

    fn commands_typed_during_printk_are_read(pc: &mut impl Port) -> bool {
        pc.outb(IER, 0x05);
        (0..10).all(|_| {
            let ier = pc.inb(IER);
            pc.outb(IER, 0x00);
            pc.outb(THR, b'#');
            pc.type_in(b"ls\r");
            let before = pc.edges();
            pc.outb(IER, ier);
            let interrupted = pc.edges() == before + 1 && pc.inb(IIR) & 0x07 == 0x04;
            interrupted && *b"ls\r" == [pc.inb(RBR), pc.inb(RBR), pc.inb(RBR)]
        })
    }

    #[test]
    fn ten_of_ten() {
        assert!(commands_typed_during_printk_are_read(&mut ours()));
        assert!(
            commands_typed_during_printk_are_read(&mut Superio::new()),
            "repaired in 0.8.2"
        );
    }

    /// The other half: an IER write that enables nothing new must not repeat an acknowledged
    /// THR-empty interrupt.
    fn rewriting_ier_repeats_no_thre(pc: &mut impl Port) -> bool {
        pc.outb(IER, 0x02);
        pc.inb(IIR);
        let before = pc.edges();
        pc.outb(IER, 0x02);
        pc.outb(IER, 0x03);
        pc.edges() == before && pc.inb(IIR) & 0x0f == IIR_NONE
    }

    #[test]
    fn a_rewrite() {
        assert!(rewriting_ier_repeats_no_thre(&mut ours()));
        assert!(!rewriting_ier_repeats_no_thre(&mut Superio::new()));
    }
}

/// Cloud Hypervisor, crosvm, libkrun: CVE-2020-27173 was a guest that filled the host's memory
/// through loopback.
mod unbounded_memory {
    use super::*;

    fn loopback_holds_at_most_a_fifo(pc: &mut impl Port) -> bool {
        pc.outb(FCR, 0x01);
        pc.outb(MCR, MCR_LOOP);
        for n in 0..100_000u32 {
            pc.outb(THR, n as u8);
        }
        let mut held = 0;
        while pc.inb(LSR) & LSR_DR != 0 {
            pc.inb(RBR);
            held += 1;
        }
        held == 16
    }

    #[test]
    fn through_loopback() {
        assert!(loopback_holds_at_most_a_fifo(&mut ours()));
        assert!(
            !loopback_holds_at_most_a_fifo(&mut Superio::new()),
            "bounded there too, but at 64"
        );
    }

    #[test]
    fn through_input() {
        let mut pc = ours();
        pc.outb(FCR, 0xc1);
        pc.type_in(&vec![b'x'; 100_000]);
        assert!(
            pc.port.line().keyboard.len() >= 100_000 - 16,
            "what finds no room stays outside"
        );
    }

    /// The device itself cannot grow: it owns no heap memory.
    #[test]
    fn through_size() {
        assert!(std::mem::size_of::<vm_uart::Uart>() <= 256);
        assert!(!std::mem::needs_drop::<vm_uart::Uart>());
    }
}

/// Cloud Hypervisor, crosvm, libkrun: an error of the sink returned before THRE was raised, and the
/// guest's tty hung.
mod sink_error_swallows_thre {
    use super::*;

    #[test]
    fn a_refusing_line_delays_thre_and_nothing_else() {
        let mut pc = ours();
        pc.outb(IER, 0x03);
        pc.inb(IIR);
        pc.port.line_mut().room = Some(0);
        pc.outb(THR, b'x');
        assert_eq!(pc.inb(IIR) & 0x0f, IIR_NONE);
        pc.type_in(b"k");
        assert_eq!(pc.inb(RBR), b'k', "input goes on meanwhile");
        pc.port.line_mut().room = None;
        pc.port.pump();
        assert_eq!(
            pc.inb(IIR) & 0x0f,
            0x02,
            "the interrupt the driver waits for"
        );
        assert_eq!(pc.printed(), b"x");
    }

    #[test]
    fn the_drop_in_reports_the_error_and_raises_thre_all_the_same() {
        struct Full;
        impl std::io::Write for Full {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let bell = Bell::default();
        let mut serial = vm_uart::Serial::new(bell.clone(), Full);
        serial.write(IER, 0x02).unwrap();
        assert_eq!(serial.read(IIR) & 0x0f, 0x02);
        for byte in *b"ten bytes." {
            let before = bell.rung();
            assert!(matches!(
                serial.write(THR, byte),
                Err(vm_uart::serial::Error::IOError(_))
            ));
            assert_eq!(bell.rung(), before + 1);
            assert_eq!(serial.read(IIR) & 0x0f, 0x02);
        }
    }
}

/// vm-superio (issues 83, 96, 103), Cloud Hypervisor, crosvm, libkrun, propolis.
mod fcr_ignored {
    use super::*;

    fn a_flush_empties_the_receiver(pc: &mut impl Port) -> bool {
        pc.outb(FCR, 0x01);
        pc.type_in(b"stale");
        pc.outb(FCR, 0x03);
        pc.inb(LSR) & LSR_DR == 0
    }

    fn fifo_bits_of_iir_follow_it(pc: &mut impl Port) -> bool {
        let off = pc.inb(IIR) & 0xc0;
        pc.outb(FCR, 0x01);
        let on = pc.inb(IIR) & 0xc0;
        (off, on) == (0x00, 0xc0)
    }

    /// Seven characters at trigger level 8, with a host that has more to come, must not interrupt
    /// as "data available" one by one.
    fn trigger_level_separates_timeout_from_data(pc: &mut impl Port) -> bool {
        pc.outb(FCR, 0x81);
        pc.outb(IER, 0x01);
        pc.type_in(b"1234567");
        let below = pc.inb(IIR) & 0x0f;
        pc.type_in(b"8");
        let at = pc.inb(IIR) & 0x0f;
        (below, at) == (0x0c, 0x04)
    }

    #[test]
    fn flush() {
        assert!(
            a_flush_empties_the_receiver(&mut ours()),
            "FreeBSD: UART FCR is broken"
        );
        assert!(!a_flush_empties_the_receiver(&mut Superio::new()));
    }

    #[test]
    fn enable() {
        assert!(fifo_bits_of_iir_follow_it(&mut ours()));
        assert!(!fifo_bits_of_iir_follow_it(&mut Superio::new()));
    }

    #[test]
    fn trigger() {
        assert!(trigger_level_separates_timeout_from_data(&mut ours()));
        assert!(!trigger_level_separates_timeout_from_data(
            &mut Superio::new()
        ));
    }
}

/// OpenVMM.
mod openvmm {
    use super::*;

    #[test]
    fn loopback_holds_sixteen_and_the_seventeenth_overruns() {
        let mut pc = ours();
        pc.outb(FCR, 0x01);
        pc.outb(MCR, MCR_LOOP);
        for n in 0..16 {
            pc.outb(THR, n);
            assert_eq!(pc.inb(LSR) & LSR_OE, 0, "character {n}");
        }
        pc.outb(THR, 16);
        assert_eq!(pc.inb(LSR) & LSR_OE, LSR_OE);
        let kept: Vec<u8> =
            std::iter::from_fn(|| (pc.inb(LSR) & LSR_DR != 0).then(|| pc.inb(RBR))).collect();
        assert_eq!(
            kept,
            (0..16).collect::<Vec<u8>>(),
            "the FIFO keeps its sixteen; the newest is lost"
        );
    }

    #[test]
    fn each_modem_delta_interrupts_dsr_too() {
        let all = ModemInputs {
            cts: false,
            dsr: false,
            ri: true,
            dcd: false,
        };
        for (name, delta, change) in [
            ("CTS", 0x01, ModemInputs { cts: true, ..all }),
            ("DSR", 0x02, ModemInputs { dsr: true, ..all }),
            ("RI", 0x04, ModemInputs { ri: false, ..all }),
            ("DCD", 0x08, ModemInputs { dcd: true, ..all }),
        ] {
            let mut pc = ours();
            pc.port.set_modem_inputs(all);
            pc.inb(MSR);
            pc.outb(IER, 0x08);
            let before = pc.edges();
            pc.port.set_modem_inputs(change);
            assert_eq!(pc.edges(), before + 1, "{name}");
            assert_eq!(pc.inb(IIR) & 0x0f, 0x00, "{name}");
            assert_eq!(pc.inb(MSR) & 0x0f, delta, "{name}");
            assert!(!pc.pin.is_high(), "{name}");
        }
    }

    #[test]
    fn the_character_timeout_waits_four_character_times_where_time_is_given() {
        let config = vm_uart::Config {
            character_timeout: vm_uart::CharacterTimeout::FourCharacters,
            ..vm_uart::Config::default()
        };
        let mut pc = Ours::with_config(config);
        pc.outb(MCR, MCR_OUT2);
        pc.outb(LCR, LCR_DLAB);
        pc.outb(DLL, 1);
        pc.outb(DLM, 0);
        pc.outb(LCR, LCR_8N1);
        pc.outb(FCR, 0x81);
        pc.outb(IER, 0x01);
        pc.type_in(b"k");
        // Ten bits at 115,200 baud: 86,805 ns a character.
        pc.port.advance(4 * 86_000);
        assert_eq!(pc.inb(IIR) & 0x0f, IIR_NONE, "not at once");
        pc.port.advance(4 * 1_000);
        assert_eq!(pc.inb(IIR) & 0x0f, 0x0c);
    }

    /// Its restore takes any state over as it stands.
    #[test]
    fn a_state_that_no_chip_can_be_in_is_refused_and_changes_nothing() {
        let good = ours().port.snapshot();
        let damaged = [
            vm_uart::Snapshot {
                ier: 0xff,
                ..good.clone()
            },
            vm_uart::Snapshot {
                mcr: 0xe0,
                ..good.clone()
            },
            vm_uart::Snapshot {
                received_len: 17,
                ..good.clone()
            },
            vm_uart::Snapshot {
                transmit_len: 200,
                ..good.clone()
            },
            vm_uart::Snapshot {
                thr_interrupt: true,
                ..good.clone()
            },
            vm_uart::Snapshot {
                timed_out: true,
                ..good.clone()
            },
            vm_uart::Snapshot {
                version: 0,
                ..good.clone()
            },
        ];
        let mut pc = ours();
        for snapshot in damaged {
            assert!(pc.port.restore(&snapshot).is_err(), "{snapshot:?}");
            assert_eq!(pc.port.snapshot(), good);
        }
    }

    /// Its backend's `Ok(0)` hits an assertion.
    #[test]
    fn a_line_that_takes_nothing_or_claims_too_much_panics_nowhere() {
        struct Liar(usize);
        impl vm_uart::Line for Liar {
            fn transmit(&mut self, _: &[u8]) -> usize {
                self.0
            }
        }
        for claim in [0, 1, 2, usize::MAX] {
            let mut port = vm_uart::SerialPort::new((), Liar(claim));
            port.write(FCR, 0x01);
            for n in 0..100 {
                port.write(THR, n);
                port.read(LSR);
            }
            port.write_string(THR, &[0; 1000]);
            port.pump();
            if claim > 0 {
                assert_eq!(port.read(LSR) & LSR_THRE, LSR_THRE);
            }
        }
    }
}

/// propolis.
mod propolis {
    use super::*;

    #[test]
    fn the_fifo_is_sixteen_deep() {
        let mut pc = ours();
        pc.outb(FCR, 0xc1);
        pc.type_in(b"0123456789abcdef");
        pc.outb(MCR, MCR_LOOP);
        // The far end is cut off now: what can still be read was inside.
        let inside = (0..17)
            .take_while(|_| pc.inb(LSR) & LSR_DR != 0 && pc.inb(RBR) != 0)
            .count();
        assert!(inside >= 14, "{inside}");
    }

    #[test]
    fn the_modem_lines_are_there() {
        let mut pc = ours();
        assert_eq!(pc.inb(MSR) & 0xf0, 0xb0);
        pc.outb(MCR, 0x1f);
        assert_eq!(pc.inb(MCR), 0x1f);
    }
}

/// vm-superio, Cloud Hypervisor, crosvm.
mod mcr_high_bits_stick {
    use super::*;

    fn mcr_high_bits_read_zero(pc: &mut impl Port) -> bool {
        pc.outb(MCR, 0xe0);
        pc.inb(MCR) == 0
    }

    #[test]
    fn bits_seven_to_five() {
        assert!(mcr_high_bits_read_zero(&mut ours()));
        assert!(!mcr_high_bits_read_zero(&mut Superio::new()));
    }
}

/// Firecracker #5730 and #5764: after a restore nothing raised the interrupt again and the tty
/// stalled.
mod transmit_stall_after_restore {
    use super::*;

    #[test]
    fn what_was_pending_is_raised_on_the_new_line() {
        let mut pc = ours();
        pc.outb(FCR, 0x81);
        pc.outb(IER, 0x03);
        pc.outb(THR, b'x');
        pc.type_in(b"k");
        assert!(pc.pin.is_high());
        let snapshot = pc.port.snapshot();

        let mut after = Ours::new();
        after.port.restore(&snapshot).unwrap();
        assert_eq!(after.edges(), 1, "the new line knows of nothing yet");
        assert_eq!(after.inb(IIR) & 0x0f, 0x0c);
        assert_eq!(after.inb(RBR), b'k');
        assert_eq!(after.inb(IIR) & 0x0f, 0x02, "THRE was pending and still is");
    }

    /// The guest was between its THR write and the handler's IIR read.
    #[test]
    fn an_old_snapshot_of_vm_superio_resumes_too() {
        let mut old = vm_superio::Serial::new(Bell::default(), Vec::new());
        old.write(IER, 0x02).unwrap();
        old.write(THR, b'x').unwrap();
        let bell = Bell::default();
        let mut new = vm_uart::Serial::from_state(
            &old.state(),
            bell.clone(),
            vm_uart::serial::NoEvents,
            Vec::new(),
        )
        .unwrap();
        assert_eq!(bell.rung(), 1);
        assert_eq!(new.read(IIR) & 0x0f, 0x02);
    }

    #[test]
    fn restoring_an_idle_port_raises_nothing() {
        let mut pc = ours();
        pc.outb(IER, 0x05);
        let snapshot = pc.port.snapshot();
        let mut after = Ours::new();
        after.port.restore(&snapshot).unwrap();
        assert_eq!(after.edges(), 0);
    }
}

/// Firecracker #5866, ACRN #3048 and #1474: an interrupt that a driver had handled came again and
/// again.
mod interrupt_storm {
    use super::*;

    #[test]
    fn an_acknowledged_thre_stays_acknowledged() {
        let mut pc = ours();
        pc.outb(IER, 0x02);
        assert_eq!(pc.inb(IIR) & 0x0f, 0x02);
        let before = pc.edges();
        for _ in 0..1000 {
            pc.inb(LSR);
            pc.inb(IIR);
            pc.port.pump();
            pc.port.advance(1_000_000);
        }
        assert_eq!(pc.edges(), before);
        assert!(!pc.pin.is_high());
    }

    #[test]
    fn unread_data_holds_the_line_and_rings_once() {
        let mut pc = ours();
        pc.outb(FCR, 0x01);
        pc.outb(IER, 0x01);
        pc.type_in(b"k");
        let before = pc.edges();
        for _ in 0..1000 {
            pc.inb(IIR);
            pc.inb(LSR);
            pc.port.pump();
        }
        assert_eq!(pc.edges(), before);
    }
}

/// Most: a wide access is dropped or cut to its first byte.
mod wide_access {
    use super::*;

    #[test]
    fn rep_outsb_delivers_every_byte() {
        let mut pc = ours();
        pc.port.write_string(THR, b"a whole line in one exit\r\n");
        assert_eq!(pc.printed(), b"a whole line in one exit\r\n");
    }

    #[test]
    fn rep_insb_reads_one_register_many_times() {
        let mut pc = ours();
        pc.outb(FCR, 0x01);
        pc.type_in(b"sixteen or more, all in order");
        let mut bytes = [0; 29];
        pc.port.read_string(RBR, &mut bytes);
        assert_eq!(&bytes, b"sixteen or more, all in order");
    }
}

/// Nobody tags errors per character: PE and FE must show with the character they belong to.
mod errors_without_their_character {
    use super::*;

    #[test]
    fn each_shows_when_its_character_reaches_the_top() {
        let mut pc = ours();
        pc.outb(FCR, 0xc1);
        pc.outb(IER, 0x04);
        let damaged = |byte, errors| Character { byte, errors };
        pc.port.line_mut().keyboard.extend([
            Character::from(b'a'),
            damaged(b'b', CharacterErrors::PARITY),
            Character::from(b'c'),
            damaged(b'd', CharacterErrors::FRAMING),
            Character::BREAK,
        ]);
        pc.port.pump();
        assert_eq!(
            pc.inb(LSR) & 0x9f,
            LSR_FIFO_ERROR | LSR_DR,
            "damaged ones inside, a good one on top"
        );
        let mut seen = Vec::new();
        for _ in 0..5 {
            let lsr = pc.inb(LSR) & (LSR_PE | LSR_FE | LSR_BI);
            seen.push((pc.inb(RBR), lsr));
        }
        assert_eq!(
            seen,
            [
                (b'a', 0),
                (b'b', LSR_PE),
                (b'c', 0),
                (b'd', LSR_FE),
                (0, LSR_BI | LSR_FE)
            ]
        );
        assert_eq!(pc.inb(LSR) & 0x9f, 0);
    }
}
