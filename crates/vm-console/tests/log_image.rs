//! A log is exported, and restored into a log of other sizes.

mod check_sum;
mod damage;
mod numbered;

use std::sync::Barrier;
use std::thread;

use check_sum::fnv;
use damage::refuses_damage;
use numbered::{byte_at, bytes_at};
use proptest::prelude::*;
use vm_console::{
    BootLog, LogConfig, LogError, LogImage, LogWriter, MarkKind, Read, Start, UnixTime,
};

#[derive(Clone, Copy, Debug)]
enum Step {
    Append(u64),
    Boot,
    Mark,
    Stamp,
}

fn apply(writer: &mut LogWriter, steps: &[Step]) {
    for step in steps {
        let from = writer.head();
        let now = UnixTime::from_nanos(from * 1_000_000_000);
        match *step {
            Step::Append(count) => {
                writer.append(&bytes_at(from..from + count));
            }
            Step::Boot => {
                let _ = writer.begin_boot(MarkKind::Reset, now);
            }
            Step::Mark => writer.mark(MarkKind::Attach, now),
            Step::Stamp => writer.stamp(now),
        }
    }
}

/// The offsets that can be read. Checks each byte.
fn kept(log: &BootLog) -> Vec<u64> {
    let mut cursor = log.cursor(Start::Offset(0));
    let mut buf = [0; 4096];
    let mut kept = Vec::new();
    loop {
        match cursor.read(&mut buf) {
            Read::Bytes(count) => {
                let from = cursor.offset() - count as u64;
                for (offset, &found) in (from..).zip(&buf[..count]) {
                    assert_eq!(found, byte_at(offset), "at {offset}");
                    kept.push(offset);
                }
            }
            Read::Gap { .. } => {}
            Read::UpToDate => break,
            Read::Ended(end) => panic!("ended: {end:?}"),
        }
    }
    assert_eq!(log.accounting().kept, kept.len() as u64);
    assert_eq!(cursor.delivered() + cursor.lost(), log.head());
    kept
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_u64..3000).prop_map(Step::Append),
        1 => Just(Step::Boot),
        1 => Just(Step::Mark),
        1 => Just(Step::Stamp),
    ];
    prop::collection::vec(step, 0..40)
}

fn config() -> impl Strategy<Value = LogConfig> {
    (1_u64..20_000, 0_u64..5000, 1_u64..6).prop_map(|(tail, head, boots)| LogConfig {
        tail,
        head,
        boots,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_restored_log_is_the_exported_one(before in steps(), after in steps(), from in config(), to in config()) {
        let (mut one, old) = BootLog::in_memory(from).unwrap();
        apply(&mut one, &before);
        let image = LogImage::from_bytes(&one.export().to_bytes()).unwrap();
        prop_assert_eq!(&image, &one.export());

        let (mut two, new) = BootLog::in_memory(to).unwrap();
        two.restore(&image).unwrap();
        prop_assert_eq!((new.head(), new.epoch()), (old.head(), old.epoch()));
        prop_assert_eq!(new.marks(), old.marks());
        prop_assert_eq!(new.marks_written(), old.marks_written());
        for offset in (0..old.head()).step_by(211) {
            prop_assert_eq!(new.time_at(offset), old.time_at(offset));
        }
        let (had, has) = (kept(&old), kept(&new));
        prop_assert!(has.iter().all(|offset| had.binary_search(offset).is_ok()));
        if to.tail >= from.tail && to.head >= from.head && to.boots >= from.boots {
            prop_assert_eq!(&has, &had);
            prop_assert_eq!(new.boots(), old.boots());
        }
        let newest = old.head().saturating_sub(from.tail.min(to.tail));
        prop_assert!((newest..old.head()).all(|offset| has.binary_search(&offset).is_ok()));

        // Both go on in the same way. Of the bytes written after the move, the new log keeps as
        // many as its own sizes allow.
        apply(&mut one, &after);
        apply(&mut two, &after);
        prop_assert_eq!((new.head(), new.epoch()), (old.head(), old.epoch()));
        if from == to {
            prop_assert_eq!(kept(&new), kept(&old));
            prop_assert_eq!(new.boots(), old.boots());
            prop_assert_eq!(two.export(), one.export());
        }
        kept(&new);
    }

    #[test]
    fn any_words_under_a_right_check_sum_are_refused_or_restored(
        steps in steps(),
        changes in prop::collection::vec((0_usize..60, prop_oneof![any::<u64>(), 0_u64..5000, Just(u64::MAX)]), 1..4),
    ) {
        let (mut writer, _) = BootLog::in_memory(LogConfig { tail: 3000, head: 500, boots: 3 }).unwrap();
        apply(&mut writer, &steps);
        let mut bytes = writer.export().to_bytes();
        for (word, value) in changes {
            if let Some(at) = bytes.get_mut(word * 8..word * 8 + 8) {
                at.copy_from_slice(&value.to_le_bytes());
            }
        }
        let end = bytes.len() - 8;
        let check = fnv(&bytes[..end]);
        bytes[end..].copy_from_slice(&check.to_le_bytes());
        if let Ok(image) = LogImage::from_bytes(&bytes) {
            let (mut writer, log) = BootLog::in_memory(LogConfig { tail: 2000, head: 300, boots: 2 }).unwrap();
            writer.restore(&image).unwrap();
            prop_assert_eq!(log.head(), image.head());
            let now = log.accounting();
            prop_assert_eq!(now.kept + now.overwritten, now.written);
            writer.append(b"goes on");
            writer.begin_boot(MarkKind::Reset, UnixTime::default());
            let _ = (log.marks(), log.boots(), log.read_at(0, 10_000), writer.export().to_bytes());
        }
    }
}

fn sample() -> Vec<u8> {
    let (mut writer, _) = BootLog::in_memory(LogConfig {
        tail: 300,
        head: 100,
        boots: 3,
    })
    .unwrap();
    apply(
        &mut writer,
        &[
            Step::Boot,
            Step::Append(400),
            Step::Stamp,
            Step::Boot,
            Step::Append(400),
            Step::Mark,
        ],
    );
    writer.export().to_bytes()
}

#[test]
fn an_image_damaged_at_any_byte_or_cut_at_any_length_is_refused() {
    refuses_damage(
        &sample(),
        LogImage::from_bytes,
        |error| matches!(error, LogError::NotAnImage | LogError::CutShort { .. }),
        |error| matches!(error, LogError::Inconsistent { .. }),
    );
}

/// Reads everything again and again while the image is restored. Each byte is right, and either
/// none are there or all.
#[test]
fn a_reader_sees_nothing_or_all_of_a_log_while_it_is_restored() {
    let (mut writer, old) = BootLog::in_memory(LogConfig {
        tail: 100_000,
        head: 30_000,
        boots: 3,
    })
    .unwrap();
    for _ in 0..3 {
        apply(
            &mut writer,
            &[Step::Boot, Step::Mark, Step::Append(150_000), Step::Stamp],
        );
    }
    let image = writer.export();
    let all = old.accounting();
    for _ in 0..60 {
        let config = LogConfig {
            tail: 100_000,
            head: 30_000,
            boots: 3,
        };
        let (mut writer, log) = BootLog::in_memory(config).unwrap();
        let started = Barrier::new(3);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    started.wait();
                    // The writer needs a few milliseconds. The bound only ends a test that fails.
                    for _ in 0..10_000_000 {
                        let now = log.accounting();
                        if now.written != 0 {
                            assert_eq!(now, all);
                            assert_eq!(kept(&log).len() as u64, all.kept);
                            assert_eq!(log.boots(), old.boots());
                            assert_eq!(log.marks(), old.marks());
                            return;
                        }
                        let shown = log.read_at(0, 1000);
                        let offsets = shown.start..;
                        for (offset, &found) in offsets.zip(&shown.bytes) {
                            assert_eq!(found, byte_at(offset), "at {offset}");
                        }
                        let written = log.marks().iter().map(|mark| mark.offset).max();
                        assert!(written.is_none_or(|offset| offset <= log.head()));
                    }
                    panic!("the restored log was never published");
                });
            }
            started.wait();
            writer.restore(&image).unwrap();
        });
    }
}

/// The flag says that a head has all of its boot, so that more may be added to it. If that is
/// false, the head would reach over bytes that the image does not hold.
#[test]
fn an_image_whose_boot_falsely_grows_on_is_refused() {
    let bytes = sample();
    // The boots begin at word 11. Each has four words: epoch, first offset, length, flag.
    let flag = |boot: usize| (11 + boot * 4 + 3) * 8;
    for boot in 0..2 {
        assert_eq!(
            bytes[flag(boot)],
            0,
            "both boots have printed more than 100 bytes"
        );
        let mut changed = bytes.clone();
        changed[flag(boot)] = 1;
        let end = changed.len() - 8;
        let check = fnv(&changed[..end]);
        changed[end..].copy_from_slice(&check.to_le_bytes());
        let error = LogImage::from_bytes(&changed).unwrap_err().to_string();
        assert!(error.contains("may still grow"), "{error}");
    }
}

#[test]
fn an_image_tells_the_epoch_and_the_offset_it_goes_on_at() {
    let image = LogImage::from_bytes(&sample()).unwrap();
    assert_eq!((image.epoch(), image.head()), (2, 800));
}

#[test]
fn an_image_goes_into_a_new_log_only_and_into_a_file_as_well() {
    let image = LogImage::from_bytes(&sample()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let (mut writer, _) = BootLog::create_file(&path, LogConfig::default()).unwrap();
    writer.restore(&image).unwrap();
    assert!(matches!(writer.restore(&image), Err(LogError::NotEmpty)));
    drop(writer);
    let log = BootLog::open_read_only(&path).unwrap();
    assert_eq!((log.head(), log.epoch()), (800, 2));
    // Heads of 100 bytes at 0 and 400, and 300 bytes of tail. This log has room for more, but the
    // image did not hold more.
    assert_eq!(kept(&log), (0..100).chain(400..800).collect::<Vec<_>>());
    let (mut writer, _) = BootLog::open_file(&path).unwrap();
    apply(&mut writer, &[Step::Append(5), Step::Boot, Step::Append(5)]);
    assert_eq!(kept(&log), (0..100).chain(400..810).collect::<Vec<_>>());
}
