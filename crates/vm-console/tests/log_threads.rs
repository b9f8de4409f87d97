//! One writer and many readers at the same time. Every byte follows from its offset, so any wrong
//! byte is found.

mod numbered;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use numbered::{assert_bytes_from, byte_at, bytes_at};
use vm_console::{
    BootLog, Cursor, GapPolicy, LogConfig, LogWriter, MarkKind, Read, Start, UnixTime,
};
use vmm_sys_util::eventfd::EventFd;

fn write_some(writer: &mut LogWriter, random: &mut Rng, until: u64) {
    let from = writer.head();
    match random.u64(..1000) {
        0 => {
            let _ = writer.begin_boot(MarkKind::Reset, UnixTime::from_nanos(from));
        }
        1..=5 => writer.mark(MarkKind::Break, UnixTime::from_nanos(from)),
        6..=20 => writer.stamp(UnixTime::from_nanos(from)),
        21..=400 => writer.append_byte(byte_at(from)),
        roll => {
            let most = if roll > 990 { 20_000 } else { 40 };
            let to = until.min(from + random.u64(..most));
            writer.append(&bytes_at(from..to));
        }
    }
}

/// Reads to the end into buffers of random size, and checks every byte.
fn read_all(cursor: &mut Cursor, random: &mut Rng, end: u64) {
    let mut buf = vec![0; 100_000];
    while cursor.offset() < end {
        let most = if random.bool() { 64 } else { 100_000 };
        let room = 1 + random.u64(..most) as usize;
        let before = cursor.offset();
        match cursor.read(&mut buf[..room]) {
            Read::Bytes(count) => {
                let from = cursor.offset() - count as u64;
                assert_bytes_from(from, &buf[..count]);
            }
            Read::Gap { from, to } => {
                assert!(from == before && to > from && to <= cursor.log().head());
                assert_eq!(cursor.offset(), to);
            }
            Read::UpToDate => thread::yield_now(),
            Read::Ended(end) => panic!("ended: {end:?}"),
        }
        assert_eq!(
            cursor.delivered() + cursor.lost(),
            cursor.offset() - cursor.started_at()
        );
    }
}

fn check_at_once(log: &BootLog) {
    let now = log.accounting();
    assert_eq!(now.kept + now.overwritten, now.written);
    let marks = log.marks();
    assert!(marks.len() as u64 <= BootLog::MARKS);
    for mark in &marks {
        // Each mark was made with its offset as its time, so a mixture of two marks shows.
        assert_eq!(mark.at.as_nanos(), mark.offset);
    }
    assert!(marks.is_sorted_by_key(|mark| mark.offset));
    let boots = log.boots();
    assert!(boots.is_sorted_by(|one, next| one.epoch < next.epoch && one.head_end <= next.start));
    if let Some(time) = log.time_at(now.written) {
        assert!(time.as_nanos() <= log.head());
    }
}

fn stress(writer: &mut LogWriter, log: &BootLog, readers: impl Fn() -> BootLog) {
    const END: u64 = 3_000_000;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for seed in 1..=4 {
            let log = readers();
            scope.spawn(move || {
                let mut random = Rng::with_seed(seed * 0x1234_5678_9abc_def1);
                while log.head() < END {
                    let start = match random.u64(..5) {
                        0 => Start::Oldest,
                        1 => Start::Offset(0),
                        2 => Start::Newest(random.u64(..100_000)),
                        3 => Start::Boot(random.u64(..=log.epoch())),
                        _ => Start::Lines(random.u64(..100)),
                    };
                    let policy = if random.bool() {
                        GapPolicy::Note
                    } else {
                        GapPolicy::Silent
                    };
                    let mut cursor = log.cursor(start).with_gap_policy(policy);
                    let until = (cursor.offset() + random.u64(..END)).min(END);
                    read_all(&mut cursor, &mut random, until);
                }
                let mut cursor = log.cursor(Start::Oldest);
                read_all(&mut cursor, &mut random, END);
                assert_eq!(
                    cursor.started_at() + cursor.delivered() + cursor.lost(),
                    END
                );
            });
        }
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                check_at_once(log);
            }
        });
        let mut random = Rng::with_seed(0x5eed);
        while writer.head() < END {
            write_some(writer, &mut random, END);
            if random.u64(..200) == 0 {
                thread::yield_now();
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(log.head(), END);
    check_at_once(log);
}

#[test]
fn every_byte_a_reader_gets_is_the_one_written_there() {
    let (mut writer, log) = BootLog::in_memory(LogConfig {
        tail: 50_000,
        head: 3000,
        boots: 3,
    })
    .unwrap();
    stress(&mut writer, &log, || log.clone());
}

#[test]
fn readers_of_the_file_see_the_same_as_readers_in_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let config = LogConfig {
        tail: 30_000,
        head: 500,
        boots: 2,
    };
    let (mut writer, log) = BootLog::create_file(&path, config).unwrap();
    stress(&mut writer, &log, || {
        BootLog::open_read_only(&path).unwrap()
    });
}

/// A lost wakeup would leave the reader asleep for ever.
#[test]
fn a_reader_that_sleeps_only_when_armed_reads_everything() {
    const END: u64 = 300_000;
    let (mut writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
    let bell = EventFd::new(0).unwrap();
    writer.set_doorbell(bell.try_clone().unwrap());
    let writer = Arc::new(Mutex::new(writer));
    let sleeps = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut cursor = log.cursor(Start::Oldest);
            let mut buf = [0; 4096];
            while cursor.offset() < END {
                match cursor.read(&mut buf) {
                    Read::Bytes(_) => {}
                    Read::UpToDate => {
                        if writer.lock().unwrap().arm(cursor.offset()) {
                            bell.read().unwrap();
                            sleeps.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    other => panic!("the tail holds everything: {other:?}"),
                }
            }
            assert_eq!(cursor.delivered(), END);
        });
        for offset in 0..END {
            writer.lock().unwrap().append_byte(byte_at(offset));
            if offset % 1000 == 0 {
                thread::sleep(Duration::from_micros(10));
            }
        }
    });
    assert!(
        sleeps.load(Ordering::Relaxed) > 0,
        "the reader never slept: the test showed nothing"
    );
}

/// With a tail of one byte nearly every read is of a boot's head, and each boot overwrites the only
/// head.
#[test]
fn a_head_that_is_given_up_while_it_is_read_is_not_mixed_with_the_next() {
    const END: u64 = 10_000_000;
    let config = LogConfig {
        tail: 1,
        head: 20_000,
        boots: 1,
    };
    let (mut writer, log) = BootLog::in_memory(config).unwrap();
    let started = Barrier::new(3);
    thread::scope(|scope| {
        for seed in 1..=2 {
            let (log, started) = (&log, &started);
            scope.spawn(move || {
                let mut random = Rng::with_seed(seed);
                started.wait();
                while log.head() < END {
                    let mut cursor = log.cursor(Start::Oldest);
                    let until = cursor.offset() + 20_000;
                    read_all(&mut cursor, &mut random, until.min(END));
                }
                // The last boot's head is whole, so all of it is read, and each byte is right.
                let mut cursor = log.cursor(Start::Oldest);
                read_all(&mut cursor, &mut random, END);
                assert_eq!(cursor.delivered(), 20_000);
            });
        }
        started.wait();
        while writer.head() < END {
            let from = writer.head();
            let _ = writer.begin_boot(MarkKind::Reset, UnixTime::from_nanos(from));
            let to = END.min(from + 20_000);
            writer.append(&bytes_at(from..to));
        }
    });
}

#[test]
fn a_mark_that_is_replaced_while_it_is_read_is_not_mixed_with_the_next() {
    let (mut writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                check_at_once(&log);
            }
        });
        for offset in 0..1_000_000 {
            writer.append_byte(byte_at(offset));
            writer.mark(MarkKind::Break, UnixTime::from_nanos(offset + 1));
        }
        done.store(true, Ordering::Relaxed);
    });
}
