//! What this program says on standard error, on a terminal that may be raw.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use log::{LevelFilter, Log, Metadata, Record};

/// A raw terminal does not turn LF into CR LF.
static RAW: AtomicBool = AtomicBool::new(false);

/// From now on lines end as a raw terminal wants it, or no more.
pub(crate) fn terminal_is_raw(raw: bool) {
    RAW.store(raw, Ordering::Relaxed);
}

/// Says one line. Nobody may be there to read it: that is no reason to end.
pub(crate) fn say(text: impl std::fmt::Display) {
    let end = if RAW.load(Ordering::Relaxed) {
        "\r\n"
    } else {
        "\n"
    };
    let _ = write!(std::io::stderr(), "vmm: {text}{end}");
}

/// What the libraries report.
struct Reports;

impl Log for Reports {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        say(format_args!("{}: {}", record.level(), record.args()));
    }

    fn flush(&self) {}
}

/// Shows what the libraries report, from warnings on.
pub(crate) fn show_reports() {
    // It can only fail if somebody else shows them already.
    if log::set_logger(&Reports).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}
