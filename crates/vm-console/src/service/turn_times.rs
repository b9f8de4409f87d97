//! How long the service's turns take.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Classes for each power of two: a class is at most an eighth longer than its shortest turn.
const PER_OCTAVE: u64 = 8;
/// The shortest lengths in nanoseconds have a class each, longer ones share one with others.
const CLASSES: usize = ((u64::BITS - PER_OCTAVE.ilog2() + 1) as u64 * PER_OCTAVE) as usize;

/// How many turns took how long, counted by the service and read by anybody. 4 KiB, whatever comes.
#[derive(Debug)]
pub(super) struct TurnCounters {
    by_class: [AtomicU64; CLASSES],
    longest: AtomicU64,
}

impl Default for TurnCounters {
    fn default() -> Self {
        Self {
            by_class: [const { AtomicU64::new(0) }; CLASSES],
            longest: AtomicU64::new(0),
        }
    }
}

impl TurnCounters {
    pub(super) fn record(&self, took: Duration) {
        let took = nanos(took);
        self.by_class[class(took)].fetch_add(1, Ordering::Relaxed);
        self.longest.fetch_max(took, Ordering::Relaxed);
    }

    pub(super) fn longest(&self) -> Duration {
        Duration::from_nanos(self.longest.load(Ordering::Relaxed))
    }

    pub(super) fn read(&self) -> TurnTimes {
        let by_class = self.by_class.iter();
        TurnTimes {
            by_class: by_class
                .map(|count| count.load(Ordering::Relaxed))
                .collect(),
        }
    }
}

/// How many turns of a service took how long, from its start to one moment.
///
/// A turn is the handling of one event: whoever comes next waits for as long.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let (service, thread) = vm_console::service::Service::spawn()?;
/// let before = service.turn_times();
/// // ... hours later:
/// let hours = service.turn_times().since(&before);
/// if hours.percentile(0.9999) > std::time::Duration::from_millis(5) {
///     println!("one of {} turns in 10,000 was too long", hours.count());
/// }
/// # service.shut_down();
/// # thread.join().unwrap();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnTimes {
    by_class: Box<[u64]>,
}

impl TurnTimes {
    /// How many turns.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.by_class.iter().sum()
    }

    /// The length that `fraction` (0 to 1) of the turns did not exceed; rounded up, by an eighth at
    /// most. Zero if there was no turn.
    #[must_use]
    pub fn percentile(&self, fraction: f64) -> Duration {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a count of turns; what is no fraction becomes the nearest one"
        )]
        let rank = (fraction.clamp(0.0, 1.0) * self.count() as f64).ceil() as u64;
        let mut counted = 0;
        let class = self.by_class.iter().position(|count| {
            counted += count;
            counted >= rank.max(1)
        });
        class.map_or(Duration::ZERO, longest_of)
    }

    /// The turns since `earlier`, which was read from the same service.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let both = self.by_class.iter().zip(&earlier.by_class);
        Self {
            by_class: both
                .map(|(now, before)| now.saturating_sub(*before))
                .collect(),
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The class of a length in nanoseconds.
fn class(nanos: u64) -> usize {
    let octave = nanos.max(1).ilog2();
    let shift = octave.saturating_sub(PER_OCTAVE.ilog2());
    (u64::from(shift) * PER_OCTAVE + (nanos >> shift)) as usize
}

/// The longest turn of a class.
fn longest_of(class: usize) -> Duration {
    let class = class as u64;
    let shift = (class / PER_OCTAVE).saturating_sub(1);
    let next = u128::from(class - shift * PER_OCTAVE + 1) << shift;
    Duration::from_nanos(u64::try_from(next - 1).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(lengths: impl IntoIterator<Item = u64>) -> TurnTimes {
        let counters = TurnCounters::default();
        for length in lengths {
            counters.record(Duration::from_nanos(length));
        }
        counters.read()
    }

    #[test]
    fn each_length_has_a_class_that_ends_at_most_an_eighth_above_it() {
        let powers = (0..u64::BITS).map(|bit| 1u64 << bit);
        let lengths = powers.flat_map(|power| {
            let near = [power - 1, power, power + power / 3, power + (power - 1)];
            near.into_iter().chain([u64::MAX])
        });
        for length in lengths {
            assert!(class(length) < CLASSES);
            let longest = nanos(longest_of(class(length)));
            assert!(longest >= length, "{length}");
            assert!(longest - length <= length / 8, "{length}: {longest}");
        }
        // And the classes are in order, with nothing between them.
        for at in 1..CLASSES {
            let before = nanos(longest_of(at - 1));
            assert_eq!((class(before), class(before + 1)), (at - 1, at));
        }
        assert_eq!(class(u64::MAX), CLASSES - 1, "and none is in vain");
    }

    #[test]
    fn a_percentile_is_the_length_that_so_many_did_not_exceed() {
        let turns = times((0..9_999).map(|_| 3).chain([7]));
        assert_eq!(turns.count(), 10_000);
        let at = |fraction| nanos(turns.percentile(fraction));
        assert_eq!([at(0.0), at(0.5), at(0.9999)], [3, 3, 3]);
        assert_eq!([at(0.99995), at(1.0), at(2.0)], [7, 7, 7]);
        assert_eq!(times([]).percentile(0.5), Duration::ZERO);
    }

    #[test]
    fn the_longest_turn_is_exact_and_earlier_turns_can_be_left_out() {
        let counters = TurnCounters::default();
        counters.record(Duration::from_nanos(1_000_003));
        let before = counters.read();
        counters.record(Duration::from_nanos(5));
        counters.record(Duration::MAX);
        assert_eq!(counters.longest(), Duration::from_nanos(u64::MAX));
        let since = counters.read().since(&before);
        assert_eq!(since, times([5, u64::MAX]));
    }
}
