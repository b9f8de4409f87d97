//! A port in a `Mutex` on the buses of the `vm-device` crate.
#![cfg(feature = "vm-device")]

mod machine;

use std::sync::{Arc, Mutex};

use machine::{LCR, LSR, MSR, SCR, THR, Terminal};
use vm_device::bus::{MmioAddress, MmioRange, PioAddress, PioRange};
use vm_device::device_manager::{IoManager, MmioManager, PioManager};
use vm_uart::SerialPort;
use vm_uart::bus::mmio::Strided;
use vm_uart::bus::mmio::{Mmio, Stride};

const COM1: u16 = 0x3f8;

fn com1() -> (IoManager, Arc<Mutex<SerialPort<(), Terminal>>>) {
    let port = Arc::new(Mutex::new(SerialPort::new((), Terminal::default())));
    let mut manager = IoManager::new();
    manager
        .register_pio(PioRange::new(PioAddress(COM1), 8).unwrap(), port.clone())
        .unwrap();
    (manager, port)
}

#[test]
fn port_io_reaches_each_register() {
    let (manager, port) = com1();
    manager
        .pio_write(PioAddress(COM1 + u16::from(SCR)), &[0x5a])
        .unwrap();
    let mut byte = [0];
    manager
        .pio_read(PioAddress(COM1 + u16::from(SCR)), &mut byte)
        .unwrap();
    assert_eq!(byte, [0x5a]);
    assert_eq!(port.lock().unwrap().read(SCR), 0x5a);
}

#[test]
fn a_string_of_bytes_goes_to_one_register() {
    let (manager, port) = com1();
    manager.pio_write(PioAddress(COM1), b"string").unwrap();
    assert_eq!(port.lock().unwrap().line().paper, b"string");
    let mut polls = [0; 3];
    manager
        .pio_read(PioAddress(COM1 + u16::from(LSR)), &mut polls)
        .unwrap();
    assert_eq!(polls, [0x60; 3]);
}

#[test]
fn memory_with_adjacent_registers_splits_a_wide_access() {
    let port = Arc::new(Mutex::new(SerialPort::new((), Terminal::default())));
    let mut manager = IoManager::new();
    manager
        .register_mmio(
            MmioRange::new(MmioAddress(0x1000), 8).unwrap(),
            port.clone(),
        )
        .unwrap();
    manager
        .mmio_write(MmioAddress(0x1000 + u64::from(THR)), b"x")
        .unwrap();
    let mut both = [0; 2];
    manager
        .mmio_read(MmioAddress(0x1000 + u64::from(LSR)), &mut both)
        .unwrap();
    assert_eq!(both, [0x60, 0xb0], "LSR and MSR");
    assert_eq!(u64::from(LSR) + 1, u64::from(MSR));
    assert_eq!(port.lock().unwrap().line().paper, b"x");
}

#[test]
fn memory_with_a_stride_keeps_the_registers_apart() {
    let window = Mmio::new(Stride::Four);
    let port = SerialPort::new((), Terminal::default());
    let device = Arc::new(Mutex::new(Strided {
        registers: port,
        window,
    }));
    let mut manager = IoManager::new();
    let range = MmioRange::new(MmioAddress(0x1000), window.size()).unwrap();
    manager.register_mmio(range, device.clone()).unwrap();
    manager
        .mmio_write(
            MmioAddress(0x1000 + 4 * u64::from(LCR)),
            &0x1b_u32.to_le_bytes(),
        )
        .unwrap();
    let mut word = [0xee; 4];
    manager
        .mmio_read(MmioAddress(0x1000 + 4 * u64::from(LCR)), &mut word)
        .unwrap();
    assert_eq!(word, [0x1b, 0, 0, 0]);
    manager
        .mmio_read(MmioAddress(0x1002), &mut word[..2])
        .unwrap();
    assert_eq!(word[..2], [0xff, 0xff], "between two registers");
    assert_eq!(device.lock().unwrap().registers.read(LCR), 0x1b);
}

#[cfg(feature = "vm-superio")]
#[test]
fn the_drop_in_is_a_device_too() {
    use vm_device::{MutDeviceMmio, MutDevicePio};

    let (pio, mmio) = (PioAddress(COM1), MmioAddress(0x1000));
    let mut serial = vm_uart::Serial::new(machine::Bell::default(), Vec::new());
    serial.pio_write(pio, THR.into(), b"string");
    serial.mmio_write(mmio, SCR.into(), &[0x5a]);
    let mut byte = [0];
    serial.pio_read(pio, SCR.into(), &mut byte);
    assert_eq!((&serial.writer()[..], byte), (&b"string"[..], [0x5a]));
    serial.mmio_read(mmio, LSR.into(), &mut byte);
    assert_eq!(byte, [0x60]);
}
