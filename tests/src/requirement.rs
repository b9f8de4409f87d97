//! Tests that need something the host may not have.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Says on the real stderr, past the harness's capture, that a test is skipped for want of `what`.
///
/// # Panics
/// If `VM_SERIAL_REQUIRE_ALL` is set: then nothing may be skipped.
pub fn skip(test: &str, what: &str) {
    assert!(
        std::env::var_os("VM_SERIAL_REQUIRE_ALL").is_none(),
        "{test} needs {what}, and VM_SERIAL_REQUIRE_ALL is set"
    );
    // Nothing is lost if stderr is closed.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: {what} is not there");
}

/// True if `program` can be started.
#[must_use]
pub fn has_program(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

/// True if `/dev/kvm` can be opened for writing.
#[must_use]
pub fn has_kvm() -> bool {
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_ok()
}

/// The directory of recorded guests beside the workspace, if it is there.
#[must_use]
pub fn guest_traces() -> Option<PathBuf> {
    let path = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../shared/traces/guests"
    ));
    path.is_dir().then_some(path)
}
