//! The device and the independent model answer every sequence of accesses alike.
//!
//! ```text
//! cargo +nightly fuzz run differential CORPUS fuzz/seeds/differential -- -max_len=4096
//! ```
//!
//! `CORPUS` is where libFuzzer writes; the seeds stay as they are. At the end the exact number of
//! accesses is printed. What the bytes mean stands at `pair::Script`; what is compared, at
//! `pair::Pair`.
#![no_main]

#[path = "../../crates/vm-uart/tests/model/mod.rs"]
mod model;
#[path = "../../crates/vm-uart/tests/pair/mod.rs"]
mod pair;
mod tally;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| tally::add(pair::run(data)));
