//! Waits for what other threads and processes do, and never hangs a test.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up. Far beyond what is needed: only a failure
/// ever waits so long.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(5);

/// Waits until `condition` holds.
///
/// # Panics
/// If it does not within [`PATIENCE`]; `what` says what was waited for.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(
        || condition().then_some(()),
        || format!("waited in vain until {what}"),
    );
}

/// Makes `attempt` again and again until it gives a value.
///
/// # Panics
/// With what `failure` says, if none is given within [`PATIENCE`].
#[track_caller]
pub fn wait_for<T>(mut attempt: impl FnMut() -> Option<T>, failure: impl FnOnce() -> String) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(Instant::now() < deadline, "{}", failure());
        thread::sleep(PAUSE);
    }
}
