//! Marks, boots and the file they outlive their writer in.

use vm_console::{BootLog, LogConfig, Mark, MarkKind, Start, UnixTime};

fn at(second: u64) -> UnixTime {
    UnixTime::from_nanos(second * 1_000_000_000)
}

#[test]
fn marks_tell_what_happened_where_when_and_in_which_boot() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let (mut writer, _) = BootLog::create_file(&path, LogConfig::default()).unwrap();
    writer.begin_boot(MarkKind::PowerOn, at(10));
    writer.append(b"one");
    writer.mark(MarkKind::Attach, at(11));
    writer.append(b"two");
    writer.begin_boot(MarkKind::Reset, at(12));
    drop(writer);
    let (mut writer, log) = BootLog::open_file(&path).unwrap();
    writer.mark(MarkKind::Reopened, at(13));
    let expected = [
        (MarkKind::PowerOn, 0, 1, 10),
        (MarkKind::Attach, 3, 1, 11),
        (MarkKind::Reset, 6, 2, 12),
        (MarkKind::Reopened, 6, 2, 13),
    ];
    let expected = expected.map(|(kind, offset, epoch, second)| Mark {
        kind,
        offset,
        epoch,
        at: at(second),
    });
    assert_eq!(log.marks(), expected);
    assert_eq!(BootLog::open_read_only(&path).unwrap().marks(), expected);
}

#[test]
fn marks_are_bounded_and_those_gone_are_counted() {
    let (mut writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
    for second in 0..10_000 {
        writer.mark(MarkKind::Break, at(second));
    }
    let marks = log.marks();
    assert_eq!(marks.len() as u64, BootLog::MARKS);
    assert_eq!(log.marks_written(), 10_000);
    assert_eq!(marks.last().unwrap().at, at(9999));
    assert_eq!(marks[0].at, at(10_000 - BootLog::MARKS));
}

#[test]
fn a_machine_that_resets_in_a_loop_does_not_push_out_the_boot_that_printed() {
    let config = LogConfig {
        tail: 10,
        head: 100,
        boots: 2,
    };
    let (mut writer, log) = BootLog::in_memory(config).unwrap();
    writer.begin_boot(MarkKind::PowerOn, at(0));
    writer.append(b"why it resets, and then more than the tail holds");
    for second in 1..1000 {
        writer.begin_boot(MarkKind::Reset, at(second));
    }
    assert_eq!(log.epoch(), 1000);
    assert!(log.read_at(0, 100).bytes.starts_with(b"why it resets"));
    assert_eq!(log.cursor(Start::Boot(1000)).offset(), log.head());
    assert_eq!(log.boots().len(), 2);
}
