//! Spans of time in a form for people.

use std::fmt;
use std::time::Duration;

/// A span of time, shown in its two largest units: `3 min 20 s`, `2 h 5 min`. Less than a second is
/// shown as `250 ms`, and zero as `0 s`.
pub(crate) struct Span(pub(crate) Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
        let pair = |f: &mut fmt::Formatter<'_>, a: u64, unit: &str, b: u64, smaller: &str| match b {
            0 => write!(f, "{a} {unit}"),
            b => write!(f, "{a} {unit} {b} {smaller}"),
        };
        match (days, hours, minutes) {
            (0, 0, 0) if seconds == 0 && !self.0.is_zero() => {
                write!(f, "{} ms", self.0.as_millis())
            }
            (0, 0, 0) => write!(f, "{seconds} s"),
            (0, 0, m) => pair(f, m, "min", seconds % 60, "s"),
            (0, h, m) => pair(f, h, "h", m, "min"),
            (d, h, _) => pair(f, d, "d", h, "h"),
        }
    }
}

/// The time since the last input, if there was any.
pub(crate) struct LastInput(pub(crate) Option<Duration>);

impl fmt::Display for LastInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("no input yet"),
            Some(ago) => write!(f, "last input {} ago", Span(ago)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_show_their_two_largest_units() {
        let shown = |ms| Span(Duration::from_millis(ms)).to_string();
        assert_eq!(shown(0), "0 s");
        assert_eq!(shown(250), "250 ms");
        assert_eq!(shown(59_999), "59 s");
        assert_eq!(shown(600_000), "10 min");
        assert_eq!(shown(200_000), "3 min 20 s");
        assert_eq!(shown(7_500_000), "2 h 5 min");
        assert_eq!(shown(180_000_000), "2 d 2 h");
    }
}
