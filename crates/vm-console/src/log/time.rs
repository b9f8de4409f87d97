//! Wall-clock time as a value. The log itself never reads a clock.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970-01-01 00:00 UTC, leap seconds not counted; up to the year 2554.
///
/// Shown as RFC 3339, in UTC, with milliseconds.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use vm_console::UnixTime;
///
/// let at = UnixTime::from(UNIX_EPOCH + Duration::from_millis(1_700_000_000_123));
/// assert_eq!(at.to_string(), "2023-11-14T22:13:20.123Z");
/// assert_eq!(UnixTime::from_nanos(0).to_string(), "1970-01-01T00:00:00.000Z");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(u64);

impl UnixTime {
    /// The time this many nanoseconds after the beginning of 1970.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the beginning of 1970.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The span between two times, in either order.
    #[must_use]
    pub const fn abs_diff(self, other: Self) -> Duration {
        Duration::from_nanos(self.0.abs_diff(other.0))
    }
}

/// Times before 1970 become 1970; times after 2554 become the last that can be told.
impl From<SystemTime> for UnixTime {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl From<UnixTime> for SystemTime {
    fn from(time: UnixTime) -> Self {
        UNIX_EPOCH + Duration::from_nanos(time.0)
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_millis(SystemTime::from(*self)).fmt(f)
    }
}
