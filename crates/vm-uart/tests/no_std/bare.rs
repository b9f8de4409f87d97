//! The core in a program without `std`: compiled by `no_std.rs`, not run.
//!
//! A static library pulls in every crate it needs. Had the core or its dependency linked `std`,
//! there would be a second panic handler beside the one here; had they linked `alloc`, a global
//! allocator would be missing. Either fails the build.

#![no_std]

use core::panic::PanicInfo;
use core::time::Duration;

use vm_uart::{Character, Line, ModemInputs, SerialPort};

#[cfg(std_on_purpose)]
extern crate std;

#[cfg(alloc_on_purpose)]
extern crate alloc;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

/// A line as an embedded hypervisor has it: bytes go to and come from its monitor.
pub struct Monitor {
    put: fn(u8),
    get: fn() -> Option<u8>,
}

impl Line for Monitor {
    fn transmit(&mut self, bytes: &[u8]) -> usize {
        bytes.iter().for_each(|&byte| (self.put)(byte));
        bytes.len()
    }

    fn receive(&mut self) -> Option<Character> {
        (self.get)().map(Character::from)
    }
}

type Port = SerialPort<(), Monitor>;

/// All that a hypervisor does with the port.
#[allow(dead_code, reason = "called by nobody: being compiled is enough")]
pub struct Entries {
    new: fn(Monitor) -> Port,
    read: fn(&mut Port, u8) -> u8,
    write: fn(&mut Port, u8, u8),
    read_string: fn(&mut Port, u8, &mut [u8]),
    write_string: fn(&mut Port, u8, &[u8]),
    pump: fn(&mut Port),
    advance: fn(&mut Port, u64),
    keep_time: fn(&mut Port, Duration) -> Option<Duration>,
    receive_bytes: fn(&mut Port, &[u8]) -> usize,
    set_modem_inputs: fn(&mut Port, ModemInputs),
    reset: fn(&mut Port),
    copy_state: fn(&Port, &mut Port) -> bool,
    #[cfg(panic_on_purpose)]
    index: fn(&[u8], usize) -> u8,
}

// Kept although nothing refers to it, and with it everything it reaches.
#[used]
pub static ENTRIES: Entries = Entries {
    new: |monitor| SerialPort::new((), monitor),
    read: |port, offset| port.read(offset),
    write: |port, offset, value| port.write(offset, value),
    read_string: |port, offset, data| port.read_string(offset, data),
    write_string: |port, offset, data| port.write_string(offset, data),
    pump: |port| port.pump(),
    advance: |port, nanoseconds| port.advance(nanoseconds),
    keep_time: |port, now| port.keep_time(now),
    receive_bytes: |port, bytes| port.receive_bytes(bytes),
    set_modem_inputs: |port, inputs| port.set_modem_inputs(inputs),
    reset: |port| port.reset(),
    copy_state: |from, to| to.restore(&from.snapshot()).is_ok(),
    #[cfg(panic_on_purpose)]
    index: |data, index| data[index],
};
