//! Replays the recorded traces as `examples/replay` does: nothing may stay unexplained, and every
//! rule that explains a difference must be needed by some trace.
//!
//! `tests/recorded` holds a few small recordings of our own, made with the same emulator, for
//! circumstances that the shared traces do not meet.

#[path = "../examples/replay/device.rs"]
mod device;
mod model;
#[allow(dead_code)] // printing is the example's
#[path = "../examples/replay/rules.rs"]
mod rules;
#[allow(dead_code)] // printing is the example's
#[path = "../examples/replay/script.rs"]
mod script;
#[allow(dead_code)] // printing is the example's
#[path = "../examples/replay/verdict.rs"]
mod verdict;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use rules::Rule;
use verdict::{Verdict, judge_file};

/// The traces in a folder, in order.
fn traces(folder: &Path) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| {
        let name = file.file_name().unwrap().to_string_lossy();
        name.split('.')
            .skip(1)
            .any(|part| part == "trace" || part == "replay")
    });
    assert!(!files.is_empty(), "no traces in {}", folder.display());
    files.sort();
    files
}

fn crate_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `../shared/traces` beside the repository; says so if it is not there.
fn shared(what: &str) -> Option<PathBuf> {
    let folder = crate_root().join("../../../shared/traces").join(what);
    if folder.is_dir() {
        return Some(folder);
    }
    let text = format!("{} is not there", folder.display());
    assert!(
        std::env::var_os("VM_SERIAL_REQUIRE_ALL").is_none(),
        "{text}"
    );
    let _ = writeln!(std::io::stderr(), "SKIPPED: {text}");
    None
}

/// Replays all traces of a folder; none may have an unexplained answer.
fn replay(folder: &Path) -> Vec<(PathBuf, Verdict)> {
    let judged = traces(folder).into_iter().map(|file| {
        let verdict = judge_file(&file).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        assert_eq!(
            verdict.unexplained,
            0,
            "{}:\n{}\noutput: {:?}",
            file.display(),
            verdict
                .first_unexplained
                .as_deref()
                .unwrap_or("no answer differs"),
            verdict.output
        );
        (file, verdict)
    });
    judged.collect()
}

fn needed(judged: &[(PathBuf, Verdict)]) -> BTreeSet<Rule> {
    judged
        .iter()
        .flat_map(|(_, verdict)| verdict.needed.iter().copied())
        .collect()
}

#[test]
fn guests_see_what_they_saw_and_send_what_they_sent() {
    let Some(folder) = shared("guests") else {
        return;
    };
    for (file, verdict) in replay(&folder) {
        let name = file.display();
        assert!(
            verdict.explained.is_empty(),
            "{name}: a real guest met a difference"
        );
        assert!(
            verdict.output.is_some(),
            "{name}: nothing captured beside it"
        );
        assert!(
            verdict.same > 1000 && verdict.sent.len() > 1000,
            "{name}: hardly anything in it"
        );
    }
}

#[test]
fn every_difference_has_a_rule_and_every_rule_a_difference() {
    let own = replay(&crate_root().join("tests/recorded"));
    let Some(folder) = shared("corpus") else {
        return;
    };
    let corpus = replay(&folder);
    let needed = &needed(&own) | &needed(&corpus);
    let idle: Vec<_> = Rule::ALL
        .iter()
        .filter(|rule| !needed.contains(rule))
        .collect();
    assert!(idle.is_empty(), "no trace needs {idle:?}");
}

#[test]
fn a_wrong_answer_is_noticed() {
    // Each answer of a recording, changed in one bit, must come out as unexplained.
    let file = crate_root().join("tests/recorded/break-without-fifo.trace");
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<_> = text.lines().collect();
    for (index, line) in lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.starts_with('r'))
    {
        let (question, value) = line.rsplit_once(' ').unwrap();
        let wrong = u8::from_str_radix(value, 16).unwrap() ^ 0x01;
        let changed = format!("{question} {wrong:02x}");
        let mut trace = lines.clone();
        trace[index] = &changed;
        let verdict = verdict::judge(trace.join("\n").as_bytes()).unwrap();
        assert_eq!(verdict.unexplained, 1, "line {}: {changed}", index + 1);
        assert!(verdict.first_unexplained.unwrap().contains(&changed));
    }
}
