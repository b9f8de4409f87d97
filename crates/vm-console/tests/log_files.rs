//! Files that are no logs, are damaged, are cut short, or cannot be made cause a clear error and
//! never a panic.

use std::env;
use std::error::Error as _;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use vm_console::{
    BootLog, End, LogConfig, LogError, LogWriter, MarkKind, Read, Start, TimedLines, UnixTime,
};

const CONFIG: LogConfig = LogConfig {
    tail: 5000,
    head: 300,
    boots: 3,
};
/// Bytes of the header that its check sum covers.
const FIXED: u64 = 56;
/// Bytes of header and tables. The rest of the file is output.
const TABLES: u64 = 8192;

fn sample(dir: &Path) -> PathBuf {
    let path = dir.join("sample");
    let (mut writer, _) = BootLog::create_file(&path, CONFIG).unwrap();
    for boot in 0..5 {
        writer.begin_boot(MarkKind::PowerOn, UnixTime::from_nanos(boot));
        for line in 0..200 {
            writer.append(format!("boot {boot} line {line}\n").as_bytes());
            writer.stamp(UnixTime::from_nanos(boot * 1_000_000_000 + line));
        }
    }
    path
}

/// Uses everything that a reader can. It has to come to an end, with sums that are right.
fn use_log(log: &BootLog) {
    let now = log.accounting();
    assert_eq!(now.kept + now.overwritten, now.written);
    for start in [
        Start::Oldest,
        Start::Offset(0),
        Start::Newest(700),
        Start::Lines(3),
        Start::Boot(2),
        Start::Now,
    ] {
        let mut cursor = log.cursor(start);
        let mut buf = [0; 3000];
        for _ in 0..100 {
            if let Read::UpToDate | Read::Ended(_) = cursor.read(&mut buf) {
                break;
            }
        }
        assert_eq!(
            cursor.delivered() + cursor.lost(),
            cursor.offset() - cursor.started_at()
        );
    }
    let _ = (
        log.read_at(-100, 1000),
        log.read_at(0, 1000),
        log.marks(),
        log.boots(),
        log.oldest(),
    );
    let mut shown = Vec::new();
    TimedLines::new(log.cursor(Start::Oldest)).read(&mut shown);
}

fn use_writer((mut writer, log): (LogWriter, BootLog)) {
    use_log(&log);
    writer.append(b"more\n");
    writer.append_byte(b'!');
    writer.begin_boot(MarkKind::Reset, UnixTime::default());
    writer.stamp(UnixTime::default());
    writer.append(&[b'.'; 10_000]);
    let image = writer.export();
    let _ = image.to_bytes();
    use_log(&log);
}

#[test]
fn a_damaged_header_is_refused_or_harmless_at_each_byte() {
    let dir = tempfile::tempdir().unwrap();
    let whole = fs::read(sample(dir.path())).unwrap();
    let path = dir.path().join("damaged");
    let (mut refused, mut opened) = (0, 0);
    // Every byte of the header and of the used boot entries, then some bytes of every table.
    for at in (0..112).chain(256..352).chain((352..TABLES).step_by(97)) {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at as usize] ^= flip;
            fs::write(&path, &bytes).unwrap();
            let read_only = BootLog::open_read_only(&path);
            let writer = BootLog::open_file(&path);
            if at < FIXED {
                let error = read_only.map(drop).unwrap_err().into_cause();
                let expected = match at {
                    0..8 => matches!(error, LogError::NotALog),
                    8..16 => matches!(error, LogError::Version { .. }),
                    _ => matches!(error, LogError::Damaged),
                };
                assert!(expected, "byte {at}: {error}");
                assert!(writer.is_err());
                assert_eq!(
                    fs::read(&path).unwrap(),
                    bytes,
                    "a file that is refused is left as it is"
                );
                continue;
            }
            if let Ok(log) = read_only {
                use_log(&log);
            }
            match writer {
                Ok(writer) => {
                    use_writer(writer);
                    opened += 1;
                }
                Err(error) => {
                    assert!(
                        matches!(error.cause(), LogError::Inconsistent { .. }),
                        "byte {at}: {error}"
                    );
                    refused += 1;
                }
            }
        }
    }
    assert!(
        refused > 20 && opened > 20,
        "{refused} refused, {opened} opened"
    );
}

#[test]
fn counters_that_contradict_each_other_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let whole = fs::read(sample(dir.path())).unwrap();
    let path = dir.path().join("damaged");
    let head = 64;
    let (reserved, floor, epoch, first_boot) = (72, 80, 88, 256);
    for (at, value, rule) in [
        (head, u64::MAX, "write offset must not exceed"),
        (head, 1 << 61, "reserved offset must not be below"),
        (head, 0, "at most 4096 ahead"),
        (reserved, 0, "reserved offset must not be below"),
        (reserved, u64::MAX, "multiple of 4096"),
        (floor, u64::MAX, "floor must not be above"),
        (epoch, u64::MAX, "boot count must be below"),
        (epoch, 1, "no boot in the table may be above"),
        (first_boot, 6, "a boot must be in the table once"),
        (first_boot + 8, 1 << 40, "boots must begin in their order"),
    ] {
        let mut bytes = whole.clone();
        bytes[at..at + 8].copy_from_slice(&u64::to_le_bytes(value));
        fs::write(&path, &bytes).unwrap();
        let error = BootLog::open_file(&path).map(drop).unwrap_err().to_string();
        assert!(error.contains(rule), "{at} := {value}: {error}");
    }
}

#[test]
fn a_file_cut_short_is_refused_at_each_length() {
    let dir = tempfile::tempdir().unwrap();
    let whole = fs::read(sample(dir.path())).unwrap();
    let path = dir.path().join("short");
    let lengths = (0..FIXED as usize + 2)
        .chain((58..whole.len()).step_by(1009))
        .chain([whole.len() - 1]);
    for len in lengths {
        fs::write(&path, &whole[..len]).unwrap();
        for error in [
            BootLog::open_read_only(&path).map(drop).unwrap_err(),
            BootLog::open_file(&path).map(drop).unwrap_err(),
        ] {
            match error.into_cause() {
                LogError::NotALog => assert!(len < 8),
                LogError::CutShort {
                    len: found,
                    expected,
                } => {
                    assert!(len >= 8);
                    assert_eq!(found, len as u64);
                    assert!(expected == whole.len() as u64 || len < FIXED as usize);
                }
                other => panic!("length {len}: {other}"),
            }
        }
    }
}

#[test]
fn what_is_not_a_log_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text");
    fs::write(&text, "Linux version 6.1.0\n".repeat(1000)).unwrap();
    let zeros = dir.path().join("zeros");
    fs::write(&zeros, vec![0; 2_000_000]).unwrap();
    for path in [&text, &zeros] {
        let before = fs::read(path).unwrap();
        assert!(matches!(
            BootLog::open_or_create_file(path, CONFIG).map_err(LogError::into_cause),
            Err(LogError::NotALog)
        ));
        assert!(matches!(
            BootLog::open_read_only(path).map_err(LogError::into_cause),
            Err(LogError::NotALog)
        ));
        assert!(matches!(
            BootLog::create_file(path, CONFIG),
            Err(LogError::Io { .. })
        ));
        assert_eq!(fs::read(path).unwrap(), before);
    }
    let fifo = dir.path().join("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    // A usual open of a FIFO would wait for a writer for ever.
    assert!(matches!(
        BootLog::open_read_only(&fifo).map_err(LogError::into_cause),
        Err(LogError::NotALog)
    ));
    for path in [Path::new("/dev/null"), dir.path(), &fifo] {
        assert!(BootLog::open_read_only(path).is_err());
        assert!(BootLog::open_or_create_file(path, CONFIG).is_err());
    }
    let error = BootLog::open_file(dir.path().join("absent"))
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("absent") && error.contains("No such file"),
        "{error}"
    );
}

#[test]
fn sizes_out_of_range_are_refused_before_a_file_is_made() {
    let dir = tempfile::tempdir().unwrap();
    for (config, field) in [
        (LogConfig { tail: 0, ..CONFIG }, "tail is 0"),
        (
            LogConfig {
                tail: u64::MAX,
                ..CONFIG
            },
            "tail",
        ),
        (
            LogConfig {
                head: u64::MAX,
                ..CONFIG
            },
            "head",
        ),
        (LogConfig { boots: 0, ..CONFIG }, "boots is 0"),
        (
            LogConfig {
                boots: 17,
                ..CONFIG
            },
            "boots is 17, must be 1 to 16",
        ),
    ] {
        let path = dir.path().join("log");
        for error in [
            BootLog::in_memory(config).map(drop).unwrap_err(),
            BootLog::create_file(&path, config).map(drop).unwrap_err(),
            BootLog::open_or_create_file(&path, config)
                .map(drop)
                .unwrap_err(),
        ] {
            assert!(error.to_string().contains(field), "{error}");
        }
        assert!(!path.exists());
    }
    let nowhere = dir.path().join("no/such/directory/log");
    assert!(BootLog::create_file(&nowhere, CONFIG).is_err());
}

#[test]
fn a_new_file_is_private_and_its_blocks_are_there() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let (_writer, log) = BootLog::create_file(&path, CONFIG).unwrap();
    let meta = fs::metadata(&path).unwrap();
    assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    assert!(
        meta.blocks() * 512 >= meta.len(),
        "{} of {}",
        meta.blocks() * 512,
        meta.len()
    );
    assert!(log.is_whole());
}

#[test]
fn holes_in_a_copied_file_are_filled_before_it_is_written() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    let original = sample(dir.path());
    let whole = fs::read(&original).unwrap();
    let path = dir.path().join("sparse");
    let file = File::create(&path).unwrap();
    file.set_len(whole.len() as u64).unwrap();
    for (index, block) in whole
        .chunks(4096)
        .enumerate()
        .filter(|(_, block)| block.iter().any(|&byte| byte != 0))
    {
        file.write_all_at(block, index as u64 * 4096).unwrap();
    }
    drop(file);
    let (writer, log) = BootLog::open_file(&path).unwrap();
    let meta = fs::metadata(&path).unwrap();
    assert!(meta.blocks() * 512 >= meta.len());
    assert_eq!(
        writer.head(),
        BootLog::open_read_only(&original).unwrap().head()
    );
    use_log(&log);
}

#[test]
fn a_creation_that_was_interrupted_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let whole = fs::read(sample(dir.path())).unwrap();
    let path = dir.path().join("log");
    for there in [0, FIXED as usize] {
        fs::write(&path, &whole[..there]).unwrap();
        let (mut writer, log) = BootLog::open_or_create_file(&path, CONFIG).unwrap();
        assert_eq!(log.accounting().written, 0);
        writer.append(b"x");
        drop((writer, log));
        assert_eq!(
            BootLog::open_read_only(&path).unwrap().read_at(0, 9).bytes,
            b"x"
        );
    }
}

#[test]
fn a_reader_tells_that_its_file_was_cut() {
    let dir = tempfile::tempdir().unwrap();
    let path = sample(dir.path());
    let log = BootLog::open_read_only(&path).unwrap();
    let mut cursor = log.cursor(Start::Oldest);
    let mut buf = [0; 100];
    assert!(matches!(cursor.read(&mut buf), Read::Bytes(_)));
    OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(TABLES)
        .unwrap();
    assert!(!log.is_whole());
    assert_eq!(cursor.read(&mut buf), Read::Ended(End::FileCut));
    assert_eq!(cursor.read(&mut buf), Read::Ended(End::FileCut));
}

/// Makes a log if the next test has started this process with a limit on the size of files; does
/// nothing otherwise.
#[test]
fn play_a_limited_process() {
    if let Some(path) = env::var_os("LOG_FILES_LIMITED") {
        let error = BootLog::create_file(path, LogConfig::default())
            .map(drop)
            .unwrap_err();
        println!("#{error}#");
    }
}

#[test]
fn a_file_that_cannot_get_its_size_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let out = Command::new("sh")
        .arg("-c")
        // Without the signal, a write beyond the limit is an error.
        .arg("trap '' XFSZ; ulimit -f 64; exec \"$0\" --exact play_a_limited_process --nocapture")
        .arg(env::current_exe().unwrap())
        .env("LOG_FILES_LIMITED", &path)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&out.stdout);
    assert!(
        told.contains("#boot log: cannot size") && told.contains("File too large"),
        "{told}"
    );
    assert!(!path.exists());
}

#[test]
fn a_passed_descriptor_holds_a_log_as_well() {
    let mut file = tempfile::tempfile().unwrap();
    let (mut writer, log) = BootLog::in_file(file.try_clone().unwrap(), CONFIG).unwrap();
    writer.append(b"through a descriptor");
    // The lock belongs to the open file, which the clone shares, so this is the same owner.
    drop((writer, log));
    let log = BootLog::read_only(file.try_clone().unwrap()).unwrap();
    assert_eq!(log.read_at(0, 100).bytes, b"through a descriptor");
    file.write_all(b"overwrites the magic").unwrap();
    assert!(matches!(
        BootLog::in_file(file, CONFIG),
        Err(LogError::NotALog)
    ));
}

#[test]
fn nobody_can_cut_a_sealed_memfd() {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
    let file =
        File::from(memfd_create("ttyS0", MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC).unwrap());
    let (mut writer, log) = BootLog::in_file(file.try_clone().unwrap(), CONFIG).unwrap();
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL).unwrap();
    assert!(file.set_len(TABLES).is_err());
    writer.append(b"still whole");
    assert!(log.is_whole());
    // Another process may be given the file for reading.
    assert_eq!(
        BootLog::read_only(file).unwrap().read_at(0, 100).bytes,
        b"still whole"
    );
}

#[test]
fn an_error_names_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ttyS0.log");
    let names_it = |error: LogError| {
        let told = error.to_string();
        assert_eq!(told.matches(path.to_str().unwrap()).count(), 1, "{told}");
    };
    names_it(BootLog::open_file(&path).unwrap_err());
    let (writer, _) = BootLog::create_file(&path, CONFIG).unwrap();
    names_it(BootLog::create_file(&path, CONFIG).unwrap_err());
    names_it(BootLog::open_file(&path).unwrap_err());
    names_it(BootLog::open_or_create_file(&path, CONFIG).unwrap_err());
    drop(writer);
    let whole = fs::read(&path).unwrap();
    for damage in [4, 12, 20] {
        let mut bytes = whole.clone();
        bytes[damage] ^= 1;
        fs::write(&path, bytes).unwrap();
        names_it(BootLog::open_read_only(&path).unwrap_err());
        names_it(BootLog::open_or_create_file(&path, CONFIG).unwrap_err());
    }
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    names_it(BootLog::open_read_only(&path).unwrap_err());
}

/// An error's text needs no words before it, and says nothing twice.
#[test]
fn each_message_names_the_boot_log_once() {
    let io = |path: Option<PathBuf>| LogError::Io {
        doing: "open",
        path,
        source: std::io::ErrorKind::NotFound.into(),
    };
    let size = LogConfig { tail: 0, ..CONFIG }.check().unwrap_err();
    for error in [
        size,
        io(None),
        io(Some("console.log".into())),
        LogError::NotALog,
        LogError::Version { found: 9, known: 1 },
        LogError::CutShort {
            len: 1,
            expected: 2,
        },
        LogError::Damaged,
        LogError::Inconsistent {
            rule: "one must follow from the other",
            value: 1,
        },
        LogError::NotAnImage,
        LogError::NotEmpty,
        LogError::InUse,
        LogError::InFile {
            path: "console.log".into(),
            cause: Box::new(LogError::Damaged),
        },
        LogError::StreamInUse {
            name: "console.log".into(),
        },
    ] {
        let told = error.to_string();
        assert_eq!(told.matches("boot log").count(), 1, "{told}");
    }
}

#[test]
fn an_error_gives_its_source_where_the_system_is_to_blame() {
    let dir = tempfile::tempdir().unwrap();
    let absent = BootLog::open_read_only(dir.path().join("absent")).unwrap_err();
    let source = absent.source().expect("what the system said");
    assert_eq!(
        source.downcast_ref::<std::io::Error>().unwrap().kind(),
        std::io::ErrorKind::NotFound
    );
    // This is more address space than a process has.
    let region = vm_memory::MmapRegion::<()>::new(usize::MAX >> 1).unwrap_err();
    let told = region.to_string();
    let map = LogError::Map(region);
    assert_eq!(
        map.source().expect("what the system said").to_string(),
        told
    );
    assert!(map.to_string().contains(&told));
    assert!(LogError::NotALog.source().is_none());
}
