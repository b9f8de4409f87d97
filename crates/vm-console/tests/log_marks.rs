//! Marks and boots, and the file in which they outlive their writer.

use proptest::prelude::*;
use vm_console::{BootLog, LogConfig, LogWriter, Mark, MarkKind, Start, UnixTime};

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

/// The word counts indices that were left out. Here it is damaged, and larger than all indices.
#[test]
fn a_log_with_a_damaged_count_of_marks_can_still_move() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let (mut writer, _) = BootLog::create_file(&path, LogConfig::default()).unwrap();
    writer.mark(MarkKind::Attach, at(1));
    writer.mark(MarkKind::Detach, at(2));
    drop(writer);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[136..144].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let (writer, log) = BootLog::open_file(&path).unwrap();
    let (mut moved, new) = BootLog::in_memory(LogConfig::default()).unwrap();
    moved.restore(&writer.export()).unwrap();
    assert_eq!((new.marks().len(), new.marks()), (2, log.marks()));
}

/// The number of newest marks of each sort that stay.
const SHARE: usize = 64;

fn is_about_machine(mark: &Mark) -> bool {
    !matches!(
        mark.kind,
        MarkKind::Break | MarkKind::Attach | MarkKind::Detach | MarkKind::Gap
    )
}

/// Every mark that was made, to check those that are kept.
#[derive(Default)]
struct History(Vec<Mark>);

impl History {
    fn mark(&mut self, writer: &mut LogWriter, kind: MarkKind) {
        let now = at(self.0.len() as u64);
        writer.append(b".");
        if kind == MarkKind::Reset {
            writer.begin_boot(kind, now);
        } else {
            writer.mark(kind, now);
        }
        self.0.push(Mark {
            kind,
            offset: writer.head(),
            epoch: writer.epoch(),
            at: now,
        });
    }

    fn check(&self, log: &BootLog) {
        let kept = log.marks();
        assert_eq!(log.marks_written(), self.0.len() as u64);
        assert_eq!(kept.len(), self.0.len().min(BootLog::MARKS as usize));
        assert!(kept.is_sorted_by(|one, next| one.at < next.at));
        assert!(kept.iter().all(|mark| self.0.contains(mark)));
        assert_eq!(kept.last(), self.0.last());
        for sort in [true, false] {
            let of_sort = |marks: &[Mark]| -> Vec<Mark> {
                let found = marks.iter().rev().copied();
                found
                    .filter(|mark| is_about_machine(mark) == sort)
                    .take(SHARE)
                    .collect()
            };
            assert_eq!(of_sort(&kept), of_sort(&self.0));
        }
    }
}

#[test]
fn attaches_do_not_push_out_the_marks_of_boots_nor_boots_those_of_attaches() {
    let (mut writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
    let mut history = History::default();
    for _ in 0..10 {
        history.mark(&mut writer, MarkKind::Reset);
    }
    for _ in 0..1000 {
        history.mark(&mut writer, MarkKind::Attach);
        history.mark(&mut writer, MarkKind::Detach);
    }
    history.check(&log);
    for epoch in 1..=10 {
        assert!(log.marks().iter().any(|mark| mark.epoch == epoch
            && mark.offset == epoch
            && mark.kind == MarkKind::Reset));
    }
    for _ in 0..1000 {
        history.mark(&mut writer, MarkKind::Reset);
    }
    history.check(&log);
}

fn kind() -> impl Strategy<Value = MarkKind> {
    prop_oneof![
        Just(MarkKind::Reset),
        Just(MarkKind::PowerOff),
        Just(MarkKind::Break),
        Just(MarkKind::Attach),
        Just(MarkKind::Detach),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Marks(MarkKind, usize),
    Reopen,
    Move,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_newest_marks_of_each_sort_are_kept_whatever_happens(
        steps in prop::collection::vec(
            prop_oneof![
                8 => (kind(), 1_usize..5).prop_map(|(kind, count)| Step::Marks(kind, count)),
                4 => (kind(), 1_usize..400).prop_map(|(kind, count)| Step::Marks(kind, count)),
                1 => Just(Step::Reopen),
                1 => Just(Step::Move),
            ],
            1..40,
        ),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let config = LogConfig { tail: 100, head: 10, boots: 2 };
        let mut path = dir.path().join("log");
        let (mut writer, mut log) = BootLog::create_file(&path, config).unwrap();
        let mut history = History::default();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Marks(kind, count) => {
                    (0..count).for_each(|_| history.mark(&mut writer, kind));
                }
                Step::Reopen => {
                    drop(writer);
                    (writer, log) = BootLog::open_file(&path).unwrap();
                }
                Step::Move => {
                    let image = writer.export();
                    path = dir.path().join(number.to_string());
                    (writer, log) = BootLog::create_file(&path, config).unwrap();
                    writer.restore(&image).unwrap();
                }
            }
            history.check(&log);
        }
        prop_assert_eq!(BootLog::open_read_only(&path).unwrap().marks(), log.marks());
    }
}
