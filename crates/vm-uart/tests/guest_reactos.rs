//! ReactOS: the bus driver's probe of legacy ports, and the debugger's port library.
//!
//! Follows `SerialDoesPortExist` of the serial driver (`legacy.c`) and `sdk/lib/cportlib`
//! (`ComPortTest1`, `ComPortTest2`, `CpInitialize`, `CpGetByte`, `CpPutByte`). The first of the two
//! tests of the library is the one Windows Server 2003 documents for its headless ports.

mod machine;

use machine::*;

/// `SerialDoesPortExist`: loopback ties the modem outputs to the modem inputs, all low and all
/// high.
fn serial_does_port_exist(port: &mut impl Port) -> bool {
    let mcr = port.inb(MCR);
    port.outb(MCR, MCR_LOOP);
    port.outb(MCR, MCR_LOOP);
    let mut found = false;
    if port.inb(MSR) & 0xf0 == 0x00 {
        port.outb(MCR, 0x1f);
        if port.inb(MSR) & 0xf0 == 0xf0 {
            port.outb(FCR, 0x07);
            port.outb(FCR, 0x00);
            port.inb(RBR);
            port.outb(IER, 0x00);
            found = true;
        }
    }
    port.outb(MCR, mcr);
    found
}

/// `ComPortTest1`: all outputs low in loopback gives no modem input; OUT1 alone gives RI.
fn com_port_test_1(port: &mut impl Port) -> bool {
    let mcr = port.inb(MCR);
    port.outb(MCR, MCR_LOOP);
    port.outb(MCR, MCR_LOOP);
    let mut passed = false;
    if port.inb(MSR) & 0xf0 == 0x00 {
        port.outb(MCR, MCR_OUT1 | MCR_LOOP);
        passed = port.inb(MSR) & 0x40 != 0;
    }
    port.outb(MCR, mcr);
    passed
}

/// `ComPortTest2`: the scratch register holds every value.
fn com_port_test_2(port: &mut impl Port) -> bool {
    (0..=0xff).all(|value| {
        port.outb(SCR, value);
        port.inb(SCR) == value
    })
}

/// `CpInitialize` at 115200.
fn cp_initialize(port: &mut impl Port) {
    port.outb(LCR, 0);
    port.outb(IER, 0);
    port.outb(MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
    let lcr = port.inb(LCR);
    port.outb(LCR, lcr | LCR_DLAB);
    port.outb(DLL, 1);
    port.outb(DLM, 0);
    port.outb(LCR, lcr);
    port.outb(LCR, LCR_8N1);
    port.outb(FCR, 0x07);
    port.inb(RBR);
}

/// `CpReadLsr`: while it waits it watches RI; two changes of it would make the port a modem.
fn cp_read_lsr(port: &mut impl Port, expected: u8, ring_indicator: &mut u8) -> u8 {
    let lsr = port.inb(LSR);
    if lsr & expected == 0 {
        *ring_indicator |= if port.inb(MSR) & 0x40 != 0 { 1 } else { 2 };
    }
    lsr
}

#[derive(Debug, PartialEq)]
enum Got {
    Byte(u8),
    Error,
    Nothing,
}

/// `CpGetByte`: a byte with an error is no byte.
fn cp_get_byte(port: &mut impl Port, ring_indicator: &mut u8) -> Got {
    let lsr = cp_read_lsr(port, LSR_DR, ring_indicator);
    if lsr & LSR_DR == 0 {
        return Got::Nothing;
    }
    if lsr & (LSR_FE | LSR_PE | LSR_OE) != 0 {
        return Got::Error;
    }
    Got::Byte(port.inb(RBR))
}

/// `CpPutByte`.
fn cp_put_byte(port: &mut impl Port, byte: u8, ring_indicator: &mut u8) {
    assert!(
        (0..1_000_000).any(|_| cp_read_lsr(port, LSR_THRE, ring_indicator) & LSR_THRE != 0),
        "the debugger hangs here"
    );
    port.outb(THR, byte);
}

#[test]
fn the_bus_driver_finds_the_port_and_puts_the_modem_lines_back() {
    let mut pc = Ours::new();
    pc.outb(MCR, MCR_DTR | MCR_RTS);
    assert!(serial_does_port_exist(&mut pc));
    assert_eq!(pc.inb(MCR), MCR_DTR | MCR_RTS);
    let outputs = pc.port.line().outputs.expect("the line was told");
    assert!(outputs.dtr && outputs.rts && !outputs.out1 && !outputs.out2);
}

#[test]
fn the_port_library_finds_it_by_either_test() {
    let mut pc = Ours::new();
    assert!(com_port_test_1(&mut pc));
    assert!(com_port_test_2(&mut pc));
}

#[test]
fn nothing_leaves_the_port_while_it_is_probed() {
    let mut pc = Ours::new();
    serial_does_port_exist(&mut pc);
    com_port_test_1(&mut pc);
    com_port_test_2(&mut pc);
    assert_eq!(pc.printed(), b"");
    assert_eq!(pc.edges(), 0);
}

#[test]
fn a_debugger_packet_goes_both_ways() {
    let mut pc = Ours::new();
    let mut ring_indicator = 0;
    cp_initialize(&mut pc);
    assert_eq!(cp_get_byte(&mut pc, &mut ring_indicator), Got::Nothing);
    for byte in *b"0000\x00\x00" {
        cp_put_byte(&mut pc, byte, &mut ring_indicator);
    }
    assert_eq!(pc.printed(), b"0000\x00\x00");
    pc.type_in(b"iiii");
    for _ in 0..4 {
        assert_eq!(cp_get_byte(&mut pc, &mut ring_indicator), Got::Byte(b'i'));
    }
    assert_ne!(ring_indicator, 3, "RI never toggled: this is no modem");
}

#[test]
fn a_framing_error_is_told_once_and_the_next_byte_is_good() {
    let mut pc = Ours::new();
    let mut ring_indicator = 0;
    cp_initialize(&mut pc);
    pc.port
        .line_mut()
        .keyboard
        .push_back(vm_uart::Character::BREAK);
    pc.type_in(b"k");
    assert_eq!(
        cp_get_byte(&mut pc, &mut ring_indicator),
        Got::Error,
        "a break carries a framing error"
    );
    // The library leaves the bad byte where it is; with its error read it is a plain zero.
    assert_eq!(cp_get_byte(&mut pc, &mut ring_indicator), Got::Byte(0));
    assert_eq!(cp_get_byte(&mut pc, &mut ring_indicator), Got::Byte(b'k'));
}

#[test]
fn a_machine_without_the_port_is_found_out() {
    let mut nothing = machine::Absent::default();
    assert!(!serial_does_port_exist(&mut nothing));
    assert!(!com_port_test_1(&mut nothing) && !com_port_test_2(&mut nothing));
}
