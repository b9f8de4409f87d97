//! A limit on the output to a client that drops what is over it.

use std::time::Duration;

use crate::rate::{RateLimit, TokenBucket};

/// A limit on live output to a client. What is over it is dropped for this client, so that it is
/// shown the newest output and not ever older output.
///
/// The client is sent what the limit allows. When that is used up, it is sent nothing until a tenth
/// of a second's worth is allowed again, or the whole burst if that is less. Then it goes on with
/// the newest output that it may be sent, and what lies before that is dropped. Neither replays nor
/// notices count. The boot log keeps everything.
///
/// A bucket of *size* tokens that is refilled in *refill time* with *one-time burst*, as Firecracker
/// configures its own limit, is:
///
/// ```
/// use std::num::NonZeroU32;
/// use vm_console::{ConsoleConfig, DropLimit, RateLimit};
///
/// // 64 KiB, refilled in 500 ms, with 1 MiB for the boot.
/// let mut config = ConsoleConfig::named("vm-7");
/// config.drop_limit = Some(DropLimit {
///     rate: RateLimit {
///         bytes_per_second: NonZeroU32::new(128 << 10).unwrap(),
///         burst: NonZeroU32::new(64 << 10).unwrap(),
///     },
///     one_time_burst: 1 << 20,
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DropLimit {
    /// Bytes allowed in the long run, and at once after a pause.
    pub rate: RateLimit,
    /// Bytes allowed besides, once for each connection; 0 for none. They are used first.
    pub one_time_burst: u64,
}

/// One client's state.
#[derive(Clone, Debug)]
pub(crate) struct Dropper {
    bucket: TokenBucket,
    one_time: u64,
    /// All that was allowed is used.
    is_used_up: bool,
}

/// What to do with the output that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Send at most so much.
    Send(usize),
    /// Drop so much of it, and ask again.
    Drop(u64),
    /// Send nothing until then.
    Wait(Duration),
}

impl Dropper {
    pub(crate) fn new(limit: DropLimit, now: Duration) -> Self {
        Self {
            bucket: TokenBucket::new(limit.rate, now),
            one_time: limit.one_time_burst,
            is_used_up: false,
        }
    }

    /// The verdict on `waiting` bytes, one or more.
    pub(crate) fn judge(&mut self, now: Duration, waiting: u64) -> Verdict {
        let earned = self.bucket.allowance(now);
        let allowance = self.one_time.saturating_add(earned as u64);
        if allowance == 0 {
            self.is_used_up = true;
            return Verdict::Wait(self.bucket.ready_at());
        }
        let over = waiting.saturating_sub(allowance);
        if std::mem::take(&mut self.is_used_up) && over > 0 {
            return Verdict::Drop(over);
        }
        Verdict::Send(usize::try_from(allowance).unwrap_or(usize::MAX))
    }

    /// Records that `bytes` are sent: at most as many as the verdict said.
    pub(crate) fn spend(&mut self, bytes: usize) {
        let once = self.one_time.min(bytes as u64);
        self.one_time -= once;
        self.bucket.spend(bytes - once as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is printed when: what is sent is within the limit, what is sent, dropped and
        /// left is what was printed, and after the end the newest bytes are sent.
        #[test]
        fn all_is_sent_or_dropped_and_never_more_than_allowed(
            rate in 1u32..10_000, burst in 1u32..10_000, once in 0u64..10_000,
            steps in prop::collection::vec((0u64..500_000_000, 0u64..5000), 1..60),
        ) {
            let limit = DropLimit {
                rate: RateLimit { bytes_per_second: rate.try_into().unwrap(), burst: burst.try_into().unwrap() },
                one_time_burst: once,
            };
            let mut dropper = Dropper::new(limit, Duration::ZERO);
            let mut now = Duration::ZERO;
            let (mut printed, mut sent, mut dropped) = (0u64, 0u64, 0u64);
            let mut quiet_until = Duration::ZERO;
            // Long enough for the fullest bucket, and for what is used up before it.
            let last = [(60_000_000_000, 0); 2];
            for (pause, bytes) in steps.into_iter().chain(last) {
                now += Duration::from_nanos(pause);
                printed += bytes;
                let mut rounds = 0;
                while now >= quiet_until && sent + dropped < printed {
                    let waiting = printed - sent - dropped;
                    match dropper.judge(now, waiting) {
                        Verdict::Send(most) => {
                            prop_assert!(most > 0);
                            let part = waiting.min(most as u64);
                            dropper.spend(part as usize);
                            sent += part;
                        }
                        Verdict::Drop(part) => {
                            prop_assert!(part > 0 && part < waiting);
                            dropped += part;
                        }
                        Verdict::Wait(until) => {
                            prop_assert!(until > now);
                            quiet_until = until;
                        }
                    }
                    rounds += 1;
                    prop_assert!(rounds <= 3, "it goes round in circles");
                }
                let earned = now.as_nanos() * u128::from(rate) / 1_000_000_000;
                prop_assert!(u128::from(sent) <= u128::from(burst) + u128::from(once) + earned);
            }
            prop_assert_eq!(sent + dropped, printed);
        }
    }

    #[test]
    fn the_one_time_burst_is_used_first_and_once() {
        let one = std::num::NonZeroU32::MIN;
        let limit = DropLimit {
            rate: RateLimit {
                bytes_per_second: one,
                burst: one,
            },
            one_time_burst: 100,
        };
        let mut dropper = Dropper::new(limit, Duration::ZERO);
        assert_eq!(dropper.judge(Duration::ZERO, 1000), Verdict::Send(101));
        dropper.spend(101);
        let second = Duration::from_secs(1);
        assert_eq!(dropper.judge(Duration::ZERO, 899), Verdict::Wait(second));
        assert_eq!(dropper.judge(second, 1000), Verdict::Drop(999));
        assert_eq!(dropper.judge(second, 1), Verdict::Send(1));
        dropper.spend(1);
        let hour = Duration::from_secs(3600);
        assert_eq!(dropper.judge(hour, 1000), Verdict::Send(1));
    }
}
