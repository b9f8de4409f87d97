//! A 16550A UART for virtual machine monitors that guests cannot tell from the chip.
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

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

pub use config::{CharacterTimeout, Config, FifoDepth, InterruptGate, ReceiveAhead, ReceiveGate};
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
