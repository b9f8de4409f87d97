//! Passes, medians and spreads.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// The figures of one pass: ours, and the peer's beside it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Pass {
    /// Our figure, in the row's unit.
    pub ours: f64,
    /// The peer's figure, in the same unit; absent if the row has no peer.
    pub peer: Option<f64>,
    /// Further observations, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Pass {
    /// A pass with a peer.
    #[must_use]
    pub const fn pair(ours: f64, peer: f64) -> Self {
        Self {
            ours,
            peer: Some(peer),
            detail: None,
        }
    }
}

/// The bar that a row has to meet, and how its ratio is formed.
#[derive(Clone, Copy, Debug)]
pub enum Bar {
    /// A cost: `ours / peer` is at most this.
    CostRatio(f64),
    /// A gain of a cost: `peer / ours` is at least this.
    Cheaper(f64),
    /// A gain of a rate: `ours / peer` is at least this.
    Faster(f64),
    /// Our figure itself is at most this.
    AtMost(f64),
    /// A cost: our figure is at most the first value, and `ours / peer` at most the second.
    AtMostAndCostRatio(f64, f64),
    /// No bar. The ratio is `ours / peer` where there is a peer.
    None,
}

/// Why a row could not be measured here.
#[derive(Debug)]
pub struct Skipped(pub String);

impl<E: std::error::Error> From<E> for Skipped {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// A row that is ready to run: each call is one pass.
pub type Passes = Box<dyn FnMut() -> Result<Pass, Skipped>>;

/// One line of the table.
pub struct Row {
    /// The row's name on the command line and in the JSON.
    pub name: &'static str,
    /// What is measured.
    pub what: &'static str,
    /// The peer in words; empty if there is none.
    pub peer: &'static str,
    /// Unit of `ours` and `peer`.
    pub unit: &'static str,
    /// The bar it has to meet.
    pub bar: Bar,
    /// Sets the row up, ready for its passes.
    pub prepare: fn() -> Result<Passes, Skipped>,
}

/// A measured row, as it stands in the JSON.
#[derive(Debug, Deserialize, Serialize)]
pub struct Measured {
    /// The row's name.
    pub row: String,
    /// What was measured.
    pub what: String,
    /// Median of ours.
    pub ours: Option<f64>,
    /// Median of the peer.
    pub peer: Option<f64>,
    /// The peer in words.
    pub peer_is: String,
    /// Unit of both.
    pub unit: String,
    /// Median of the passes' ratios.
    pub ratio: Option<f64>,
    /// The bar in words; empty if there is none.
    pub bar: String,
    /// Whether the bar is met; absent if there is none or the row was skipped.
    pub met: Option<bool>,
    /// Every pass and the spread of the ratio.
    pub runs: Runs,
    /// The machine it ran on.
    pub machine: String,
    /// Why there are no figures.
    pub skipped: Option<String>,
}

/// The passes behind a figure.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Runs {
    /// How many.
    pub count: usize,
    /// Lowest and highest of ours.
    pub ours_spread: Option<(f64, f64)>,
    /// Lowest and highest ratio.
    pub ratio_spread: Option<(f64, f64)>,
    /// Each pass.
    pub passes: Vec<Pass>,
}

impl Row {
    /// A row that measures the cost of a byte.
    #[must_use]
    pub const fn a_byte(
        name: &'static str,
        what: &'static str,
        peer: &'static str,
        bar: Bar,
        prepare: fn() -> Result<Passes, Skipped>,
    ) -> Self {
        Self {
            name,
            what,
            peer,
            unit: "ns/byte",
            bar,
            prepare,
        }
    }

    /// Runs `count` passes, after a first one that is not counted.
    #[must_use]
    pub fn measure(&self, count: usize, machine: &str) -> Measured {
        self.measured((self.prepare)(), count, machine)
    }

    fn measured(&self, passes: Result<Passes, Skipped>, count: usize, machine: &str) -> Measured {
        let passes = passes.and_then(|mut pass| {
            pass()?;
            (0..count).map(|_| pass()).collect::<Result<Vec<_>, _>>()
        });
        let (passes, skipped) = match passes {
            Ok(passes) => (passes, None),
            Err(Skipped(why)) => (Vec::new(), Some(why)),
        };
        let ratios: Vec<f64> = passes.iter().filter_map(|pass| self.ratio(pass)).collect();
        let ours = median(passes.iter().map(|pass| pass.ours));
        let peer = median(passes.iter().filter_map(|pass| pass.peer));
        let ratio = median(ratios.iter().copied());
        Measured {
            row: self.name.into(),
            what: self.what.into(),
            ours,
            peer,
            peer_is: self.peer.into(),
            unit: self.unit.into(),
            ratio,
            bar: self.bar.to_string(),
            met: self.bar.met(ours, ratio),
            runs: Runs {
                count: passes.len(),
                ours_spread: spread(passes.iter().map(|pass| pass.ours)),
                ratio_spread: spread(ratios.iter().copied()),
                passes,
            },
            machine: machine.into(),
            skipped,
        }
    }

    fn ratio(&self, pass: &Pass) -> Option<f64> {
        let peer = pass.peer?;
        Some(match self.bar {
            Bar::Cheaper(_) => peer / pass.ours,
            _ => pass.ours / peer,
        })
    }
}

impl Bar {
    fn met(self, ours: Option<f64>, ratio: Option<f64>) -> Option<bool> {
        match self {
            Self::CostRatio(most) => ratio.map(|ratio| ratio <= most),
            Self::Cheaper(least) | Self::Faster(least) => ratio.map(|ratio| ratio >= least),
            Self::AtMost(most) => ours.map(|ours| ours <= most),
            Self::AtMostAndCostRatio(value, most) => Some(ours? <= value && ratio? <= most),
            Self::None => None,
        }
    }
}

impl std::fmt::Display for Bar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::CostRatio(most) => write!(f, "≤ {most} × peer"),
            Self::Cheaper(least) => write!(f, "≥ {least} × cheaper"),
            Self::Faster(least) => write!(f, "≥ {least} × peer"),
            Self::AtMost(most) => write!(f, "≤ {most}"),
            Self::AtMostAndCostRatio(value, most) => write!(f, "≤ {value} and ≤ {most} × peer"),
            Self::None => Ok(()),
        }
    }
}

/// The middle of `values`, or of its two middle ones.
pub fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

fn spread(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |range, value| match range {
        None => Some((value, value)),
        Some((low, high)) => Some((low.min(value), high.max(value))),
    })
}

/// The value below which the fraction `p` (0 to 1) of `samples` lies. Sorts them.
pub fn percentile(samples: &mut [u64], p: f64) -> f64 {
    if samples.is_empty() {
        return 0.0;
    }
    samples.sort_unstable();
    #[expect(
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index, from a fraction of a length"
    )]
    let at = ((samples.len() - 1) as f64 * p).round() as usize;
    #[expect(
        clippy::cast_precision_loss,
        reason = "nanoseconds of less than a month"
    )]
    let value = samples[at] as f64;
    value
}

/// Nanoseconds per unit of `count`, for the time `work` takes.
pub fn ns_each(count: usize, work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    per(start.elapsed(), count)
}

/// `time` in nanoseconds, divided by `count`.
#[must_use]
pub fn per(time: Duration, count: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let count = count as f64;
    time.as_secs_f64() * 1e9 / count
}

/// Processor, cores and kernel, in one line.
#[must_use]
pub fn machine() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| {
            line.strip_prefix("model name")?
                .split_once(": ")
                .map(|(_, name)| name)
        })
        .unwrap_or("unknown processor");
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{model}, {cores} cores, Linux {}", kernel.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(bar: Bar, passes: &[(f64, f64)]) -> Measured {
        let mut passes: Vec<_> = passes.to_vec();
        passes.insert(0, (f64::NAN, f64::NAN));
        let count = passes.len() - 1;
        let row = Row {
            name: "row",
            what: "",
            peer: "peer",
            unit: "ns",
            bar,
            prepare: || Err(Skipped("no means".into())),
        };
        let mut passes = passes
            .into_iter()
            .map(|(ours, peer)| Pass::pair(ours, peer));
        row.measured(
            Ok(Box::new(move || {
                Ok(passes.next().expect("as many as asked for"))
            })),
            count,
            "here",
        )
    }

    #[test]
    fn the_ratio_is_the_median_of_the_passes_ratios_and_the_first_pass_is_thrown_away() {
        let row = row(Bar::CostRatio(1.5), &[(2.0, 2.0), (30.0, 10.0), (1.4, 1.0)]);
        assert_eq!(
            (row.ours, row.peer, row.ratio),
            (Some(2.0), Some(2.0), Some(1.4))
        );
        assert_eq!(row.runs.ratio_spread, Some((1.0, 3.0)));
        assert_eq!(row.met, Some(true));
    }

    #[test]
    fn each_bar_is_met_from_its_own_side() {
        let met = |bar| row(bar, &[(2.0, 10.0)]).met;
        assert_eq!(met(Bar::CostRatio(0.2)), Some(true));
        assert_eq!(met(Bar::CostRatio(0.19)), Some(false));
        assert_eq!(met(Bar::Cheaper(5.0)), Some(true));
        assert_eq!(met(Bar::Cheaper(5.1)), Some(false));
        assert_eq!(met(Bar::Faster(0.2)), Some(true));
        assert_eq!(met(Bar::Faster(0.3)), Some(false));
        assert_eq!(met(Bar::AtMost(2.0)), Some(true));
        assert_eq!(met(Bar::AtMost(1.9)), Some(false));
        assert_eq!(met(Bar::AtMostAndCostRatio(2.0, 0.1)), Some(false));
        assert_eq!(met(Bar::AtMostAndCostRatio(1.0, 0.2)), Some(false));
        assert_eq!(met(Bar::AtMostAndCostRatio(2.0, 0.2)), Some(true));
        assert_eq!(met(Bar::None), None);
    }

    #[test]
    fn a_row_that_cannot_run_says_why_and_meets_nothing() {
        let row = Row {
            name: "row",
            what: "",
            peer: "",
            unit: "",
            bar: Bar::AtMost(1.0),
            prepare: || Err(Skipped("no /dev/kvm".into())),
        };
        let measured = row.measure(5, "here");
        assert_eq!(
            (measured.met, measured.skipped.as_deref()),
            (None, Some("no /dev/kvm"))
        );
    }

    #[test]
    fn percentiles_are_of_the_sorted_samples() {
        let samples: Vec<u64> = (0..=1000).rev().collect();
        let at = |p| Some(percentile(&mut samples.clone(), p));
        assert_eq!(
            (at(0.0), at(0.5), at(0.999), at(1.0)),
            (Some(0.0), Some(500.0), Some(999.0), Some(1000.0))
        );
        assert_eq!(median([4.0, 1.0, 3.0, 2.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
    }
}
