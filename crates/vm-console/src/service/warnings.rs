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

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::ZERO;

    /// Warnings that go to a channel in place of the log.
    fn warnings(room: usize) -> (Warnings, crossbeam_channel::Receiver<String>) {
        let (sender, texts) = crossbeam_channel::bounded(room);
        let writer = Some(sender);
        let warnings = Warnings {
            writer,
            ..Warnings::new()
        };
        (warnings, texts)
    }

    #[test]
    fn ten_come_at_once_and_then_one_a_second_that_tells_how_many_were_held_back() {
        let (mut warnings, texts) = warnings(WAITING);
        for n in 0..13 {
            warnings.warn(START, || n.to_string());
        }
        let first: Vec<_> = texts.try_iter().collect();
        assert_eq!(first, (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
        for (second, text) in [(1, "later"), (2, "at last")] {
            for _ in 0..2 {
                warnings.warn(START + Duration::from_secs(second), || text.into());
            }
        }
        let later: Vec<_> = texts.try_iter().collect();
        let held_back = |text, n| format!("{text} ({n} other warnings were held back)");
        assert_eq!(later, [held_back("later", 3), held_back("at last", 1)]);
    }

    #[test]
    fn those_that_wait_too_long_to_be_written_count_as_held_back() {
        let (mut warnings, texts) = warnings(1);
        for text in ["written", "no room", "no room"] {
            warnings.warn(START, || text.into());
        }
        assert_eq!(texts.try_recv().as_deref(), Ok("written"));
        warnings.warn(START, || "room".into());
        let text = texts.try_recv();
        assert_eq!(
            text.as_deref(),
            Ok("room (2 other warnings were held back)")
        );
    }
}
