//! Passes, medians and spreads.

use std::time::{Duration, Instant};

use serde::Serialize;

/// What one pass saw: ours, and the peer beside it.
#[derive(Clone, Debug, Serialize)]
pub struct Pass {
    /// Our figure, in the row's unit.
    pub ours: f64,
    /// The peer's, in the same unit; absent where there is none to compare with.
    pub peer: Option<f64>,
    /// What else the pass saw, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Pass {
    /// Ours beside the peer.
    #[must_use]
    pub const fn pair(ours: f64, peer: f64) -> Self {
        Self {
            ours,
            peer: Some(peer),
            detail: None,
        }
    }
}

/// How `ratio` is formed, and where its bar lies.
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
    /// A cost of ours at most this, and `ours / peer` at most that.
    AtMostAndCostRatio(f64, f64),
    /// No bar: reported for its own sake, as `ours / peer` where there is a peer.
    None,
}

/// Why a row could not be measured here.
#[derive(Debug)]
pub struct Skipped(pub String);

/// A row that is ready to run: each call is one pass.
pub type Passes = Box<dyn FnMut() -> Result<Pass, Skipped>>;

/// One line of the table.
pub struct Row {
    /// Its name on the command line and in the JSON.
    pub name: &'static str,
    /// What is measured.
    pub what: &'static str,
    /// What the peer is; empty if there is none.
    pub peer: &'static str,
    /// Unit of `ours` and `peer`.
    pub unit: &'static str,
    /// What is asked of it.
    pub bar: Bar,
    /// Sets it up.
    pub prepare: fn() -> Result<Passes, Skipped>,
}

/// A measured row, as it stands in the JSON.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// The row's name.
    pub row: String,
    /// What was measured.
    pub what: String,
    /// Median of ours.
    pub ours: Option<f64>,
    /// Median of the peer.
    pub peer: Option<f64>,
    /// Who the peer is.
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
    /// Where it ran.
    pub machine: String,
    /// Why there are no figures.
    pub skipped: Option<String>,
}

/// The passes behind a figure.
#[derive(Debug, Default, Serialize)]
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
    /// Runs `count` passes after one that is thrown away.
    #[must_use]
    pub fn measure(&self, count: usize, machine: &str) -> Measured {
        let passes = (self.prepare)().and_then(|mut pass| {
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
