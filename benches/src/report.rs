//! The table that people read and the JSON that programs read.

use std::io::{self, Write};
use std::path::Path;

use crate::measure::Measured;

/// Writes one row as a line. A missed or skipped row is marked as such.
///
/// # Errors
///
/// Those of `out`.
pub fn line(out: &mut impl Write, row: &Measured) -> io::Result<()> {
    let number = |value: Option<f64>| value.map_or_else(|| "-".into(), figure);
    let verdict = match (row.met, &row.skipped) {
        (_, Some(why)) => format!("SKIPPED: {why}"),
        (Some(true), _) => "met".into(),
        (Some(false), _) => "MISSED".into(),
        (None, _) => String::new(),
    };
    let spread = row
        .runs
        .ratio_spread
        .map_or_else(String::new, |(low, high)| {
            format!("[{}..{}]", figure(low), figure(high))
        });
    writeln!(
        out,
        "{:<22} {:>10} {:>10} {:<14} {:>8} {:<18} {:<24} {verdict}",
        row.row,
        number(row.ours),
        number(row.peer),
        row.unit,
        number(row.ratio),
        spread,
        row.bar,
    )?;
    match row.runs.passes.last().and_then(|pass| pass.detail.as_ref()) {
        Some(detail) => writeln!(out, "{:22} {detail}", ""),
        None => Ok(()),
    }
}

/// Writes the heading of the lines.
///
/// # Errors
///
/// Those of `out`.
pub fn heading(out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{:<22} {:>10} {:>10} {:<14} {:>8} {:<18} {:<24} verdict",
        "row", "ours", "peer", "unit", "ratio", "[spread]", "bar"
    )
}

fn figure(value: f64) -> String {
    match value.abs() {
        v if v >= 1000.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 0.1 || v == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// Writes all rows as a JSON array.
///
/// # Errors
///
/// If the file cannot be written.
pub fn json(path: &Path, rows: &[Measured]) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(rows)?;
    text.push('\n');
    std::fs::write(path, text)
}
