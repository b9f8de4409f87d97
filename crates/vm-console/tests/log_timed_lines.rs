//! Times before lines are added when the log is read.

use vm_console::{BootLog, GapPolicy, LogConfig, Read, Start, TimedLines, UnixTime};

fn show(mut lines: TimedLines) -> String {
    let mut shown = Vec::new();
    while !matches!(lines.read(&mut shown), Read::UpToDate | Read::Ended(_)) {}
    String::from_utf8(shown).unwrap()
}

fn second(second: u64) -> UnixTime {
    UnixTime::from_nanos(second * 1_000_000_000)
}

#[test]
fn each_line_has_the_time_of_its_own_end() {
    let (mut writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
    for line in 0..10 {
        writer.append(format!("line {line}\n").as_bytes());
        writer.stamp(second(line * line));
    }
    let shown = show(TimedLines::new(log.cursor(Start::Oldest)));
    let line = |line: u64| {
        format!(
            "[1970-01-01T00:{:02}:{:02}.000Z] line {line}\n",
            line * line / 60,
            line * line % 60
        )
    };
    let expected = (0..10).map(line).collect::<Vec<_>>().concat();
    assert_eq!(shown, expected);
    // The log itself has only the bytes that were written.
    assert!(log.read_at(0, 14).bytes == b"line 0\nline 1\n");
}

#[test]
fn lines_closer_than_the_resolution_share_a_time() {
    let (mut writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
    for (line, millis) in [0, 50, 99, 100, 150, 250].into_iter().enumerate() {
        writer.append(format!("{line}\n").as_bytes());
        writer.stamp(UnixTime::from_nanos(millis * 1_000_000));
    }
    let shown = show(TimedLines::new(log.cursor(Start::Oldest)));
    let millis: Vec<&str> = shown.lines().map(|line| &line[21..24]).collect();
    assert_eq!(millis, ["000", "000", "000", "100", "100", "250"]);
}

#[test]
fn a_clock_set_back_is_shown_as_it_is() {
    let (mut writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
    for (line, at) in [100, 5, u64::MAX / 1_000_000_000, 0]
        .into_iter()
        .enumerate()
    {
        writer.append(format!("{line}\n").as_bytes());
        writer.stamp(second(at));
    }
    let shown = show(TimedLines::new(log.cursor(Start::Oldest)));
    let years: Vec<&str> = shown.lines().map(|line| &line[1..5]).collect();
    assert_eq!(years, ["1970", "1970", "2554", "1970"]);
}

#[test]
fn times_are_bounded_and_the_oldest_are_given_up() {
    let (mut writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
    for line in 0..10_000 {
        writer.append(b"x\n");
        writer.stamp(second(line));
    }
    let shown = show(TimedLines::new(log.cursor(Start::Oldest)));
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 10_000);
    let known = lines
        .iter()
        .filter(|line| line.starts_with("[1970-"))
        .count();
    assert_eq!(known, 4096);
    assert!(
        lines[..10_000 - known]
            .iter()
            .all(|&line| line == "[time unknown            ] x")
    );
    assert_eq!(lines[9999], "[1970-01-01T02:46:39.000Z] x");
}

#[test]
fn parts_of_a_line_get_one_time_and_a_gap_ends_the_line() {
    let config = LogConfig {
        tail: 20,
        head: 0,
        ..LogConfig::default()
    };
    for policy in [GapPolicy::Note, GapPolicy::Silent] {
        let (mut writer, log) = BootLog::in_memory(config).unwrap();
        let mut lines = TimedLines::new(log.cursor(Start::Oldest).with_gap_policy(policy));
        let mut shown = Vec::new();
        writer.append(b"login");
        assert_eq!(lines.read(&mut shown), Read::Bytes(5));
        writer.append(b": root");
        assert_eq!(lines.read(&mut shown), Read::Bytes(6));
        writer.append(&[b'.'; 100]);
        while lines.read(&mut shown) != Read::UpToDate {}
        let dots = ".".repeat(20);
        let unknown = "[time unknown            ]";
        assert_eq!(
            String::from_utf8(shown).unwrap(),
            format!("{unknown} login: root\n{unknown} {dots}")
        );
        assert_eq!(lines.cursor().lost(), 80);
    }
}
