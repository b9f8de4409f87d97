//! The activity of the service's thread, for a test that runs alone in its process.

/// The number of times that it has gone to sleep, and the time for which it has run, in ticks of 10
/// ms. A thread that never sleeps moves only the latter.
pub fn activity() -> (u64, u64) {
    activity_of("vm-console")
}

/// The same of the thread with this name.
pub fn activity_of(thread: &str) -> (u64, u64) {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let task = tasks
        .map(|task| task.path())
        .find(|task| {
            std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == thread)
        })
        .expect("a thread of this name");
    let switches = field(
        &std::fs::read_to_string(task.join("status")).unwrap(),
        "voluntary_ctxt_switches:",
    );
    let stat = std::fs::read_to_string(task.join("stat")).unwrap();
    let after_name = stat.rsplit_once(") ").unwrap().1;
    let ticks = after_name.split(' ').skip(11).take(2);
    (switches, ticks.map(|n| n.parse::<u64>().unwrap()).sum())
}

fn field(status: &str, name: &str) -> u64 {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
