//! Why something from the command line cannot be used: which option, what is wrong, what to do.

use std::fmt::Display;
use std::io::ErrorKind;
use std::path::Path;

use vm_console::LogError;
use vm_console::transport::unix::BindError;

use crate::arguments::LogArguments;

const ANOTHER: &str = "choose another path";

/// One line about `path`, given with `option`.
pub(crate) fn of(option: &str, path: &Path, wrong: impl Display, remedy: &str) -> String {
    format!("{option} {}: {wrong}; {remedy}", path.display())
}

/// A socket that cannot be had.
pub(crate) fn socket(option: &str, path: &Path, error: &BindError) -> String {
    let (wrong, remedy) = match error.kind() {
        ErrorKind::AlreadyExists => ("something else than a socket is there", ANOTHER),
        ErrorKind::AddrInUse => (
            "another program listens there",
            "stop it, or choose another path",
        ),
        ErrorKind::InvalidInput => ("this cannot be the name of a file", ANOTHER),
        _ => return format!("{option}: {error}; {ANOTHER}"), // it names the path and the step
    };
    of(option, path, wrong, remedy)
}

/// A boot log that cannot be had: in memory, in the file that was given, or in the machine's entry.
pub(crate) fn log(arguments: &LogArguments, is_published: bool, error: &LogError) -> String {
    let (cause, file) = (error.cause(), arguments.log_file.as_deref());
    match (cause, file) {
        (
            LogError::Size {
                field,
                given,
                min,
                max,
            },
            _,
        ) => {
            let (option, unit) = match *field {
                "head" => ("--log-head", "bytes"),
                "boots" => ("--log-boots", "boots"),
                _ => ("--log-size", "bytes"),
            };
            format!("{option} {given}: too small or too large; give {min} to {max} {unit}")
        }
        (LogError::Io { doing, source, .. }, Some(file)) => of(
            "--log-file",
            file,
            format_args!("cannot {doing} it: {source}"),
            ANOTHER,
        ),
        // The others say what to do.
        (other, Some(file)) => format!("--log-file {}: {other}", file.display()),
        // It names the file.
        (_, None) if is_published => format!("--name: {error}; choose another id"),
        (other, None) => format!("{other}; a smaller --log-size may do"),
    }
}

/// A text log that cannot be had.
pub(crate) fn text_log(file: &Path, error: &LogError) -> String {
    match error {
        LogError::Io { doing, source, .. } => step("--text-log", file, doing, source),
        LogError::Size {
            given, min, max, ..
        } => format!("--text-log-size {given}: too small or too large; give {min} to {max} bytes"),
        other => format!("--text-log {}: {other}", file.display()),
    }
}

/// A step on a file that the system refuses.
fn step(option: &str, file: &Path, doing: &str, source: &std::io::Error) -> String {
    of(
        option,
        file,
        format_args!("cannot {doing} it: {source}"),
        ANOTHER,
    )
}
