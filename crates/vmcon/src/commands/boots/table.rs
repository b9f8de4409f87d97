//! Boots as people and as programs read them.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use vm_console::UnixTime;
use vm_console::protocol::{BootInfo, MarkCode};

use super::lines::Lines;
use crate::text::columns::{Cell, Columns, cut};
use crate::text::style::Style;

/// What a line is cut to at least.
const LEAST: usize = 12;
/// Columns before the two with lines, and the spaces between.
const OTHERS: usize = 48;

pub(super) fn render(found: &[(BootInfo, Lines)], width: Option<usize>, coloured: bool) -> String {
    let headings = ["BOOT", "KIND", "TIME", "KEPT", "FIRST LINE", "LAST LINE"];
    let mut columns = Columns::new(headings, 5);
    let zone = TimeZone::system();
    let line_width = width.map_or(usize::MAX, |width| {
        (width.saturating_sub(OTHERS) / 2).max(LEAST)
    });
    for (boot, lines) in found {
        let style = if boot.kept == 0 {
            Style::Dim
        } else {
            Style::Plain
        };
        let cell = |text: String| Cell::new(text, style);
        columns.row([
            cell(boot.epoch.to_string()),
            cell(kind(boot.kind).replace('_', "-")),
            cell(boot.at.map_or_else(String::new, |at| local(at, &zone))),
            cell(kept(boot)),
            cell(cut(&lines.first, line_width)),
            cell(cut(&lines.last, line_width)),
        ]);
    }
    columns.render(width, coloured)
}

pub(super) fn to_json((boot, lines): &(BootInfo, Lines)) -> Value {
    json!({
        "epoch": boot.epoch,
        "kind": kind(boot.kind),
        "time": boot.at.map(|at| at.to_string()),
        "start": boot.start,
        "end": boot.end,
        "oldest": boot.oldest,
        "written": boot.end.saturating_sub(boot.start),
        "kept": boot.kept,
        "first_line": lines.first,
        "last_line": lines.last,
    })
}

fn kind(kind: MarkCode) -> &'static str {
    match kind {
        MarkCode::PowerOn => "power_on",
        MarkCode::Reset => "reset",
        _ => "unknown",
    }
}

fn local(at: UnixTime, zone: &TimeZone) -> String {
    Timestamp::from_nanosecond(at.as_nanos().into()).map_or_else(
        |_| String::new(),
        |at| {
            let at = at.to_zoned_datetime(zone.clone());
            at.strftime("%Y-%m-%d %H:%M").to_string()
        },
    )
}

fn kept(boot: &BootInfo) -> String {
    let written = boot.end.saturating_sub(boot.start);
    if boot.kept == written {
        size(written)
    } else {
        format!("{} of {}", size(boot.kept), size(written))
    }
}

/// A number of bytes, in few digits.
fn size(bytes: u64) -> String {
    let (mut whole, mut rest) = (bytes, 0);
    for unit in ["", "K", "M", "G"] {
        if whole < 1024 {
            return match whole {
                0..10 if !unit.is_empty() => format!("{whole}.{}{unit}", rest * 10 / 1024),
                _ => format!("{whole}{unit}"),
            };
        }
        rest = whole % 1024;
        whole /= 1024;
    }
    format!("{whole}T")
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_have_few_digits() {
        let sizes = [0, 999, 1023, 1024, 1536, 10 << 10, 64 << 20, 5 << 40];
        let expected = ["0", "999", "1023", "1.0K", "1.5K", "10K", "64M", "5T"];
        assert_eq!(sizes.map(size), expected);
    }
}
