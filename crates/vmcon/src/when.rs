//! Points in time as people write them.

use std::sync::OnceLock;
use std::time::SystemTime;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan, ZonedDateTime};
use vm_console::UnixTime;

/// The point in time that `text` says at the moment `now`, in the time zone of that.
///
/// | text | meaning |
/// |---|---|
/// | `2026-11-25T02:00:00+01:00`, `...Z` | RFC 3339 |
/// | `2026-11-25 02:00`, `2026-11-25` | local time; a day begins at 00:00 |
/// | `02:00`, `02:00:30` | the last time that clocks showed this |
/// | `-10min`, `10m ago`, `1h 30m` | so long before now |
/// | `now`, `today`, `yesterday` | now; the beginning of the day |
/// | `@1764036000` | seconds since 1970 |
pub(crate) fn parse(text: &str, now: &ZonedDateTime) -> Result<UnixTime, String> {
    let text = text.trim();
    let found = word(text, now)
        .or_else(|| text.parse().ok())
        .or_else(|| local(text, now))
        .or_else(|| ago(text, now));
    let found = found.ok_or_else(|| {
        "not a time; write 2026-11-25 02:00, 02:00, 10min, yesterday, or a time by RFC 3339"
            .to_owned()
    })?;
    let nanos =
        u64::try_from(found.as_nanosecond()).map_err(|_| "a time before 1970".to_owned())?;
    Ok(UnixTime::from_nanos(nanos))
}

fn word(text: &str, now: &ZonedDateTime) -> Option<Timestamp> {
    let day = match text {
        "now" => return Some(now.timestamp()),
        "today" => now.clone(),
        "yesterday" => now.yesterday().ok()?,
        _ => {
            let seconds = text.strip_prefix('@')?.parse().ok()?;
            return Timestamp::from_second(seconds).ok();
        }
    };
    Some(day.start_of_day().ok()?.timestamp())
}

/// A date, a time of the day, or both, in the local time zone.
fn local(text: &str, now: &ZonedDateTime) -> Option<Timestamp> {
    let zoned = |at: DateTime| {
        Some(
            at.to_zoned_datetime(now.time_zone().clone())
                .ok()?
                .timestamp(),
        )
    };
    // A time without a date is none of the forms of a date and time.
    if text.contains('-')
        && let Ok(date) = text.parse::<Date>()
        && !text.contains(':')
    {
        return zoned(date.to_datetime(Time::midnight()));
    }
    if text.contains('-')
        && let Ok(at) = text.parse::<DateTime>()
    {
        return zoned(at);
    }
    let time: Time = text.contains(':').then(|| text.parse().ok()).flatten()?;
    let today = zoned(now.date().to_datetime(time))?;
    if today <= now.timestamp() {
        return Some(today);
    }
    zoned(now.date().checked_sub(1.day()).ok()?.to_datetime(time))
}

/// A span of time before now, whatever its sign.
fn ago(text: &str, now: &ZonedDateTime) -> Option<Timestamp> {
    let span: SignedDuration = match text.parse() {
        Ok(span) => span,
        // Days are of 24 hours here.
        Err(_) => text
            .parse::<jiff::Span>()
            .ok()?
            .to_duration(jiff::SpanRelativeTo::days_are_24_hours())
            .ok()?,
    };
    now.timestamp().checked_sub(span.abs()).ok()
}

/// As [`parse`], at the moment of [`now`], here.
pub(crate) fn parse_now(text: &str) -> Result<UnixTime, String> {
    let began = Timestamp::try_from(began()).map_err(|error| error.to_string())?;
    parse(text, &began.to_zoned_datetime(TimeZone::system()))
}

/// The one moment that is now for all of a command: that of the first call.
pub(crate) fn now() -> UnixTime {
    began().into()
}

fn began() -> SystemTime {
    static BEGAN: OnceLock<SystemTime> = OnceLock::new();
    *BEGAN.get_or_init(SystemTime::now)
}

/// Local time by RFC 3339, to milliseconds, always [`WIDTH`] characters.
pub(crate) fn local_text(at: UnixTime, zone: &TimeZone) -> String {
    match Timestamp::from_nanosecond(at.as_nanos().into()) {
        Ok(at) => {
            let at = at.to_zoned_datetime(zone.clone());
            at.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
        }
        Err(_) => unknown(),
    }
}

/// Stands where a time would, if that is not known.
pub(crate) fn unknown() -> String {
    format!("{:<WIDTH$}", "-")
}

/// The length of a time as text.
pub(crate) const WIDTH: usize = 29;

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, String> {
        let now: ZonedDateTime = "2026-03-29T12:00:00+02:00[Europe/Berlin]".parse().unwrap();
        let zone = now.time_zone().clone();
        parse(text, &now).map(|at| local_text(at, &zone))
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, expected) in [
            ("2026-03-28T10:00:00Z", "2026-03-28T11:00:00.000+01:00"),
            (
                "2026-03-28T10:00:00.25-05:00",
                "2026-03-28T16:00:00.250+01:00",
            ),
            ("2026-03-28 02:00", "2026-03-28T02:00:00.000+01:00"),
            ("2026-03-28 02:00:07", "2026-03-28T02:00:07.000+01:00"),
            ("2026-03-28", "2026-03-28T00:00:00.000+01:00"),
            ("11:59", "2026-03-29T11:59:00.000+02:00"),
            // This hour comes later today.
            ("23:00", "2026-03-28T23:00:00.000+01:00"),
            ("now", "2026-03-29T12:00:00.000+02:00"),
            ("today", "2026-03-29T00:00:00.000+01:00"),
            ("yesterday", "2026-03-28T00:00:00.000+01:00"),
            ("-10min", "2026-03-29T11:50:00.000+02:00"),
            ("10m ago", "2026-03-29T11:50:00.000+02:00"),
            ("1h", "2026-03-29T11:00:00.000+02:00"),
            ("1h 30m", "2026-03-29T10:30:00.000+02:00"),
            // Clocks went forward that night.
            ("2 days", "2026-03-27T11:00:00.000+01:00"),
            ("@1774774800", "2026-03-29T11:00:00.000+02:00"),
        ] {
            assert_eq!(parsed(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "10",
            "soon",
            "25:00",
            "2026-13-01",
            "12",
            "1960-01-01",
            "@x",
        ] {
            assert!(parsed(text).is_err(), "{text}: {:?}", parsed(text));
        }
    }

    #[test]
    fn a_time_has_one_width() {
        let zone = TimeZone::UTC;
        for nanos in [0, 1_700_000_000_123_456_789, u64::MAX] {
            assert_eq!(local_text(UnixTime::from_nanos(nanos), &zone).len(), WIDTH);
        }
        assert_eq!(unknown().len(), WIDTH);
    }
}
