//! SeaBIOS at the port: detection at power-on, the debug log, and the INT 14h services a boot
//! sector calls.
//!
//! Follows `src/serial.c` and `src/hw/serialio.c` step by step; each helper is named after the
//! function it stands for.

mod machine;

use machine::*;

/// How often `serial_debug` looks at the LSR before it gives a character up.
const DEBUG_TIMEOUT: u32 = 100_000;

/// `detect_serial`: no port without IER.1 that sticks and a THR-empty interrupt that shows in IIR
/// at once.
fn detect_serial(port: &mut impl Port) -> bool {
    port.outb(IER, 0x02);
    if port.inb(IER) != 0x02 {
        return false;
    }
    if port.inb(IIR) & 0x3f != 0x02 {
        return false;
    }
    port.outb(IER, 0x00);
    true
}

/// `serial_debug_preinit`: 8N1, interrupts off, and what both were before.
fn serial_debug_preinit(port: &mut impl Port) -> (u8, u8) {
    let line_control = port.inb(LCR);
    port.outb(LCR, LCR_8N1);
    let interrupt_enable = port.inb(IER);
    port.outb(IER, 0);
    (line_control, interrupt_enable)
}

/// `serial_debug_putc`: one LSR per byte, at most 100,000 of them; LF goes out as CR LF. Returns
/// the polls it took.
fn serial_debug_putc(port: &mut impl Port, byte: u8) -> Result<u32, &'static str> {
    let mut polls = 0;
    if byte == b'\n' {
        polls += serial_debug(port, b'\r')?;
    }
    Ok(polls + serial_debug(port, byte)?)
}

/// `serial_debug`.
fn serial_debug(port: &mut impl Port, byte: u8) -> Result<u32, &'static str> {
    for polls in 1..=DEBUG_TIMEOUT {
        if port.inb(LSR) & LSR_THRE != 0 {
            port.outb(THR, byte);
            return Ok(polls);
        }
    }
    Err("ran out of tries")
}

/// `serial_debug_flush`: THRE and TEMT together.
fn serial_debug_flush(port: &mut impl Port) -> bool {
    (0..DEBUG_TIMEOUT).any(|_| port.inb(LSR) & 0x60 == 0x60)
}

/// `handle_1400`, INT 14h AH=0: speed and format from AL; answers LSR and MSR.
fn handle_1400(port: &mut impl Port, al: u8) -> (u8, u8) {
    let lcr = port.inb(LCR);
    port.outb(LCR, lcr | LCR_DLAB);
    let divisor: u16 = match al >> 5 {
        0 => 0x0417,
        speed => 0x600 >> speed,
    };
    port.outb(DLL, divisor as u8);
    port.outb(DLM, (divisor >> 8) as u8);
    port.outb(LCR, al & 0x1f);
    (port.inb(LSR), port.inb(MSR))
}

/// `handle_1401`, INT 14h AH=1: THRE and TEMT, then the byte. `None`: time-out.
fn handle_1401(port: &mut impl Port, byte: u8) -> Option<u8> {
    let lsr = (0..DEBUG_TIMEOUT)
        .map(|_| port.inb(LSR))
        .find(|lsr| lsr & 0x60 == 0x60)?;
    port.outb(THR, byte);
    Some(lsr)
}

/// `handle_1402`, INT 14h AH=2: waits for DR, reads. `None`: time-out.
fn handle_1402(port: &mut impl Port) -> Option<u8> {
    (0..1000).find(|_| port.inb(LSR) & LSR_DR != 0)?;
    Some(port.inb(RBR))
}

#[test]
fn detect_serial_finds_the_port_and_leaves_interrupts_off() {
    let mut pc = Ours::new();
    assert!(detect_serial(&mut pc));
    assert_eq!(pc.inb(IER), 0);
    assert_eq!(pc.inb(IIR), IIR_NONE, "FIFO off, nothing pending");
    assert_eq!(
        pc.edges(),
        0,
        "OUT2 is low at power-on: the probe must not interrupt"
    );
}

#[test]
fn detect_serial_finds_it_again_after_a_driver_left_its_settings() {
    let mut pc = Ours::new();
    pc.outb(FCR, 0xc7);
    pc.outb(MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
    pc.type_in(b"?");
    assert!(
        detect_serial(&mut pc),
        "bits 7:6 of IIR are masked by the probe; THRE must be what it reports"
    );
}

#[test]
fn the_debug_log_takes_one_poll_a_byte() {
    let mut pc = Ours::new();
    assert_eq!(
        serial_debug_preinit(&mut pc),
        (0x00, 0x00),
        "LCR and IER read 00 at power-on"
    );
    let log = b"SeaBIOS (version 1.16.3)\nBooting from Hard Disk...\n";
    let polls: u32 = log
        .iter()
        .map(|&b| serial_debug_putc(&mut pc, b).unwrap())
        .sum();
    assert!(serial_debug_flush(&mut pc));
    let expected = b"SeaBIOS (version 1.16.3)\r\nBooting from Hard Disk...\r\n";
    assert_eq!(pc.printed(), expected);
    assert_eq!(polls as usize, expected.len());
}

#[test]
fn int_14h_sets_every_speed_and_echoes() {
    let mut pc = Ours::new();
    for (al, divisor) in [(0x03u8, 0x0417u16), (0xe3, 0x000c), (0x83, 0x0060)] {
        let (lsr, msr) = handle_1400(&mut pc, al);
        assert_eq!(lsr, LSR_THRE | LSR_TEMT);
        assert_eq!(msr & 0xf0, 0xb0, "a cable with CTS, DSR and DCD");
        pc.outb(LCR, LCR_DLAB | LCR_8N1);
        assert_eq!(
            u16::from(pc.inb(DLL)) | u16::from(pc.inb(DLM)) << 8,
            divisor
        );
        pc.outb(LCR, LCR_8N1);
    }
    // A boot sector that echoes.
    pc.type_in(b"echo me");
    while let Some(byte) = handle_1402(&mut pc) {
        assert!(
            handle_1401(&mut pc, byte).is_some(),
            "the boot sector saw a time-out"
        );
    }
    assert_eq!(pc.printed(), b"echo me");
}

#[test]
fn a_line_that_refuses_costs_the_tries_and_no_more() {
    let mut pc = Ours::new();
    pc.port.line_mut().room = Some(0);
    serial_debug_preinit(&mut pc);
    serial_debug(&mut pc, b'1').unwrap();
    assert_eq!(
        serial_debug(&mut pc, b'2'),
        Err("ran out of tries"),
        "THRE stays low while the byte is held"
    );
    pc.port.line_mut().room = None;
    pc.port.pump();
    assert_eq!(serial_debug(&mut pc, b'3'), Ok(1));
    assert_eq!(pc.printed(), b"13");
}

#[test]
fn a_machine_without_the_port_costs_one_poll_a_byte() {
    let mut nothing = machine::Absent::default();
    assert!(!detect_serial(&mut nothing));
    serial_debug_preinit(&mut nothing);
    for byte in *b"SeaBIOS" {
        assert_eq!(
            serial_debug_putc(&mut nothing, byte),
            Ok(1),
            "100,000 polls a byte would be 15 s of boot"
        );
    }
    assert!(serial_debug_flush(&mut nothing));
}
