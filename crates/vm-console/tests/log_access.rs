//! A log file that exists already may have other sizes or another mode than asked for. A warning
//! tells so.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use log::{LevelFilter, Log, Metadata, Record};
use vm_console::{BootLog, LogConfig};

const CONFIG: LogConfig = LogConfig {
    tail: 5000,
    head: 300,
    boots: 3,
};

/// The warnings that came through the `log` crate.
struct Told(Mutex<Vec<String>>);

static TOLD: Told = Told(Mutex::new(Vec::new()));

impl Log for Told {
    fn enabled(&self, _: &Metadata) -> bool {
        true
    }

    fn log(&self, record: &Record) {
        let line = format!("{} {}", record.level(), record.args());
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }

    fn flush(&self) {}
}

fn listen() {
    // The tests of this program share the logger, so setting it fails the second time.
    let _ = log::set_logger(&TOLD);
    log::set_max_level(LevelFilter::Trace);
}

/// The warnings about this file.
fn told_about(path: &Path) -> Vec<String> {
    let name = path.display().to_string();
    let told = TOLD.0.lock().unwrap_or_else(PoisonError::into_inner);
    told.iter()
        .filter(|line| line.contains(&name))
        .cloned()
        .collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_file_that_others_may_open_becomes_private_when_its_owner_opens_it() {
    listen();
    let dir = tempfile::tempdir().unwrap();
    for wide in [0o644, 0o660, 0o606, 0o777, 0o601] {
        let path = dir.path().join(format!("log-{wide:o}"));
        drop(BootLog::create_file(&path, CONFIG).unwrap());
        set_mode(&path, wide);
        // Readers change nothing.
        drop(BootLog::open_read_only(&path).unwrap());
        assert_eq!((mode(&path), told_about(&path).len()), (wide, 0));

        drop(BootLog::open_or_create_file(&path, CONFIG).unwrap());
        assert_eq!(mode(&path), 0o600);
        let told = told_about(&path);
        assert!(
            told.len() == 1
                && told[0].starts_with("WARN")
                && told[0].contains(&format!("{wide:04o}")),
            "{told:?}"
        );
        drop(BootLog::open_file(&path).unwrap());
        assert_eq!(told_about(&path).len(), 1, "a private file is no news");
    }
}

#[test]
fn a_file_that_is_refused_or_was_passed_keeps_its_mode() {
    listen();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let owner = BootLog::create_file(&path, CONFIG).unwrap();
    set_mode(&path, 0o644);
    BootLog::open_file(&path).map(drop).unwrap_err();
    drop(owner);
    let file = fs::File::options().read(true).write(true).open(&path);
    drop(BootLog::in_file(file.unwrap(), CONFIG).unwrap());
    let mut bytes = fs::read(&path).unwrap();
    bytes[20] ^= 1;
    fs::write(&path, &bytes).unwrap();
    BootLog::open_file(&path).map(drop).unwrap_err();
    assert_eq!((mode(&path), told_about(&path).len()), (0o644, 0));
}

#[test]
fn a_file_of_another_user_is_only_told_of() {
    listen();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    drop(BootLog::create_file(&path, CONFIG).unwrap());
    set_mode(&path, 0o644);
    if chown(&path, Some(65_534), None).is_err() {
        // The test harness would hide the output of the print macros.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: only root can give a file to another user"
        );
        return;
    }
    drop(BootLog::open_file(&path).unwrap());
    let told = told_about(&path);
    assert_eq!(mode(&path), 0o644);
    assert!(
        told.len() == 1 && told[0].contains("make it 0600"),
        "{told:?}"
    );
}

#[test]
fn sizes_that_a_file_has_and_was_not_asked_for_are_told() {
    listen();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let (writer, log) = BootLog::open_or_create_file(&path, CONFIG).unwrap();
    assert_eq!(log.config(), CONFIG);
    drop((writer, log));
    drop(BootLog::open_or_create_file(&path, CONFIG).unwrap());
    assert_eq!(told_about(&path).len(), 0, "as asked for");

    let asked = LogConfig {
        tail: 9000,
        ..CONFIG
    };
    let (_writer, log) = BootLog::open_or_create_file(&path, asked).unwrap();
    assert_eq!(log.config(), CONFIG);
    let told = told_about(&path);
    assert!(
        told.len() == 1
            && told[0].contains("tail 5000, head 300, boots 3")
            && told[0].contains("tail 9000, head 300, boots 3"),
        "{told:?}"
    );
    assert_eq!(BootLog::open_read_only(&path).unwrap().config(), CONFIG);
}
