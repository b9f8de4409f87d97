//! Why something from the command line cannot be used: which option, what is wrong, what to do.

use std::fmt::Display;
use std::io::ErrorKind;
use std::path::Path;

use vm_console::LogError;
use vm_console::transport::unix::BindError;

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

/// A boot log that cannot be had, in `file` or in memory.
pub(crate) fn log(file: Option<&Path>, error: &LogError) -> String {
    match (error.cause(), file) {
        (
            LogError::Size {
                given, min, max, ..
            },
            _,
        ) => format!("--log-size {given}: too small or too large; give {min} to {max} bytes"),
        (LogError::Io { doing, source, .. }, Some(file)) => of(
            "--log-file",
            file,
            format_args!("cannot {doing} it: {source}"),
            ANOTHER,
        ),
        // The others say what to do.
        (other, Some(file)) => format!("--log-file {}: {other}", file.display()),
        (other, None) => format!("{other}; a smaller --log-size may do"),
    }
}

/// A text log that cannot be had.
pub(crate) fn text_log(file: &Path, error: &LogError) -> String {
    match error {
        LogError::Io { doing, source, .. } => step("--text-log", file, doing, source),
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
