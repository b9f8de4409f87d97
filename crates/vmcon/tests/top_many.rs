//! `vmcon top` with 500 consoles. What it costs is measured by hand, on a machine that has nothing
//! else to do:
//!
//! `cargo test --release -p vmcon --test top_many -- --ignored --nocapture`
#![expect(
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "it measures"
)]

mod host;
mod watcher;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, getrlimit, setrlimit};
use vm_console::{ConsoleConfig, LogConfig};
use vm_serial_tests::terminal::Terminal;

use host::{Host, Served};
use watcher::Watcher;

const CONSOLES: usize = 500;
const FLOODING: usize = 50;
/// How long each state is measured.
const SPAN: Duration = Duration::from_secs(10);
/// What a frame and a key may take on the screen while others flood.
const SMOOTH: Duration = Duration::from_millis(500);

#[test]
#[ignore = "it measures"]
fn five_hundred_consoles_cost_little_and_floods_do_not_hold_it_up() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let host = Host::new();
    let consoles: Vec<_> = (0..CONSOLES).map(|n| small(&host, n)).collect();
    for (number, served) in consoles.iter().enumerate() {
        served.print(format!("console {number} is quiet\r\n"));
    }
    let terminal = Terminal::open();
    let mut top = Watcher::at(&terminal, &host, &["top"]);
    top.resize(200, 50);
    top.wait_for("500 running");
    let quiet = cost("quiet", &top);
    let printed = AtomicU64::new(0);
    let is_over = AtomicBool::new(false);
    let (flooded, waited) = thread::scope(|scope| {
        scope.spawn(|| flood(&consoles[..FLOODING], &printed, &is_over));
        top.wait_for("K/s");
        let before = printed.load(Ordering::Relaxed);
        let flooded = cost("50 flooding", &top);
        let rate = (printed.load(Ordering::Relaxed) - before) as f64 / SPAN.as_secs_f64();
        println!("they print {:.1} MB/s together", rate / 1e6);
        let waited = (0..20).map(|turn| {
            let (key, text) = [("G", "vm-499 "), ("g", "vm-0 ")][turn % 2];
            let begun = Instant::now();
            terminal.type_keys(key);
            top.wait_for(text);
            begun.elapsed()
        });
        let waited = waited.max().unwrap();
        is_over.store(true, Ordering::Relaxed);
        (flooded, waited)
    });
    println!("slowest answer to a key while flooded: {waited:?}");
    terminal.type_keys("q");
    assert!(top.wait().success());
    assert!(quiet <= 0.10, "{quiet}");
    assert!(flooded <= 0.50, "{flooded}");
    assert!(waited <= SMOOTH, "{waited:?}");
}

/// A console with a log that 500 times does not fill the memory.
fn small(host: &Host, number: usize) -> Served {
    let id = format!("vm-{number}");
    let log = LogConfig {
        tail: 128 << 10,
        head: 16 << 10,
        boots: 1,
    };
    host.console_of(&id, ConsoleConfig::named(&id), log)
}

/// Each prints some 100 KB/s, as fast as a fast guest at a real serial port ten times over.
fn flood(consoles: &[Served], printed: &AtomicU64, is_over: &AtomicBool) {
    let words = "a flood of text ".repeat(5);
    for turn in 0_u64.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        // Lines that differ, so that all of a tile is drawn again.
        let mut lines = String::new();
        for line in turn..turn + 10 {
            let words = &words[line as usize % 7..];
            write!(lines, "[{:>12}] {words}\r\n", line * 123_456_789).unwrap();
        }
        for served in consoles {
            served.print(&lines);
            printed.fetch_add(lines.len() as u64, Ordering::Relaxed);
        }
        thread::sleep(Duration::from_millis(8));
    }
}

/// The share of a processor that it takes.
fn cost(what: &str, top: &Watcher<'_>) -> f64 {
    thread::sleep(Duration::from_secs(3));
    let (before, written) = (ticks(top.process().id()), top.written());
    thread::sleep(SPAN);
    let used = ticks(top.process().id()) - before;
    let share = used as f64 / rustix::param::clock_ticks_per_second() as f64 / SPAN.as_secs_f64();
    let written = (top.written() - written) as f64 / SPAN.as_secs_f64();
    println!(
        "{what}: {:.1} % of a core, {:.1} kB/s to the terminal",
        share * 100.0,
        written / 1e3
    );
    share
}

/// Time on processors, its own and the kernel's for it, of all its threads.
fn ticks(pid: Pid) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<_> = fields.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
