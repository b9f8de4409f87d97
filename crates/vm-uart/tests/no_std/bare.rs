//! The core in a program without `std`: compiled by `no_std.rs`, not run.
//!
//! A static library pulls in every crate it needs. Had the core or its dependency linked `std`, there would be a second panic handler
//! beside the one here; had they linked `alloc`, a global allocator would be missing. Either fails the build.

#![no_std]

use core::panic::PanicInfo;

use vm_uart::{Character, Line, SerialPort, SnapshotError};

#[cfg(std_on_purpose)]
extern crate std;

#[cfg(alloc_on_purpose)]
extern crate alloc;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

/// A line as an embedded hypervisor has it: the bytes go straight to a monitor.
pub struct Monitor(pub fn(u8));

impl Line for Monitor {
    fn transmit(&mut self, bytes: &[u8]) -> usize {
        bytes.iter().for_each(|&byte| self.0(byte));
        bytes.len()
    }

    fn receive(&mut self) -> Option<Character> {
        None
    }
}

type Port = SerialPort<(), Monitor>;

pub extern "C" fn uart_new(monitor: fn(u8)) -> Port {
    SerialPort::new((), Monitor(monitor))
}

pub extern "C" fn uart_read(port: &mut Port, offset: u8) -> u8 {
    port.read(offset)
}

pub extern "C" fn uart_write(port: &mut Port, offset: u8, value: u8) {
    port.write(offset, value);
}

pub extern "C" fn uart_read_string(port: &mut Port, offset: u8, data: &mut [u8; 64]) {
    port.read_string(offset, data);
}

pub extern "C" fn uart_write_string(port: &mut Port, offset: u8, data: &[u8; 64]) {
    port.write_string(offset, data);
}

pub extern "C" fn uart_pump(port: &mut Port) {
    port.pump();
}

pub extern "C" fn uart_advance(port: &mut Port, nanoseconds: u64) {
    port.advance(nanoseconds);
}

pub extern "C" fn uart_reset(port: &mut Port) {
    port.reset();
}

pub extern "C" fn uart_copy_state(from: &Port, to: &mut Port) -> bool {
    let restored: Result<(), SnapshotError> = to.restore(&from.snapshot());
    restored.is_ok()
}
