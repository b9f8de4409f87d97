//! Runs this test program under `strace`, and sorts the system calls by thread.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use vm_console::sandbox::Thread;

use super::scenario::{self, Scenario};

/// The names of the system calls of each thread.
pub type Calls = BTreeMap<Thread, BTreeSet<String>>;

/// A call that nothing here makes for another reason. A thread's calls before it, and those after a
/// second one, are not counted.
pub fn mark() {
    let _ = rustix::process::getppid();
}

const MARK: &str = "getppid";

/// Plays `scenario` in another process, and returns its threads' system calls.
pub fn measure(scenario: Scenario, dir: &Path) -> Calls {
    let trace = dir.join(scenario.name());
    let output = Command::new("strace")
        .args(["-f", "-qq", "-e", "signal=none", "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "play_a_scenario", "--nocapture"])
        .env(scenario::VARIABLE, scenario.name())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}: {}\n{}\n{}",
        scenario.name(),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    sort(&std::fs::read_to_string(trace).unwrap())
}

/// What the trace tells of a thread of the process.
#[derive(Default)]
struct Traced<'a> {
    name: Option<&'a str>,
    marks: u32,
    /// All its calls, with the number of marks before each.
    calls: Vec<(&'a str, u32)>,
}

fn sort(trace: &str) -> Calls {
    let mut threads: BTreeMap<&str, Traced<'_>> = BTreeMap::new();
    for line in trace.lines() {
        let (tid, call) = line.split_once(' ').expect(line);
        let thread = threads.entry(tid).or_default();
        let call = call.trim_start();
        // The end of a call whose beginning stands further up.
        if call.starts_with("<...") {
            continue;
        }
        let (name, arguments) = call.split_once('(').expect(line);
        if name == MARK {
            thread.marks += 1;
            continue;
        }
        thread.calls.push((name, thread.marks));
        if let Some(given) = arguments.strip_prefix("PR_SET_NAME, \"") {
            thread.name = given.split('"').next();
        }
    }
    let mut calls = Calls::new();
    for thread in threads.values() {
        // A helper inherits the filter, so its first steps count.
        let (kind, from) = match thread.name {
            Some("vm-console") => (Thread::Service, 1),
            Some("vm-console-log") => (Thread::Log, 0),
            Some("vm-console-clos") => (Thread::Close, 0),
            Some("vm-console-recv") => (Thread::Receive, 0),
            Some("vm-console-text") => (Thread::Text, 0),
            Some("guest") => (Thread::Guest, 1),
            _ => continue,
        };
        let counted = thread.calls.iter().filter(|(_, marks)| *marks == from);
        let names = counted.map(|(name, _)| (*name).to_owned());
        calls.entry(kind).or_default().extend(names);
    }
    calls
}

#[test]
fn calls_are_sorted_by_thread_and_counted_between_marks() {
    let trace = "\
1 read(3, \"\", 832) = 0
2 prctl(PR_SET_NAME, \"vm-console\") = 0
2 getppid() = 7
1 write(1, \"read(\", 5 <unfinished ...>
2 epoll_wait(5,  <unfinished ...>
1 <... write resumed>) = 5
2 <... epoll_wait resumed>[], 256, -1) = 0
3 rseq(0x7f, 0x20, 0, 0x53053053) = 0
3 prctl(PR_SET_NAME, \"vm-console-log\") = 0
4 prctl(PR_SET_NAME, \"guest\") = 0
4 getppid() = 7
4 write(5, \"\\1\", 8) = 8
4 getppid() = 7
4 madvise(0x7f, 4096, MADV_DONTNEED) = 0
2 exit(0) = ?
";
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let wanted = Calls::from([
        (Thread::Service, set(&["epoll_wait", "exit"])),
        (Thread::Log, set(&["rseq", "prctl"])),
        (Thread::Guest, set(&["write"])),
    ]);
    assert_eq!(sort(trace), wanted);
}
