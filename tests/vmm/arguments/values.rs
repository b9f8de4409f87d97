//! Values of arguments, from text.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use vm_console::instance::{IdError, InstanceId};
use vm_console::{DropLimit, RateLimit, Start};

use crate::machine;

const NO_BYTES: &str = "not a whole number of bytes";

pub(super) fn bytes(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| NO_BYTES)
}

/// A count, or the number of a user or a group.
pub(super) fn number<N: FromStr>(text: &str) -> Result<N, &'static str> {
    text.parse().map_err(|_| "not a whole number, or too large")
}

pub(super) fn mib(text: &str) -> Result<u64, String> {
    text.parse()
        .ok()
        .filter(|mib| (1..=machine::MAX_MIB).contains(mib))
        .ok_or_else(|| format!("not a whole number from 1 to {}", machine::MAX_MIB))
}

pub(super) fn octal_mode(text: &str) -> Result<u32, &'static str> {
    let mode = u32::from_str_radix(text, 8).ok();
    mode.filter(|mode| *mode <= 0o777)
        .ok_or("not permission bits, such as 660")
}

/// A time with its unit; 0 needs none.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    humantime::parse_duration(text).map_err(|_| "not a time, such as 90s or 1h30m".to_owned())
}

pub(super) fn instance_id(text: &str) -> Result<InstanceId, IdError> {
    text.parse()
}

pub(super) fn label(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("not of the form KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

pub(super) fn rate_limit(text: &str) -> Result<RateLimit, &'static str> {
    let (rate, burst) = match text.split_once(',') {
        None => (text, text),
        Some(parts) => parts,
    };
    let number = |text: &str| NonZeroU32::from_str(text);
    match (number(rate), number(burst)) {
        (Ok(bytes_per_second), Ok(burst)) => Ok(RateLimit {
            bytes_per_second,
            burst,
        }),
        _ => Err("not one or two whole numbers of bytes, such as 10000,4096"),
    }
}

pub(super) fn drop_limit(text: &str) -> Result<DropLimit, &'static str> {
    let (rate, once) = match text.match_indices(',').nth(1) {
        None => (text, "0"),
        Some((second, _)) => (&text[..second], &text[second + 1..]),
    };
    let one_time_burst = once.parse();
    match (rate_limit(rate), one_time_burst) {
        (Ok(rate), Ok(one_time_burst)) => Ok(DropLimit {
            rate,
            one_time_burst,
        }),
        _ => Err("not one to three whole numbers of bytes, such as 10000,4096,65536"),
    }
}

pub(super) fn start(text: &str) -> Result<Start, &'static str> {
    const WRONG: &str =
        "not oldest, now, boot, or one of boot:N, lines:N, bytes:N, offset:N with a number";
    let (kind, number) = match text.split_once(':') {
        None => (text, None),
        Some((kind, number)) => (kind, Some(number.parse().map_err(|_| WRONG)?)),
    };
    match (kind, number) {
        ("oldest", None) => Ok(Start::Oldest),
        ("now", None) => Ok(Start::Now),
        ("boot", None) => Ok(Start::ThisBoot),
        ("boot", Some(epoch)) => Ok(Start::Boot(epoch)),
        ("lines", Some(count)) => Ok(Start::Lines(count)),
        ("bytes", Some(count)) => Ok(Start::Newest(count)),
        ("offset", Some(offset)) => Ok(Start::Offset(offset)),
        _ => Err(WRONG),
    }
}
