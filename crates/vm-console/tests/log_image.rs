//! A log exported and restored elsewhere, into sizes of its own.

mod numbered;

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

/// The offsets that can be read, each byte checked.
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

        // Both go on alike; of bytes written after the move, the new log keeps what its own sizes say.
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

/// FNV-1a, as the format says.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
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
    let whole = sample();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        assert!(LogImage::from_bytes(&bytes).is_err(), "byte {at}");
        let error = LogImage::from_bytes(&whole[..at]).unwrap_err();
        assert!(
            matches!(error, LogError::NotAnImage | LogError::CutShort { .. }),
            "length {at}: {error}"
        );
    }
    let mut longer = whole;
    longer.push(0);
    assert!(matches!(
        LogImage::from_bytes(&longer),
        Err(LogError::Inconsistent { .. })
    ));
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
    // Heads of 100 bytes at 0 and 400, and 300 bytes of tail: not more, though this log has room for more.
    assert_eq!(kept(&log), (0..100).chain(400..800).collect::<Vec<_>>());
    let (mut writer, _) = BootLog::open_file(&path).unwrap();
    apply(&mut writer, &[Step::Append(5), Step::Boot, Step::Append(5)]);
    assert_eq!(kept(&log), (0..100).chain(400..810).collect::<Vec<_>>());
}
