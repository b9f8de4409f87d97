//! `attach` without a terminal: what is typed, what is waited for, and the exit code.

mod accounting;
mod host;

use std::io::Write;
use std::time::{Duration, Instant};

use host::{Done, Host, Served};
use vm_console::{ConsoleConfig, LogConfig};
use vm_serial_tests::output::Output;
use vm_serial_tests::process::Process;

/// An `attach` with a script.
struct Script {
    process: Process,
    stdout: Output,
    stderr: Output,
}

fn start(host: &Host, arguments: &[&str], script: &[u8]) -> Script {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let (stdout, to_stdout) = std::io::pipe().unwrap();
    let (stderr, to_stderr) = std::io::pipe().unwrap();
    let mut command = host.command(&[&["attach", "vm-7"], arguments].concat());
    command.stdin(reader).stdout(to_stdout).stderr(to_stderr);
    let process = Process::start(&mut command);
    let script = script.to_vec();
    std::thread::spawn(move || writer.write_all(&script));
    Script {
        process,
        stdout: Output::collect(stdout),
        stderr: Output::collect(stderr),
    }
}

fn wait(mut script: Script) -> Done {
    let status = script.process.wait();
    Done {
        stdout: script.stdout.wait_for_end(),
        stderr: String::from_utf8_lossy(&script.stderr.wait_for_end()).into_owned(),
        code: status.code().unwrap_or(-1),
    }
}

/// Reads as a guest until `text` was typed.
fn read_until(served: &Served, text: &str) -> Vec<u8> {
    let mut typed = Vec::new();
    host::until(|| {
        typed.extend(served.input(4096));
        typed.ends_with(text.as_bytes())
    });
    typed
}

#[test]
fn a_script_is_typed_and_its_effects_are_shown() {
    let host = Host::new();
    let served = host.console("vm-7");
    served.print("login: ");
    // No escape means anything here, and the guest gets each byte.
    let vmcon = start(&host, &["-q", "--quiet-time", "300ms"], b"root\n~.uptime\n");
    read_until(&served, "uptime\n");
    served.print("up 3 days\r\n");
    let done = wait(vmcon);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(done.text(), "login: up 3 days\r\n");
    assert_eq!(done.stderr, "");
}

#[test]
fn the_guest_sets_the_pace() {
    let host = Host::new();
    let served = host.console("vm-7");
    let script: Vec<u8> = (0..1_000_000u32).map(|i| b'a' + (i % 23) as u8).collect();
    let vmcon = start(&host, &["--quiet-time", "1ms"], &script);
    let mut typed = Vec::new();
    host::until(|| {
        let more = served.input(16 << 10);
        typed.extend(more);
        typed.len() == script.len()
    });
    assert!(typed == script);
    assert_eq!(wait(vmcon).code, 0);
}

#[test]
fn quiet_means_nothing_but_output() {
    let host = Host::new();
    let served = host.console_of(
        "vm-7",
        ConsoleConfig::named("vm-7"),
        LogConfig {
            tail: 4096,
            head: 0,
            boots: 1,
        },
    );
    served.print("x".repeat(10_000));
    served.console.reset();
    let done = host.vmcon(&["attach", "vm-7", "-q", "--quiet-time", "100ms"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert_eq!(done.stdout, vec![b'x'; 4096]);
}

#[test]
fn patterns_are_answered_in_order() {
    let host = Host::new();
    let served = host.console("vm-7");
    served.print("# vm-7 login: ");
    let arguments = [
        "--expect", "login: $", "--send", r"root\r", "--expect", "^# ", "--send", r"\x04",
    ];
    let vmcon = start(&host, &arguments, b"");
    read_until(&served, "root\r");
    served.print("root\r\nwelcome\r\n# ");
    read_until(&served, "\x04");
    let done = wait(vmcon);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(done.text(), "# vm-7 login: root\r\nwelcome\r\n# ");
    let told: Vec<_> = done.stderr.lines().collect();
    assert_eq!(
        told,
        [
            "attached to vm-7 (boot 1, running)",
            "[seen: login: $]",
            "[seen: ^# ]"
        ]
    );
}

#[test]
fn a_pattern_that_does_not_come_has_an_exit_code_of_its_own() {
    let host = Host::new();
    let served = host.console("vm-7");
    served.print("vm-7 login: ");
    let begin = Instant::now();
    let arguments = [
        "attach",
        "vm-7",
        "--expect",
        "login",
        "--expect",
        "\x1bpanic",
        "--timeout",
        "200ms",
    ];
    let done = host.vmcon(&arguments);
    assert!(begin.elapsed() >= Duration::from_millis(200));
    assert_eq!(done.code, 10, "{done:?}");
    assert!(
        done.stderr
            .ends_with("vmcon: vm-7: \"\\u{1b}panic\" was not seen within 200ms\n"),
        "{done:?}"
    );
    // Neither before there is a console.
    let arguments = [
        "attach",
        "vm-8",
        "--wait",
        "--expect",
        "x",
        "--timeout",
        "1ms",
    ];
    assert_eq!(host.vmcon(&arguments).code, 10);
}

#[test]
fn a_stopped_reader_loses_nothing_unsaid() {
    let host = Host::new();
    let log = LogConfig {
        tail: 64 << 10,
        head: 0,
        boots: 1,
    };
    let served = host.console_of("vm-7", ConsoleConfig::named("vm-7"), log);
    let arguments = ["attach", "vm-7", "--expect", "^END$", "--timeout", "1h"];
    let mut command = host.command(&arguments);
    let (reader, writer) = std::io::pipe().unwrap();
    // Both into one pipe, so that it shows at which place something is told.
    command.stdout(writer.try_clone().unwrap()).stderr(writer);
    let mut vmcon = Process::start(&mut command);
    drop(command);
    let is_held = || {
        served
            .console
            .status(host::PATIENCE)
            .unwrap()
            .holder
            .is_some()
    };
    host::until(is_held);
    let line = |i: usize| format!("{i:07}\n");
    let written: String = (0..400_000).map(line).collect::<String>() + "END\n";
    for part in written.as_bytes().chunks(8192) {
        served.print(part);
    }
    let all = Output::collect(reader).wait_for_end();
    assert_eq!(vmcon.wait().code(), Some(0));
    let accounted = accounting::accounted(&all, written.as_bytes());
    assert!(accounted.lost > 0, "the case is not reached");
    assert_eq!(accounted.end, written.len());
}

#[test]
fn what_makes_no_sense_is_refused() {
    let host = Host::new();
    for wrong in [
        &["--expect", "("][..],
        &["--send", r"\q"],
        &["--replay", "some"],
        &["--escape", "ab"],
        &["--timeout", "1s"],
        &["--force", "--read-only"],
        &["--read-only", "--send", "x"],
        &["--quiet-time", "soon"],
    ] {
        let done = host.vmcon(&[&["attach", "vm-7"], wrong].concat());
        assert_eq!(done.code, 2, "{wrong:?}: {done:?}");
    }
}

#[test]
fn the_replay_begins_where_it_is_asked_to() {
    let host = Host::new();
    let served = host.console("vm-7");
    served.print("one\ntwo\n");
    served.console.reset();
    host::until(|| served.log.epoch() == 2);
    served.print("three\nfour\n");
    for (replay, shown) in [
        ("all", "one\ntwo\nthree\nfour\n"),
        ("none", ""),
        ("1", "four\n"),
        ("boot", "three\nfour\n"),
        ("boot=1", "one\ntwo\nthree\nfour\n"),
        ("offset=4", "two\nthree\nfour\n"),
    ] {
        let arguments = [
            "attach",
            "vm-7",
            "-q",
            "--quiet-time",
            "50ms",
            "--replay",
            replay,
        ];
        let done = host.vmcon(&arguments);
        assert_eq!((done.code, done.text().as_str()), (0, shown), "{replay}");
    }
    let done = host.vmcon(&["attach", "vm-7", "--replay", "boot=9"]);
    assert_eq!(done.code, 1, "{done:?}");
}
