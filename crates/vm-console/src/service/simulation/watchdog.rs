//! A time limit for each test, so that none can hang.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

/// Longer than a test takes. `VM_CONSOLE_STRESS_SECONDS` come on top.
const USUAL: Duration = Duration::from_secs(50);
/// For tests that move gibibytes or measure for seconds, on the slowest machine.
const LONG: Duration = Duration::from_secs(240);

/// Ends the test's process if it is not dropped in time.
pub struct Watchdog {
    _alive: Sender<()>,
}

impl Watchdog {
    pub fn new() -> Self {
        Self::within(USUAL)
    }

    /// For a test that is known to take long.
    pub fn long() -> Self {
        Self::within(LONG)
    }

    fn within(limit: Duration) -> Self {
        let (alive, over) = bounded(0);
        let test = std::thread::current().name().unwrap_or("?").to_owned();
        let stress = std::env::var("VM_CONSOLE_STRESS_SECONDS").ok();
        let stress = stress.and_then(|seconds| seconds.parse().ok()).unwrap_or(0);
        let limit = limit + Duration::from_secs(stress);
        std::thread::spawn(move || {
            if over.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                eprintln!("FAILED: {test} has hung for {limit:?}");
                std::process::abort();
            }
        });
        Self { _alive: alive }
    }
}
