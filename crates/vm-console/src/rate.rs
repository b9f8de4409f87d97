//! A token bucket, which limits the output sent to a client.

use std::num::NonZeroU32;
use std::time::Duration;

/// A limit on the output sent to a client. It does not slow the guest: the client falls behind, as
/// any slow client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Bytes per second in the long run, 1 or more.
    pub bytes_per_second: NonZeroU32,
    /// Most bytes that may be sent at once after a pause, 1 or more.
    pub burst: NonZeroU32,
}

/// The state of one client's limit. The caller passes in the time, so tests need no clock.
#[derive(Clone, Debug)]
pub(crate) struct TokenBucket {
    limit: RateLimit,
    /// In bytes × nanoseconds, so that no fraction of a byte is lost between two refills.
    credit: u128,
    refilled: Duration,
}

const NANOS: u128 = 1_000_000_000;

impl TokenBucket {
    pub(crate) fn new(limit: RateLimit, now: Duration) -> Self {
        Self {
            limit,
            credit: u128::from(limit.burst.get()) * NANOS,
            refilled: now,
        }
    }

    /// How many bytes may be sent now.
    pub(crate) fn allowance(&mut self, now: Duration) -> usize {
        let elapsed = now.saturating_sub(self.refilled);
        self.refilled = self.refilled.max(now);
        let earned = elapsed
            .as_nanos()
            .saturating_mul(u128::from(self.limit.bytes_per_second.get()));
        self.credit = self
            .credit
            .saturating_add(earned)
            .min(u128::from(self.limit.burst.get()) * NANOS);
        (self.credit / NANOS) as usize
    }

    /// Records that `bytes` were sent: at most as many as [`allowance`](Self::allowance) returned.
    pub(crate) fn spend(&mut self, bytes: usize) {
        self.credit = self.credit.saturating_sub(bytes as u128 * NANOS);
    }

    /// When to try again: once a tenth of a second's worth of bytes may be sent, or the whole burst
    /// if that is less. To send each byte as soon as it is earned would cost one wakeup per byte.
    pub(crate) fn ready_at(&self) -> Duration {
        let rate = u128::from(self.limit.bytes_per_second.get());
        let worthwhile = (rate / 10).clamp(1, u128::from(self.limit.burst.get())) * NANOS;
        let nanos = worthwhile.saturating_sub(self.credit).div_ceil(rate);
        self.refilled.saturating_add(Duration::from_nanos(
            u64::try_from(nanos).unwrap_or(u64::MAX),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_what_was_earned(
            rate in 1u32..100_000, burst in 1u32..100_000,
            steps in prop::collection::vec((0u64..2_000_000_000, 0usize..=100), 1..60),
        ) {
            let limit = RateLimit { bytes_per_second: rate.try_into().unwrap(), burst: burst.try_into().unwrap() };
            let mut bucket = TokenBucket::new(limit, Duration::ZERO);
            let (mut now, mut sent) = (Duration::ZERO, 0u128);
            for (pause, share) in steps {
                now += Duration::from_nanos(pause);
                let allowed = bucket.allowance(now);
                let used = allowed * share / 100;
                bucket.spend(used);
                sent += used as u128;
                prop_assert!(sent * NANOS <= u128::from(burst) * NANOS + now.as_nanos() * u128::from(rate));
            }
        }

        #[test]
        fn at_the_promised_moment_something_may_be_sent(rate in 1u32..100_000, burst in 1u32..100_000, start in 0u64..1 << 40) {
            let limit = RateLimit { bytes_per_second: rate.try_into().unwrap(), burst: burst.try_into().unwrap() };
            let start = Duration::from_nanos(start);
            let mut bucket = TokenBucket::new(limit, start);
            let all = bucket.allowance(start);
            bucket.spend(all);
            let ready = bucket.ready_at();
            prop_assert!(bucket.allowance(ready) > 0);
        }
    }
}
