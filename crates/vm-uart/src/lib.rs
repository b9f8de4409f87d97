//! A 16550A UART for virtual machine monitors. Its registers and interrupts are those of the chip; a
//! guest can tell it apart [by time](#what-a-guest-could-notice) only.
//!
//! ```
//! use vm_uart::{InterruptLine, Line, SerialPort};
//! use vm_uart::bus::{Width, pio};
//!
//! /// Where bytes go. A real one appends to a log, a socket's buffer, a pty.
//! #[derive(Default)]
//! struct Screen(Vec<u8>);
//!
//! impl Line for Screen {
//!     fn transmit(&mut self, bytes: &[u8]) -> usize {
//!         self.0.extend_from_slice(bytes);
//!         bytes.len() // fewer is back-pressure: the rest waits with THRE low
//!     }
//! }
//!
//! /// The interrupt line. For an irqfd, or any `vm_superio::Trigger`, there is `EdgeLine`.
//! #[derive(Default)]
//! struct Irq4 {
//!     level: bool,
//! }
//!
//! impl InterruptLine for Irq4 {
//!     fn assert(&mut self) {
//!         self.level = true;
//!     }
//!     fn deassert(&mut self) {
//!         self.level = false;
//!     }
//! }
//!
//! let mut com1 = SerialPort::new(Irq4::default(), Screen::default());
//!
//! // In the exit handler of a vCPU, for ports 0x3f8 to 0x3ff:
//! pio::write(&mut com1, 0x3f8 - 0x3f8, Width::Byte, b"rep outsb brings many bytes at once");
//! let mut answer = [0];
//! pio::read(&mut com1, 0x3fd - 0x3f8, Width::Byte, &mut answer);
//!
//! assert_eq!(answer, [0x60]); // LSR: transmitter empty
//! assert_eq!(com1.line().0, b"rep outsb brings many bytes at once");
//! assert!(!com1.interrupt().level);
//! ```
//!
//! # What is in here
//!
//! | | |
//! |---|---|
//! | [`Uart`] | the chip: registers, FIFOs, loopback, interrupt state. Pure: no clock, no I/O, no allocation. [Its module](uart) lists the cases that the data sheet leaves open, and the choices made. |
//! | [`SerialPort`] | the chip bound to an [`InterruptLine`] and to a [`Line`] |
//! | [`registers`], [`interrupt`], [`timing`] | the data sheet as types and pure functions |
//! | [`Config`] | the board designer's choices: OUT2 gate, FIFO depth, auto flow control, character timeout |
//! | [`bus`] | [port I/O](bus::pio) and [memory-mapped I/O](bus::mmio): the meaning of an access of any width, address and length |
//! | [`Snapshot`] | the chip as versioned plain data |
//! | [`NullUart`] | for machines without the port |
//! | `EdgeLine` | any `vm_superio::Trigger` as an interrupt line, and why it loses no interrupt (feature `vm-superio`) |
//! | `Serial` | drop-in for `vm_superio::Serial`: change one `use` line; see the page `migration` (feature `vm-superio`) |
//! | `bus::coalesced` | THR writes through KVM's ring, without an exit each (feature `kvm`) |
//! | `bus::vm_device` | `vm_device`'s bus traits (feature `vm-device`) |
//!
//! The source of truth is the National Semiconductor PC16550D data sheet; comments name its
//! sections.
//!
//! # What a guest could notice
//!
//! The [open cases](uart) of the data sheet apart, the difference is time:
//!
//! * A transmitted character takes no time, whatever the divisor says, unless the
//!   [line](Line::transmit) refuses it.
//! * With [`CharacterTimeout::WhenDrained`], the default, the character timeout comes as soon as the
//!   host has no more input, so that no clock is needed and no key waits. Input that arrives one
//!   character at a time then costs an interrupt each, whatever the trigger level is. With
//!   [`CharacterTimeout::FourCharacters`] and an owner who
//!   [keeps the time](SerialPort::keep_time) it comes as on the chip, at most four characters
//!   later. The console service of the `vm-console` crate is such an owner.
//! * Input from a [`Line`] that is asked never overruns. By default no more of it is in the FIFO
//!   than the trigger level says, as if the sender waited for each read: see
//!   [`ReceiveAhead::TriggerLevel`].
//! * An interrupt handler that serves a sender without end would never find IIR at "none", as
//!   nothing takes time. If it reads LSR in each pass, IIR says so once after 400 passes, and the
//!   interrupt comes anew; Linux would log "too much work for irq4" after 512. The chip says it
//!   much earlier, while the characters of a pass are on the line. Passes for which the owner lets
//!   as much [time](SerialPort::advance) go by as they take there do not count.
//!
//! # What can be relied on
//!
//! * No guest access and no host input panics, blocks or allocates; every buffer has the chip's own
//!   bound. In a release build no panic is compiled into any method of the port: a test reads the
//!   assembly.
//! * Host input is never lost for want of room: the port [asks for it](Line::receive) when there is
//!   room, and until then it waits in the line. Guest output is lost only while the line
//!   refuses bytes, if the guest then writes THR without waiting for THRE, clears the transmitter,
//!   begins loopback or is reset; the port [counts](SerialPort::lost) it.
//! * The interrupt line is computed anew from the chip's state after every access, by [one pure
//!   function](interrupt::pending).
//! * A [`Uart`] is 200 bytes. On x86-64 the port with its snapshots is 4 KiB of code (release, fat
//!   LTO; 10 KiB without LTO).
//! * Without default features the crate is `no_std`, depends on `bitflags` alone and links without
//!   an allocator.
//!
//! A byte written to an idle port costs one or two nanoseconds besides the cost of the line. The
//! port has no lock of its own: an owner with several threads puts it into a `Mutex`.
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod bus;
pub mod config;
mod fifo;
pub mod interrupt;
mod irq;
mod line;
#[cfg(feature = "vm-superio")]
#[doc = include_str!("migration.md")]
pub mod migration {}
mod null;
mod port;
pub mod registers;
#[cfg(feature = "vm-superio")]
pub mod serial;
pub mod snapshot;
pub mod timing;
pub mod uart;

pub use config::{
    CharacterTimeout, Config, FifoDepth, InterruptGate, PowerOn, ReceiveAhead, ReceiveGate,
};
pub use fifo::Character;
#[cfg(feature = "vm-superio")]
pub use irq::EdgeLine;
pub use irq::InterruptLine;
pub use line::{Line, ModemInputs, Outputs};
pub use null::NullUart;
pub use port::SerialPort;
pub use registers::CharacterErrors;
#[cfg(feature = "vm-superio")]
pub use serial::{Serial, SerialState};
pub use snapshot::{Snapshot, SnapshotError};
pub use uart::{Received, Uart};
#[cfg(feature = "vm-superio")]
pub use vm_superio::Trigger;
