//! The complete stream in files has every byte once and in order, even if something fails or a
//! process is killed meanwhile.

mod numbered;

use std::env;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use numbered::bytes_at;
use proptest::prelude::*;
use vm_console::{BootLog, LogConfig, LogError, StreamFiles, StreamLimits};

fn numbered(name: &Path, number: u32) -> PathBuf {
    if number == 0 {
        name.into()
    } else {
        PathBuf::from(format!("{}.{number}", name.display()))
    }
}

/// The bytes of all files, the oldest first. Checks that no file is larger than the limit, and that
/// all but the newest are full.
fn joined(name: &Path, limits: StreamLimits) -> Vec<u8> {
    let mut all = Vec::new();
    for number in (0..=limits.full_files + 1).rev() {
        if let Ok(part) = fs::read(numbered(name, number)) {
            assert!(number <= limits.full_files);
            assert!(part.len() as u64 <= limits.file_bytes);
            assert!(number == 0 || part.len() as u64 == limits.file_bytes);
            all.extend(part);
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn files_hold_every_byte_once_in_order(
        file_bytes in 1_u64..5000,
        runs in prop::collection::vec((0_u64..9000, 0..3), 1..12),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().join("console");
        let limits = StreamLimits { file_bytes, full_files: 200_000 };
        let (mut writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
        let mut files = StreamFiles::open(&name, limits, &log).unwrap();
        let mut total = 0;
        for (count, then) in runs {
            // Otherwise a case could make thousands of files.
            let count = count.min(file_bytes * 8);
            writer.append(&bytes_at(total..total + count));
            total += count;
            match then {
                0 => {}
                1 => files.pump().unwrap(),
                _ => files = StreamFiles::open(&name, limits, &log).unwrap(),
            }
        }
        files.pump().unwrap();
        prop_assert_eq!((files.written_until(), files.lost(), files.errors()), (total, 0, 0));
        let all = joined(&name, StreamLimits { full_files: 100, ..limits });
        prop_assert!(all == bytes_at(0..total));
    }
}

#[test]
fn the_oldest_files_are_given_up() {
    for full_files in [0, 1, 3] {
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().join("console");
        let limits = StreamLimits {
            file_bytes: 100,
            full_files,
        };
        let (mut writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
        let mut files = StreamFiles::open(&name, limits, &log).unwrap();
        for step in 0..10 {
            writer.append(&bytes_at(step * 95..step * 95 + 95));
            files.pump().unwrap();
        }
        let kept = joined(&name, limits);
        assert_eq!(kept, bytes_at(950 - kept.len() as u64..950));
        assert_eq!(kept.len() as u32, 100 * full_files + 50);
        assert_eq!(
            fs::metadata(&name).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}

#[test]
fn what_the_log_lost_is_counted_and_the_rest_follows() {
    let dir = tempfile::tempdir().unwrap();
    let name = dir.path().join("console");
    let limits = StreamLimits::default();
    let (mut writer, log) = BootLog::in_memory(LogConfig {
        tail: 100,
        head: 0,
        ..LogConfig::default()
    })
    .unwrap();
    let mut files = StreamFiles::open(&name, limits, &log).unwrap();
    writer.append(&bytes_at(0..50));
    files.pump().unwrap();
    writer.append(&bytes_at(50..1000));
    files.pump().unwrap();
    assert_eq!((files.lost(), files.written_until()), (850, 1000));
    drop(files);
    // Another process goes on after the gap, and not before it.
    writer.append(&bytes_at(1000..1010));
    let mut files = StreamFiles::open(&name, limits, &log).unwrap();
    files.pump().unwrap();
    assert_eq!(files.lost(), 0);
    assert_eq!(
        joined(&name, limits),
        [bytes_at(0..50), bytes_at(900..1010)].concat()
    );
}

#[test]
fn a_step_that_fails_is_told_counted_and_done_again() {
    let dir = tempfile::tempdir().unwrap();
    let name = dir.path().join("console");
    let limits = StreamLimits {
        file_bytes: 10,
        full_files: 3,
    };
    let (mut writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
    let mut files = StreamFiles::open(&name, limits, &log).unwrap();
    writer.append(&bytes_at(0..10));
    files.pump().unwrap();

    // The new file cannot be made, because its directory is not there.
    let away = dir.path().with_extension("away");
    fs::rename(dir.path(), &away).unwrap();
    writer.append(&bytes_at(10..15));
    for _ in 0..2 {
        let error = files.pump().unwrap_err();
        assert!(
            matches!(error, LogError::Io { .. }) && error.to_string().contains("console"),
            "{error}"
        );
    }
    fs::rename(&away, dir.path()).unwrap();
    files.pump().unwrap();
    assert_eq!(files.errors(), 2);

    // A directory stands where a full file should go.
    writer.append(&bytes_at(15..20));
    files.pump().unwrap();
    fs::create_dir_all(dir.path().join("console.2/full")).unwrap();
    fs::write(dir.path().join("console.3"), bytes_at(0..0)).unwrap();
    writer.append(&bytes_at(20..25));
    files.pump().unwrap_err();
    assert_eq!(files.written_until(), 20);
    fs::remove_dir_all(dir.path().join("console.2")).unwrap();
    fs::remove_file(dir.path().join("console.3")).unwrap();
    files.pump().unwrap();
    assert_eq!(joined(&name, limits), bytes_at(0..25));
    assert_eq!(files.errors(), 3);
}

#[test]
fn a_younger_log_is_written_from_its_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let name = dir.path().join("console");
    let limits = StreamLimits::default();
    for count in [30, 20] {
        let (mut writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
        let mut files = StreamFiles::open(&name, limits, &log).unwrap();
        writer.append(&bytes_at(0..count));
        files.pump().unwrap();
    }
    assert_eq!(
        joined(&name, limits),
        [bytes_at(0..30), bytes_at(0..20)].concat()
    );
}

#[test]
fn a_log_that_is_new_and_longer_is_written_from_its_beginning_too() {
    let dir = tempfile::tempdir().unwrap();
    let name = dir.path().join("console");
    let limits = StreamLimits::default();
    for count in [20, 30] {
        let (mut writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
        writer.append(&bytes_at(0..count));
        let mut files = StreamFiles::open(&name, limits, &log).unwrap();
        files.pump().unwrap();
    }
    assert_eq!(
        joined(&name, limits),
        [bytes_at(0..20), bytes_at(0..30)].concat()
    );
}

#[test]
fn a_note_of_an_older_version_is_gone_on_from() {
    let dir = tempfile::tempdir().unwrap();
    let name = dir.path().join("console");
    let limits = StreamLimits::default();
    let (mut writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
    writer.append(&bytes_at(0..20));
    let mut files = StreamFiles::open(&name, limits, &log).unwrap();
    files.pump().unwrap();
    drop(files);
    let note = dir.path().join("console.offset");
    let text = fs::read_to_string(&note).unwrap();
    let (old, id) = text.trim_end().rsplit_once(' ').unwrap();
    assert_eq!(id, log.id().unwrap().to_string());
    fs::write(&note, format!("{old}\n")).unwrap();
    writer.append(&bytes_at(20..30));
    let mut files = StreamFiles::open(&name, limits, &log).unwrap();
    files.pump().unwrap();
    assert_eq!(joined(&name, limits), bytes_at(0..30));
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let name = dir.path().join("console");
    let limits = StreamLimits {
        file_bytes: 10,
        full_files: 100,
    };
    let (mut writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
    let mut first = StreamFiles::open(&name, limits, &log).unwrap();
    let mut second = StreamFiles::open(&name, limits, &log).unwrap();
    let mut total = 0;
    for _ in 0..5 {
        writer.append(&bytes_at(total..total + 7));
        total += 7;
        let error = second.pump().unwrap_err();
        assert!(
            matches!(&error, LogError::StreamInUse { name: told } if *told == name)
                && error.to_string().contains("another writer"),
            "{error}"
        );
        first.pump().unwrap();
    }
    assert_eq!((second.errors(), first.errors()), (5, 0));
    assert_eq!(joined(&name, limits), bytes_at(0..total));
    drop(first);
    writer.append(&bytes_at(total..total + 7));
    second.pump().unwrap();
    assert_eq!(second.written_until(), total + 7);
    assert_eq!(joined(&name, limits), bytes_at(0..total + 7));
}

#[test]
fn bad_limits_and_names_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
    let limits = StreamLimits {
        file_bytes: 0,
        ..StreamLimits::default()
    };
    assert!(matches!(
        StreamFiles::open(dir.path().join("console"), limits, &log),
        Err(LogError::Size { .. })
    ));
    let error = StreamFiles::open(dir.path().join("no/console"), StreamLimits::default(), &log)
        .map(drop)
        .unwrap_err();
    assert!(error.to_string().contains("no/console"), "{error}");
}

const LIMITS: StreamLimits = StreamLimits {
    file_bytes: 3000,
    full_files: 10_000,
};

/// Copies a log for ever if the next test has started this process; does nothing otherwise.
#[test]
fn play_the_copier() {
    let Some(dir) = env::var_os("LOG_STREAM_DIR").map(PathBuf::from) else {
        return;
    };
    let log = BootLog::open_read_only(dir.join("log")).unwrap();
    let mut files = StreamFiles::open(dir.join("console"), LIMITS, &log).unwrap();
    println!("#copying#");
    loop {
        files.pump().unwrap();
    }
}

#[test]
fn a_killed_copier_leaves_no_byte_out_and_none_twice() {
    let dir = tempfile::tempdir().unwrap();
    let config = LogConfig {
        tail: 4 << 20,
        ..LogConfig::default()
    };
    let (mut writer, log) = BootLog::create_file(dir.path().join("log"), config).unwrap();
    for round in 0..20 {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(["--exact", "play_the_copier", "--nocapture"])
            .env("LOG_STREAM_DIR", dir.path());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut out = child.stdout.take().unwrap();
        let mut told = Vec::new();
        while !told.ends_with(b"#copying#") {
            let mut one = [0];
            assert_eq!(out.read(&mut one).unwrap(), 1, "the copier did not start");
            told.push(one[0]);
        }
        let from = writer.head();
        writer.append(&bytes_at(from..from + 30_000));
        thread::sleep(Duration::from_micros(round * 211));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let name = dir.path().join("console");
    let mut files = StreamFiles::open(&name, LIMITS, &log).unwrap();
    files.pump().unwrap();
    assert_eq!(files.lost(), 0);
    assert!(
        joined(
            &name,
            StreamLimits {
                full_files: 1000,
                ..LIMITS
            }
        ) == bytes_at(0..writer.head())
    );
}
