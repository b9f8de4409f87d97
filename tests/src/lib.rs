//! End-to-end tests of the serial port and its console, through public interfaces only.
//!
//! This library is what those tests share; the example VMM that they drive is the binary `vmm`.

pub mod background;
pub mod bare_guest;
pub mod flood;
pub mod irqfd;
pub mod output;
pub mod patience;
pub mod process;
pub mod requirement;
pub mod running;
pub mod sum;
pub mod terminal;
pub mod ticking;

/// The README's example, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
