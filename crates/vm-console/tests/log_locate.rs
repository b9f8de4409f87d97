//! Finding the place where a reader begins. A search for lines is bounded in each call, and each
//! block is searched once.

use std::thread;

use vm_console::{BootLog, Fit, Located, LogConfig, MarkKind, Start, UnixTime};

const TAIL: u64 = 8 << 20;
const BUDGET: u64 = 100_000;
/// Bytes that a search counts as a whole.
const BLOCK: u64 = 16 << 10;

/// The number of calls with this budget until the log answers, and the answer.
fn calls(log: &BootLog, start: Start, budget: u64) -> (u64, Located) {
    for call in 1..=TAIL {
        if let Some(located) = log.locate_within(start, budget) {
            return (call, located);
        }
    }
    panic!("each call must come further");
}

fn full_log(chunk: &[u8]) -> (vm_console::LogWriter, BootLog) {
    let config = LogConfig {
        tail: TAIL,
        head: 0,
        ..LogConfig::default()
    };
    let (mut writer, log) = BootLog::in_memory(config).unwrap();
    while writer.head() < TAIL * 3 / 2 {
        writer.append(chunk);
    }
    (writer, log)
}

#[test]
fn a_search_through_a_log_without_newlines_is_spread_over_calls_and_done_once() {
    let (mut writer, log) = full_log(&[b'.'; 4096]);
    let run = writer.head() - TAIL;
    let gone = Located {
        offset: run,
        fit: Fit::Gone,
    };
    let (first, found) = calls(&log, Start::Lines(u64::MAX), BUDGET);
    assert_eq!(found, gone);
    // A call looks through the budget and the rest of a block.
    assert!(first >= TAIL / (BUDGET + BLOCK), "{first} calls");
    assert!(first <= TAIL / BUDGET + 2, "{first} calls");

    // The next search costs nothing, through any handle and for any number of lines.
    for lines in [1, 10, u64::MAX] {
        assert_eq!(calls(&writer.log(), Start::Lines(lines), 0), (1, gone));
    }
    // After more output, only the new bytes are searched.
    writer.append(&vec![b'.'; 3 * BLOCK as usize]);
    let (calls, _) = calls(&log, Start::Lines(u64::MAX), 0);
    assert!((3..=5).contains(&calls), "{calls} calls");
}

#[test]
fn few_lines_at_the_end_are_found_at_once() {
    let (_writer, log) = full_log(b"a line of a boot log\n");
    let (calls, located) = calls(&log, Start::Lines(3), 0);
    assert_eq!(located.offset, log.head() - 3 * 21);
    assert_eq!((calls, located.fit), (1, Fit::Exact));
}

#[test]
fn every_number_of_lines_is_found_with_and_without_known_counts() {
    // Lines of 64 bytes: each segment holds 256 of them, and begins with one.
    let line = [&[b'.'; 63][..], b"\n"].concat();
    let (mut writer, log) = full_log(&line);
    let check = |log: &BootLog, lines: u64| {
        let kept = TAIL / 64;
        let expected = Located {
            offset: log.head() - 64 * lines.min(kept),
            fit: if lines > kept { Fit::Gone } else { Fit::Exact },
        };
        assert_eq!(log.locate(Start::Lines(lines)), expected, "{lines} lines");
    };
    for _ in 0..3 {
        // Every number near the limits of the first segments, and some others.
        let near = (0..20).flat_map(|segments| (segments * 256..).take(3));
        let rest = (0..TAIL / 64 + 300).step_by(1009);
        for lines in near.chain(rest) {
            check(&log, lines);
        }
        writer.append(&line);
    }
}

#[test]
fn a_boot_is_found_or_told_to_be_gone_or_not_begun() {
    let (mut writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
    for boot in 1..=20_u64 {
        let epoch = writer.begin_boot(MarkKind::Reset, UnixTime::from_nanos(boot));
        assert_eq!(epoch, boot);
        writer.append(format!("boot {boot:02}\n").as_bytes());
    }
    for boot in 1..=22 {
        let located = log.locate(Start::Boot(boot));
        let shown = log.read_at(located.offset.cast_signed(), 7).bytes;
        match located.fit {
            Fit::Exact => assert_eq!(shown, format!("boot {boot:02}").as_bytes()),
            Fit::Gone => assert!(boot <= 16 && shown == b"boot 17"),
            Fit::NotYet => assert!(boot > 20 && shown.is_empty()),
        }
    }
    assert_eq!(
        log.locate(Start::ThisBoot),
        Located {
            offset: 19 * 8,
            fit: Fit::Exact
        }
    );
    // A boot that printed nothing has no bytes to show, since those of the next boot are not its
    // own.
    writer.begin_boot(MarkKind::Reset, UnixTime::default());
    writer.begin_boot(MarkKind::Reset, UnixTime::default());
    assert_eq!(log.locate(Start::Boot(21)).fit, Fit::Gone);
    assert_eq!(log.locate(Start::Boot(22)).fit, Fit::Exact);
}

/// The counts are shared without a lock. Readers that count while the writer goes on all find the
/// same place.
#[test]
fn searches_at_once_and_beside_the_writer_find_the_beginning_of_a_line() {
    let config = LogConfig {
        tail: 200_000,
        head: 0,
        ..LogConfig::default()
    };
    let (mut writer, log) = BootLog::in_memory(config).unwrap();
    // Every line is 64 bytes long, so each begins at a multiple of 64.
    let line = [&[b'.'; 63][..], b"\n"].concat();
    thread::scope(|scope| {
        for seed in 1..=3_u64 {
            let log = &log;
            scope.spawn(move || {
                let mut turn = seed;
                while log.head() < 20_000_000 {
                    turn = turn.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 3 | seed;
                    let before = log.head();
                    let lines = turn % 2000;
                    if let Some(located) = log.locate_within(Start::Lines(lines), turn % 60_000) {
                        assert!(located.offset >= before.saturating_sub(lines * 64 + 64));
                        assert!(
                            located.offset.is_multiple_of(64) || located.fit == Fit::Gone,
                            "{located:?}"
                        );
                    }
                }
            });
        }
        while writer.head() < 20_000_000 {
            writer.append(&line);
        }
    });
    let located = log.locate(Start::Lines(100));
    assert_eq!(located.offset, writer.head() - 6400);
}
