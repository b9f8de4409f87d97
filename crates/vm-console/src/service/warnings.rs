//! Warnings that clients or guests may have provoked: few, and written where they hold up nobody.

use std::num::NonZeroU32;
use std::time::Duration;

use crossbeam_channel::Sender;

use crate::rate::{RateLimit, TokenBucket};

/// Warnings that wait to be written.
const WAITING: usize = 64;

/// Ten at once, then one a second. The owner's logger may block (on a full pipe, say), so a thread
/// of its own calls it; it is started with the first warning.
pub(super) struct Warnings {
    bucket: TokenBucket,
    held_back: u64,
    writer: Option<Sender<String>>,
}

impl Warnings {
    pub(super) fn new() -> Self {
        let [bytes_per_second, burst] =
            [1, 10].map(|n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN));
        let limit = RateLimit {
            bytes_per_second,
            burst,
        };
        Self {
            bucket: TokenBucket::new(limit, Duration::ZERO),
            held_back: 0,
            writer: None,
        }
    }

    /// Logs a warning, unless there were too many. The next one tells how many were held back.
    pub(super) fn warn(&mut self, now: Duration, message: impl FnOnce() -> String) {
        let text = if self.bucket.allowance(now) == 0 {
            None
        } else {
            self.bucket.spend(1);
            Some(match self.held_back {
                0 => message(),
                n => format!("{} ({n} other warnings were held back)", message()),
            })
        };
        let is_taken = text.is_some_and(|text| {
            if self.writer.is_none() {
                self.writer = start();
            }
            let writer = self.writer.as_ref();
            writer.is_some_and(|writer| writer.try_send(text).is_ok())
        });
        self.held_back = if is_taken { 0 } else { self.held_back + 1 };
    }
}

/// A thread that writes; it ends with the service.
fn start() -> Option<Sender<String>> {
    let (sender, texts) = crossbeam_channel::bounded::<String>(WAITING);
    let thread = std::thread::Builder::new().name("vm-console-log".into());
    let write = move || {
        for text in texts {
            ::log::warn!("{text}");
        }
    };
    thread.spawn(write).ok().map(|_| sender)
}
