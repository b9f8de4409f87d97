//! How fast a console prints.

use std::fmt;
use std::time::Instant;

/// Seconds after which a change counts for two thirds.
const MEMORY: f64 = 1.5;
/// Below this many bytes in a second it counts as quiet.
const QUIET: f64 = 1.0;

/// Bytes in a second, averaged over a short time. Shown as `12`, `3.4K`, `56M`; as nothing if quiet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rate {
    per_second: f64,
    last: Option<(u64, Instant)>,
}

impl Rate {
    /// By `now`, so many bytes have ever been printed.
    pub(super) fn look(&mut self, head: u64, now: Instant) {
        if let Some((before, then)) = self.last.replace((head, now)) {
            let span = now.duration_since(then).as_secs_f64();
            if span > 0.0 {
                #[expect(clippy::cast_precision_loss, reason = "an average")]
                let printed = head.saturating_sub(before) as f64 / span;
                let weight = 1.0 - (-span / MEMORY).exp();
                self.per_second += (printed - self.per_second) * weight;
                if self.per_second < QUIET && printed < QUIET {
                    self.per_second = 0.0;
                }
            }
        }
    }

    pub(super) fn is_quiet(self) -> bool {
        self.per_second < QUIET
    }

    /// Half as fast or twice as fast: a coarse measure, so that an order by it rarely changes.
    pub(super) fn magnitude(self) -> u32 {
        #[expect(clippy::cast_sign_loss, reason = "it is at least 1")]
        let whole = self.per_second.max(1.0) as u64;
        whole.ilog2()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_quiet() {
            return Ok(());
        }
        let mut shown = self.per_second;
        for unit in ["", "K", "M", "G"] {
            if shown < 1000.0 {
                let digits = usize::from(shown < 9.95 && !unit.is_empty());
                return write!(f, "{shown:.digits$}{unit}");
            }
            shown /= 1000.0;
        }
        f.write_str("999G")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_follows_the_output_and_comes_to_rest() {
        let begun = Instant::now();
        let mut rate = Rate::default();
        let at = |tick: u64| begun + Duration::from_millis(200 * tick);
        rate.look(1 << 40, at(0));
        assert!(rate.is_quiet(), "what was printed before does not count");
        for tick in 1..=100 {
            rate.look((1 << 40) + tick * 1000, at(tick));
        }
        assert_eq!(rate.to_string(), "5.0K");
        assert_eq!(rate.magnitude(), 12);
        for tick in 101..=200 {
            rate.look((1 << 40) + 100_000, at(tick));
        }
        assert_eq!(rate.to_string(), "");
        // A log that begins anew is no burst.
        rate.look(0, at(201));
        assert!(rate.is_quiet());
    }

    #[test]
    fn it_is_short() {
        for (per_second, wanted) in [
            (0.4, ""),
            (7.0, "7"),
            (999.4, "999"),
            (1234.0, "1.2K"),
            (56_700.0, "57K"),
            (3.21e8, "321M"),
            (1e15, "999G"),
        ] {
            let last = None;
            assert_eq!(Rate { per_second, last }.to_string(), wanted);
        }
    }
}
