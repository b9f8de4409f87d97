//! The output as a text file.

mod support;

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use support::{PATIENCE, Rig, newest_only, pattern, wait_until};
use vm_console::text_log::{TextLog, TextLogHandle};
use vm_console::{ConsoleConfig, Start, StreamLimits, UnixTime};

/// Ends the console, and waits for the rest to be written.
fn finish(rig: &Rig, text: &TextLogHandle) {
    rig.console.remove();
    assert!(text.wait_finished(PATIENCE));
}

fn wait_written(rig: &Rig, text: &TextLogHandle) {
    wait_until("all is written", || text.written_until() == rig.log.head());
}

#[test]
fn output_is_written_while_the_guest_runs_and_to_its_last_byte() {
    let rig = Rig::new();
    rig.print(b"before\r\n");
    let path = rig.path("text");
    let text = rig
        .console
        .log_text(TextLog::append_to(&path).unwrap())
        .unwrap();
    wait_written(&rig, &text);
    // Once it has seen everything, the next output wakes it: alone, and in floods.
    for round in 0..20 {
        rig.print(&pattern(0, if round % 2 == 0 { 1 } else { 30_000 }));
        wait_written(&rig, &text);
    }
    // Clients and it do not disturb each other.
    rig.carries(&mut rig.attach("raw"), "attached");
    wait_written(&rig, &text);
    rig.print(b"the last");
    finish(&rig, &text);
    let written = std::fs::read(&path).unwrap();
    assert_eq!(written.len() as u64, rig.log.head());
    assert!(written.starts_with(b"before\r\n") && written.ends_with(b"attachedthe last"));
    assert_eq!((text.lost(), text.failures()), (0, 0));
}

#[test]
fn lines_have_times_if_wanted() {
    let mut config = ConsoleConfig::named("vm");
    for line_times in [false, true] {
        config.line_times = line_times;
        let rig = Rig::with(config.clone());
        rig.print(b"not wanted\n");
        let path = rig.path("text");
        let text = TextLog::append_to(&path).unwrap();
        let text = text.with_times().starting_at(Start::Now);
        let text = rig.console.log_text(text).unwrap();
        rig.print(b"one\ntwo\n");
        finish(&rig, &text);
        let written = std::fs::read_to_string(&path).unwrap();
        let now = UnixTime::from(std::time::SystemTime::now()).to_string();
        let lines: Vec<_> = written.lines().collect();
        assert_eq!(lines.len(), 2, "{written}");
        for (line, words) in lines.into_iter().zip(["one", "two"]) {
            // `[2023-11-14T22:13:20.250Z] one`
            let (time, rest) = line[1..].split_once("] ").unwrap();
            assert_eq!((rest, time.len()), (words, now.len()));
            assert!(time.ends_with('Z') && time <= now.as_str(), "{time} {now}");
        }
    }
}

/// A pipe that nobody reads is a disk that hangs.
#[test]
fn a_disk_that_hangs_holds_up_nobody_and_what_is_missed_is_told() {
    let rig = Rig::with_log(ConsoleConfig::named("vm"), newest_only(64 << 10));
    let (mut disk, end) = std::io::pipe().unwrap();
    let text = rig
        .console
        .log_text(TextLog::in_file(OwnedFd::from(end)).unwrap())
        .unwrap();
    let client = rig.attach("raw");
    // More than the pipe and the log can hold.
    for _ in 0..100 {
        rig.print(&pattern(rig.log.head(), 4096));
        rig.prompt_status();
    }
    drop(client);
    rig.console.remove();
    assert!(rig.console.wait_removed(PATIENCE), "it waits for nobody");
    let reader = std::thread::spawn(move || {
        let mut written = Vec::new();
        disk.read_to_end(&mut written).unwrap();
        written
    });
    assert!(text.wait_finished(PATIENCE));
    let written = String::from_utf8(reader.join().unwrap()).unwrap();
    let (mut kept, mut lost) = (0, 0);
    for line in written.split_inclusive('\n') {
        match line.strip_suffix(" bytes of output lost]\n") {
            Some(note) => lost += note.strip_prefix('[').unwrap().parse::<u64>().unwrap(),
            None => kept += line.trim_end_matches('\n').len() as u64,
        }
    }
    assert!(lost > 0);
    assert_eq!(kept + lost, rig.log.head());
    assert_eq!(lost, text.lost());
    assert_eq!(lost, rig.counters().text_lost);
}

#[test]
fn a_full_disk_is_counted_and_nobody_else_notices() {
    let rig = Rig::new();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let text = TextLog::in_file(OwnedFd::from(full)).unwrap();
    let text = rig.console.log_text(text).unwrap();
    rig.print(b"output");
    wait_until("a write fails", || text.failures() > 0);
    rig.carries(&mut rig.attach("raw"), "goes on");
    finish(&rig, &text);
    assert_eq!(text.lost(), rig.log.head());
    let counters = rig.counters();
    assert_eq!(counters.text_lost, rig.log.head());
    assert_eq!(counters.text_failures, text.failures());
}

#[test]
fn a_name_that_cannot_be_opened_is_told() {
    let rig = Rig::new();
    let path = rig.path("missing/text");
    let error = TextLog::append_to(&path).unwrap_err().to_string();
    assert!(error.contains(path.to_str().unwrap()), "{error}");
    let none = StreamLimits {
        file_bytes: 0,
        ..StreamLimits::default()
    };
    assert!(TextLog::rotating(rig.path("text"), none).is_err());
}
