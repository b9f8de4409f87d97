//! End-to-end tests of the serial port and its console, through public interfaces only.

pub mod bare_guest;
pub mod requirement;
