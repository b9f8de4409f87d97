//! A log in a file, used by processes: killed writers, restarted writers, and readers.
//!
//! The other processes are this test program, started again with a role in its environment.

mod numbered;

use std::env;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use numbered::{assert_bytes_from, byte_at, bytes_at};
use vm_console::{BootLog, LogConfig, LogError, LogImage, MarkKind, Read, Start, UnixTime};

const ROLE: &str = "LOG_KILL_ROLE";
const FILE: &str = "LOG_KILL_FILE";
const CONFIG: LogConfig = LogConfig {
    tail: 60_000,
    head: 2000,
    boots: 3,
};

fn start(role: &str, path: &Path) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "play_a_role", "--nocapture"])
        .env(ROLE, role)
        .env(FILE, path);
    command
        .stdout(Stdio::piped())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Plays a role if another test here has started this process; does nothing otherwise.
#[test]
fn play_a_role() {
    let (Ok(role), Some(path)) = (env::var(ROLE), env::var_os(FILE).map(PathBuf::from)) else {
        return;
    };
    match role.as_str() {
        "writer" => write_for_ever(&path),
        "reader" => follow(&path),
        "restorer" => restore_for_ever(&path),
        other => panic!("no such role: {other}"),
    }
}

/// Writes for ever, and prints now and then how many bytes are written.
fn write_for_ever(path: &Path) {
    let (mut writer, _) = BootLog::open_or_create_file(path, CONFIG).unwrap();
    writer.begin_boot(MarkKind::Reset, UnixTime::from_nanos(writer.head()));
    let mut out = std::io::stdout();
    let mut step = 0_u64;
    loop {
        let from = writer.head();
        step += 1;
        match step % 7 {
            0 => writer.append_byte(byte_at(from)),
            1 => writer.mark(MarkKind::Break, UnixTime::from_nanos(from)),
            2 if step % 211 == 2 => {
                let _ = writer.begin_boot(MarkKind::Reset, UnixTime::from_nanos(from));
            }
            n => writer.append(&bytes_at(from..from + step % 97 * n)),
        }
        if step.is_multiple_of(256) {
            writeln!(out, "#{}#", writer.head()).unwrap();
        }
    }
}

/// Checks everything that the file holds by its own account. Returns the write offset.
fn check(log: &BootLog) -> u64 {
    let mut cursor = log.cursor(Start::Offset(0));
    let mut buf = [0; 8192];
    loop {
        match cursor.read(&mut buf) {
            Read::Bytes(count) => {
                let from = cursor.offset() - count as u64;
                assert_bytes_from(from, &buf[..count]);
            }
            Read::Gap { .. } => {}
            Read::UpToDate => break,
            Read::Ended(end) => panic!("ended: {end:?}"),
        }
    }
    assert_eq!(cursor.delivered() + cursor.lost(), log.head());
    let now = log.accounting();
    assert_eq!((now.written, now.kept), (log.head(), cursor.delivered()));
    for mark in log.marks() {
        assert_eq!(mark.at.as_nanos(), mark.offset);
        assert!(mark.offset <= log.head() && mark.epoch <= log.epoch());
    }
    log.head()
}

#[test]
fn a_killed_writer_leaves_every_byte_and_the_next_one_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let (mut head, mut epoch) = (0, 0);
    for round in 0..25 {
        let mut child = start("writer", &path);
        // Its output is read meanwhile. Otherwise it would stop at a full pipe, and always be
        // killed at the same place.
        let killer = thread::spawn({
            let path = path.clone();
            move || {
                let deadline = Instant::now() + Duration::from_secs(30);
                loop {
                    let written = BootLog::open_read_only(&path).map_or(0, |log| log.head());
                    if written > head + 10_000 || Instant::now() > deadline {
                        break;
                    }
                }
                thread::sleep(Duration::from_micros(round * 1313 % 20_000));
            }
        });
        let out = child.stdout.take().unwrap();
        let drained = thread::spawn(move || {
            let mut told = Vec::new();
            std::io::BufReader::new(out).read_to_end(&mut told).unwrap();
            told
        });
        killer.join().unwrap();
        // While it lives its lock holds, and the log can be followed.
        assert!(matches!(
            BootLog::open_file(&path).map_err(LogError::into_cause),
            Err(LogError::InUse)
        ));
        check_live(&path);
        child.kill().unwrap();
        child.wait().unwrap();
        let told = String::from_utf8(drained.join().unwrap()).unwrap();
        let told = told
            .split('#')
            .filter_map(|count| count.parse().ok())
            .next_back()
            .unwrap_or(0);

        let log = BootLog::open_read_only(&path).unwrap();
        let found = check(&log);
        assert!(
            found >= told && found > head,
            "told {told}, found {found}, before {head}"
        );
        assert!(log.epoch() > epoch);
        (head, epoch) = (found, log.epoch());
        // A new writer finds the same bytes and changes none.
        let (writer, log) = BootLog::open_file(&path).unwrap();
        assert_eq!(
            (writer.head(), writer.epoch(), check(&log)),
            (head, epoch, head)
        );
    }
    assert!(head > CONFIG.tail * 2, "the ring went round");
}

/// One pass over a log that is being written.
fn check_live(path: &Path) {
    let log = BootLog::open_read_only(path).unwrap();
    let mut cursor = log.cursor(Start::Oldest);
    let mut buf = [0; 5000];
    let end = log.head();
    while cursor.offset() < end {
        if let Read::Bytes(count) = cursor.read(&mut buf) {
            let from = cursor.offset() - count as u64;
            assert_bytes_from(from, &buf[..count]);
        }
    }
}

const END: u64 = 2_000_000;

/// Follows a log from its beginning to `END`, and prints how many bytes it got.
fn follow(path: &Path) {
    let log = BootLog::open_read_only(path).unwrap();
    let mut cursor = log.cursor(Start::Offset(0));
    println!("#following#");
    let mut buf = [0; 8192];
    while cursor.offset() < END {
        match cursor.read(&mut buf) {
            Read::Bytes(count) => {
                let from = cursor.offset() - count as u64;
                assert_bytes_from(from, &buf[..count]);
            }
            Read::UpToDate => thread::yield_now(),
            Read::Gap { .. } => {}
            Read::Ended(end) => panic!("ended: {end:?}"),
        }
    }
    assert_eq!(cursor.delivered() + cursor.lost(), END);
    assert!(cursor.delivered() > 0);
    println!("#{}#", cursor.delivered());
}

#[test]
fn a_reader_in_another_process_follows_a_live_writer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let (mut writer, log) = BootLog::create_file(&path, CONFIG).unwrap();
    let mut child = start("reader", &path);
    let mut out = child.stdout.take().unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"#following#") {
        let mut one = [0];
        assert_eq!(out.read(&mut one).unwrap(), 1, "the reader did not start");
        seen.push(one[0]);
    }
    while writer.head() < END {
        let from = writer.head();
        if from % 3 == 0 {
            writer.append_byte(byte_at(from));
        } else {
            writer.append(&(from..END.min(from + 300)).map(byte_at).collect::<Vec<_>>());
        }
    }
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert!(
        child.wait().unwrap().success(),
        "the reader found something wrong"
    );
    let got: u64 = rest
        .split('#')
        .find_map(|count| count.parse().ok())
        .expect("the reader told what it got");
    assert!(got >= CONFIG.tail, "got {got}");
    assert_eq!(log.head(), END);
}

/// An image to restore into a log of `CONFIG`.
fn image() -> LogImage {
    let (mut writer, _) = BootLog::in_memory(CONFIG).unwrap();
    for _ in 0..3 {
        let from = writer.head();
        writer.begin_boot(MarkKind::Reset, UnixTime::from_nanos(from));
        writer.append(&(from..from + 200_000).map(byte_at).collect::<Vec<_>>());
    }
    writer.export()
}

/// Restores the image into one new file after another, named by numbers.
fn restore_for_ever(directory: &Path) {
    let image = image();
    for number in 0_u64.. {
        let (mut writer, _) =
            BootLog::create_file(directory.join(number.to_string()), CONFIG).unwrap();
        writer.restore(&image).unwrap();
    }
}

#[test]
fn a_process_killed_while_it_restores_leaves_nothing_or_all_or_no_log() {
    let (mut new, mut whole) = (0, 0);
    for round in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let mut child = start("restorer", dir.path());
        let deadline = Instant::now() + Duration::from_secs(60);
        while !dir.path().join("3").exists() {
            assert!(Instant::now() < deadline, "the child makes no files");
        }
        thread::sleep(Duration::from_micros(round * 531 % 9000));
        child.kill().unwrap();
        child.wait().unwrap();
        for entry in fs::read_dir(dir.path()).unwrap() {
            match BootLog::open_file(entry.unwrap().path()).map_err(LogError::into_cause) {
                Ok((_, log)) if log.head() == 0 => {
                    assert_eq!((log.epoch(), log.marks_written()), (0, 0));
                    new += 1;
                }
                Ok((_, log)) => {
                    assert_eq!((check(&log), log.epoch()), (600_000, 3));
                    assert_eq!(log.marks().len(), 3);
                    whole += 1;
                }
                Err(
                    LogError::Inconsistent { .. } | LogError::CutShort { .. } | LogError::NotALog,
                ) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert!(whole >= 20 * 3, "{whole} whole, {new} new");
}

#[test]
fn two_writers_in_one_process_exclude_each_other_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let (writer, log) = BootLog::create_file(&path, CONFIG).unwrap();
    assert!(matches!(
        BootLog::open_file(&path).map_err(LogError::into_cause),
        Err(LogError::InUse)
    ));
    assert!(matches!(
        BootLog::open_or_create_file(&path, CONFIG).map_err(LogError::into_cause),
        Err(LogError::InUse)
    ));
    // A reader's handle outlives the writer, and does not keep another writer out.
    drop(writer);
    BootLog::open_file(&path).unwrap();
    assert_eq!(log.head(), 0);
}
