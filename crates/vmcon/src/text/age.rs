//! Spans of time, short enough for a column.

use std::fmt;
use std::time::Duration;

/// A span of time in its two largest units: `250ms`, `12s`, `3m20s`, `2h05m`, `3d4h`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Age(pub(crate) Duration);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let text = match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60) {
            (0, 0, 0) if seconds == 0 => format!("{}ms", self.0.as_millis()),
            (0, 0, 0) => format!("{seconds}s"),
            (0, 0, minutes) => format!("{minutes}m{:02}s", seconds % 60),
            (0, hours, minutes) => format!("{hours}h{minutes:02}m"),
            (days, hours, _) => format!("{days}d{hours}h"),
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_units_are_shown() {
        let shown = |ms| Age(Duration::from_millis(ms)).to_string();
        assert_eq!(shown(0), "0ms");
        assert_eq!(shown(999), "999ms");
        assert_eq!(shown(59_999), "59s");
        assert_eq!(shown(200_000), "3m20s");
        assert_eq!(shown(3_600_000), "1h00m");
        assert_eq!(shown(7_500_000), "2h05m");
        assert_eq!(shown(187_200_000), "2d4h");
    }
}
