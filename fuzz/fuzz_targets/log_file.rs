//! A log file with any bytes in any places: opened and read, or refused, for reading and for
//! writing; never a panic, and the accounting always adds up.
//!
//! ```text
//! cargo +nightly fuzz run log_file CORPUS fuzz/seeds/log_file
//! ```
#![no_main]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use rustix::fs::{MemfdFlags, memfd_create};
use vm_console::{BootLog, LogConfig, MarkKind, Read, Start, UnixTime};

#[derive(Arbitrary, Debug)]
struct Damage {
    /// Places and what is written there.
    writes: Vec<(u16, Vec<u8>)>,
    /// Cuts the file to this length.
    cut: Option<u16>,
    start: i64,
}

fuzz_target!(|damage: Damage| {
    let file = memory_file();
    file.write_all_at(whole(), 0).expect("room in memory");
    for (at, bytes) in &damage.writes {
        file.write_all_at(bytes, (*at).into())
            .expect("room in memory");
    }
    if let Some(length) = damage.cut {
        file.set_len(length.into())
            .expect("a memory file can be cut");
    }
    if let Ok(log) = BootLog::read_only(file.try_clone().expect("a descriptor")) {
        read_all(&log, damage.start);
    }
    if let Ok((mut writer, log)) = BootLog::in_file(file, CONFIG) {
        let before = log.head();
        writer.begin_boot(MarkKind::PowerOn, UnixTime::from_nanos(1));
        writer.append(b"after the damage");
        assert_eq!(log.head(), before + 16);
        read_all(&log, damage.start);
    }
});

const CONFIG: LogConfig = LogConfig {
    tail: 4096,
    head: 64,
    boots: 2,
};

/// A log with two boots whose ring has wrapped.
fn whole() -> &'static [u8] {
    static WHOLE: OnceLock<Vec<u8>> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let file = memory_file();
        let (mut writer, _) = BootLog::in_file(file.try_clone().expect("a descriptor"), CONFIG)
            .expect("an empty file");
        for boot in 0..2 {
            writer.begin_boot(MarkKind::Reset, UnixTime::from_nanos(boot));
            for line in 0..500u64 {
                writer.append(b"line of a log\n");
                writer.stamp(UnixTime::from_nanos(line * 1_000_000_000));
            }
        }
        drop(writer);
        let length = file.metadata().expect("a length").len();
        let mut bytes = vec![0; usize::try_from(length).expect("a small file")];
        file.read_exact_at(&mut bytes, 0).expect("what was written");
        bytes
    })
}

fn memory_file() -> File {
    memfd_create("log", MemfdFlags::CLOEXEC)
        .expect("a descriptor")
        .into()
}

fn read_all(log: &BootLog, start: i64) {
    let accounting = log.accounting();
    assert_eq!(accounting.written, accounting.kept + accounting.overwritten);
    let _ = (log.marks(), log.boots(), log.read_at(start, 100));
    for start in [
        Start::Oldest,
        Start::Newest(100),
        Start::Lines(3),
        Start::Lines(u64::MAX),
        Start::Boot(1),
        Start::Offset(start.unsigned_abs()),
    ] {
        let mut cursor = log.cursor(start);
        // The second search finds what the first has counted.
        assert_eq!(log.locate(start).offset, cursor.offset());
        let mut buffer = [0; 512];
        // A damaged head may lie far out, and is then told as one gap.
        while let Read::Bytes(_) | Read::Gap { .. } = cursor.read(&mut buffer) {}
        assert_eq!(
            cursor.delivered() + cursor.lost(),
            cursor.offset() - cursor.started_at()
        );
    }
}
