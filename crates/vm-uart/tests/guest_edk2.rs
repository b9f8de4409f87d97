//! EDK2 (OVMF): firmware that waits for the transmitter without any bound, then fills the FIFO
//! blindly.
//!
//! Follows `MdeModulePkg/Library/BaseSerialPortLib16550`; each helper is named after the function
//! it stands for. Where EDK2 would wait for ever, the helper panics after a million polls.

mod machine;

use machine::*;

const LINE_CONTROL: u8 = LCR_8N1;
const FIFO_CONTROL: u8 = 0x07;
const FIFO_SIZE: usize = 16;
const DIVISOR: u16 = 1;

fn wait_for(port: &mut impl Port, bits: u8) {
    for _ in 0..1_000_000 {
        if port.inb(LSR) & bits == bits {
            return;
        }
    }
    panic!("EDK2 hangs here: LSR never showed {bits:#04x}");
}

/// `SerialPortInitialize`: leaves a port alone that is set already. Returns whether it had to set
/// it.
fn serial_port_initialize(port: &mut impl Port) -> bool {
    let mut initialised = port.inb(LCR) & 0x3f == LINE_CONTROL & 0x3f;
    let lcr = port.inb(LCR);
    port.outb(LCR, lcr | LCR_DLAB);
    let divisor = u16::from(port.inb(DLM)) << 8 | u16::from(port.inb(DLL));
    let lcr = port.inb(LCR);
    port.outb(LCR, lcr & !LCR_DLAB);
    initialised &= divisor == DIVISOR;
    if initialised {
        return false;
    }
    wait_for(port, LSR_TEMT | LSR_THRE);
    port.outb(LCR, LCR_DLAB);
    port.outb(DLM, (DIVISOR >> 8) as u8);
    port.outb(DLL, DIVISOR as u8);
    port.outb(LCR, LINE_CONTROL & 0x3f);
    port.outb(FCR, 0x00);
    port.outb(FCR, FIFO_CONTROL & 0x21);
    port.outb(MCR, 0x00);
    true
}

/// `SerialPortWrite`: TEMT, then up to sixteen bytes without a look at the LSR. Nothing to write:
/// flush.
fn serial_port_write(port: &mut impl Port, bytes: &[u8]) {
    if bytes.is_empty() {
        wait_for(port, LSR_TEMT | LSR_THRE);
    }
    for burst in bytes.chunks(FIFO_SIZE) {
        wait_for(port, LSR_TEMT);
        for &byte in burst {
            port.outb(THR, byte);
        }
    }
}

/// `SerialPortPoll` and `SerialPortRead` of one byte.
fn serial_port_read(port: &mut impl Port) -> Option<u8> {
    (port.inb(LSR) & LSR_DR != 0).then(|| {
        wait_for(port, LSR_DR);
        port.inb(RBR)
    })
}

/// `SerialPortWritable`, with `PcdSerialUseHardwareFlowControl` and a cable to be detected: DSR and
/// CTS.
fn serial_port_writable(port: &mut impl Port) -> bool {
    port.inb(MSR) & 0x30 == 0x30
}

#[test]
fn the_port_is_set_once_and_recognised_by_the_next_phase() {
    let mut pc = Ours::new();
    assert!(serial_port_initialize(&mut pc), "SEC sets it");
    assert!(
        !serial_port_initialize(&mut pc),
        "PEI and DXE find it set: LCR and divisor read back"
    );
}

#[test]
fn a_boot_log_goes_out_sixteen_bytes_a_poll() {
    let mut pc = Ours::new();
    serial_port_initialize(&mut pc);
    let log: Vec<u8> = (0..10_000u32).map(|n| (n % 251) as u8).collect();
    serial_port_write(&mut pc, &log);
    serial_port_write(&mut pc, &[]);
    assert_eq!(pc.printed(), log);
    assert_eq!(pc.edges(), 0);
}

#[test]
fn the_boot_manager_reads_keys_with_modem_control_all_zero() {
    let mut pc = Ours::new();
    serial_port_initialize(&mut pc);
    assert_eq!(pc.inb(MCR), 0);
    pc.type_in(b"\x1b[24~");
    let keys: Vec<u8> = std::iter::from_fn(|| serial_port_read(&mut pc))
        .take(1000)
        .collect();
    assert_eq!(keys, b"\x1b[24~", "DTR and RTS low stop nobody from typing");
}

#[test]
fn hardware_flow_control_sees_a_cable() {
    assert!(serial_port_writable(&mut Ours::new()));
}

#[test]
fn a_machine_without_the_port_does_not_hang_the_firmware() {
    let mut nothing = machine::Absent::default();
    serial_port_initialize(&mut nothing);
    serial_port_write(&mut nothing, b"PEI core");
    serial_port_write(&mut nothing, &[]);
    assert_eq!(serial_port_read(&mut nothing), None);
}
