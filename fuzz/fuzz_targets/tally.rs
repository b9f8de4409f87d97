//! Counts accesses, and tells the sum when libFuzzer exits.

use std::cell::Cell;
use std::io::{self, Write};

struct Tally(Cell<u64>);

thread_local! {
    static TALLY: Tally = const { Tally(Cell::new(0)) };
}

/// Adds to the sum.
pub fn add(accesses: u64) {
    TALLY.with(|tally| tally.0.set(tally.0.get() + accesses));
}

impl Drop for Tally {
    fn drop(&mut self) {
        // A panic here would count as a crash that was found.
        let _ = writeln!(io::stderr(), "accesses: {}", self.0.get());
    }
}
