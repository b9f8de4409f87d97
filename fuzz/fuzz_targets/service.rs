//! Whatever clients, guest, owner and kernel do, and however it falls together: the service keeps
//! its promises.
//!
//! ```text
//! cargo +nightly fuzz run service CORPUS fuzz/seeds/service -- -max_len=4096
//! ```
//!
//! The input is a script; `service/simulation` in `vm-console` says what it means and what is
//! checked. It is compiled only where cargo-fuzz sets `cfg(fuzzing)`. At the end the exact number of
//! events is printed.
#![no_main]

#[cfg(fuzzing)]
mod tally;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tally::add(vm_console::service::simulate(data)));
