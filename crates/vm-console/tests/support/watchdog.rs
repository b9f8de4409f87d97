//! A time limit for each test, so that none can hang.

use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

/// Longer than any test takes; `VM_CONSOLE_STRESS_SECONDS` come on top.
const LIMIT: Duration = Duration::from_secs(120);

/// Ends the test's process if it is not dropped in time.
pub struct Watchdog {
    _alive: Sender<()>,
}

impl Watchdog {
    pub fn new() -> Self {
        let (alive, over) = bounded(0);
        let test = std::thread::current().name().unwrap_or("?").to_owned();
        let stress = std::env::var("VM_CONSOLE_STRESS_SECONDS").ok();
        let stress = stress.and_then(|seconds| seconds.parse().ok()).unwrap_or(0);
        let limit = LIMIT + Duration::from_secs(stress);
        std::thread::spawn(move || {
            if over.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                eprintln!("FAILED: {test} has hung for {limit:?}");
                std::process::abort();
            }
        });
        Self { _alive: alive }
    }
}
