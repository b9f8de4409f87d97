//! Every boot that a log knows, and the times of its lines, against what was written.

use proptest::prelude::*;
use vm_console::{BootLog, LogConfig, MarkKind, Read, Start, UnixTime};

#[derive(Clone, Debug)]
enum Act {
    Boot(MarkKind),
    Write(usize),
    Mark(MarkKind),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        Just(Act::Boot(MarkKind::PowerOn)),
        Just(Act::Boot(MarkKind::Reset)),
        (0usize..90).prop_map(Act::Write),
        Just(Act::Mark(MarkKind::Attach)),
        Just(Act::Mark(MarkKind::PowerOff)),
    ]
}

proptest! {
    #[test]
    fn known_boots_are_those_that_were(
        acts in prop::collection::vec(act(), 0..60),
        tail in 1u64..200,
        head in 0u64..20,
        boots in 1u64..5,
    ) {
        let (mut writer, log) = BootLog::in_memory(LogConfig { tail, head, boots }).unwrap();
        let mut begun = Vec::new();
        let mut time = 0;
        for act in &acts {
            time += 1;
            let at = UnixTime::from_nanos(time);
            match act {
                Act::Boot(kind) => {
                    let start = writer.head();
                    begun.push((writer.begin_boot(*kind, at), *kind, at, start));
                }
                Act::Write(count) => writer.append(&vec![b'.'; *count]),
                Act::Mark(kind) => writer.mark(*kind, at),
            }
        }
        let known = log.known_boots();
        // The log keeps more marks than there are, so each boot is known.
        let begin = usize::from(known.first().is_some_and(|boot| boot.epoch == 0));
        let told: Vec<_> = known[begin..]
            .iter()
            .map(|boot| {
                let (kind, at) = boot.began.unwrap();
                (boot.epoch, kind, at, boot.start)
            })
            .collect();
        prop_assert_eq!(told, begun);
        let starts = known.iter().skip(1).map(|boot| boot.start);
        let ends: Vec<_> = starts.chain((!known.is_empty()).then(|| log.head())).collect();
        prop_assert_eq!(known.iter().map(|boot| boot.end).collect::<Vec<_>>(), ends);
        // What is left of each is what a reader gets.
        for boot in &known {
            let is_left = |offset: &u64| {
                let mut cursor = log.cursor(Start::Offset(*offset));
                cursor.read(&mut [0]) == Read::Bytes(1)
            };
            let left: Vec<_> = (boot.start..boot.end).filter(is_left).collect();
            prop_assert_eq!(boot.kept, left.len() as u64);
            prop_assert_eq!(boot.oldest, left.first().copied().unwrap_or(boot.end));
        }
        // Whatever is kept is of one of them, unless its head was given up for a later one.
        let kept: u64 = known.iter().map(|boot| boot.kept).sum();
        prop_assert!(kept <= log.accounting().kept);
    }

    #[test]
    fn line_times_in_parts_are_all_that_are_kept(
        lines in prop::collection::vec(0usize..3, 0..200),
        part in 1usize..50,
        after in 0u64..300,
    ) {
        let (mut writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
        writer.set_line_time_resolution(std::time::Duration::ZERO);
        let mut stamped: Vec<(u64, u64)> = Vec::new();
        for (nanos, length) in (1..).zip(&lines) {
            writer.append(&vec![b'.'; *length]);
            writer.stamp(UnixTime::from_nanos(nanos));
            // Of two at one place the newer counts.
            stamped.retain(|(end, _)| *end != writer.head());
            stamped.push((writer.head(), nanos));
        }
        let mut told = Vec::new();
        let mut from = after;
        loop {
            let times = log.line_times(from, part);
            prop_assert!(times.len() <= part);
            let Some(last) = times.last() else { break };
            from = last.end;
            told.extend(times.iter().map(|line| (line.end, line.at.as_nanos())));
        }
        let later: Vec<_> = stamped.iter().copied().filter(|(end, _)| *end > after).collect();
        prop_assert_eq!(told, later);
        let before = stamped.iter().rev().find(|(end, _)| *end <= after);
        let before = before.map(|(_, nanos)| UnixTime::from_nanos(*nanos));
        prop_assert_eq!(log.time_at(after), before);
    }
}

#[test]
fn only_the_newest_line_times_are_kept() {
    let (mut writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
    writer.set_line_time_resolution(std::time::Duration::ZERO);
    for nanos in 0..2 * BootLog::LINE_TIMES {
        writer.append(b"\n");
        writer.stamp(UnixTime::from_nanos(nanos));
    }
    let times = log.line_times(0, usize::MAX);
    assert_eq!(times.len() as u64, BootLog::LINE_TIMES);
    assert_eq!(times[0].end, BootLog::LINE_TIMES + 1);
}
