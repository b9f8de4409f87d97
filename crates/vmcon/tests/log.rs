//! `log`: the parts of a log, of a living VMM and of one that has ended.

mod host;

use std::os::unix::fs::FileExt;
use std::path::Path;

use host::{Host, Served};
use vm_console::{BootLog, ConsoleConfig, LogConfig, MarkKind, UnixTime};

/// A console with three boots: `one`, `two` and `three` of the given number of lines.
fn three_boots(host: &Host, lines: usize) -> Served {
    let served = host.console("vm-7");
    for (boot, name) in ["one", "two", "three"].into_iter().enumerate() {
        if boot > 0 {
            served.reset();
        }
        for number in 0..lines {
            served.print(format!("{name} {number}\r\n"));
        }
    }
    served
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_pipe_gets_the_guests_bytes_exactly() {
    let host = Host::new();
    let served = host.console("vm-7");
    let output: Vec<u8> = (0..=255).chain(*b"\x1b[6n\x1b[31mred\r\nlogin: ").collect();
    served.print(&output);
    let done = host.vmcon(&["log", "vm-7"]);
    assert_eq!(
        (&done.stdout, done.stderr.as_str(), done.code),
        (&output, "", 0)
    );
}

#[test]
fn a_boot_is_shown_from_its_first_byte_to_its_last() {
    let host = Host::new();
    let _served = three_boots(&host, 2);
    let boot = |number| {
        let done = host.vmcon(&["log", "vm-7", "--boot", number]);
        (done.text(), done.stderr, done.code)
    };
    let shown = |text: &str| (text.to_owned(), String::new(), 0);
    assert_eq!(boot("1"), shown("one 0\r\none 1\r\n"));
    assert_eq!(boot("2"), shown("two 0\r\ntwo 1\r\n"));
    assert_eq!(boot("-1"), boot("2"));
    assert_eq!(boot("0"), shown("three 0\r\nthree 1\r\n"));
    for wrong in ["4", "-3"] {
        let (text, told, code) = boot(wrong);
        assert_eq!((text.as_str(), code), ("", 2));
        let expected = format!("vmcon: vm-7: --boot {wrong}: there were only 3 boots; kept: 1-3\n");
        assert_eq!(told, expected);
    }
}

#[test]
fn a_boot_that_is_gone_says_which_are_left() {
    let host = Host::new();
    let sizes = LogConfig {
        tail: 64,
        head: 16,
        boots: 2,
    };
    let served = host.console_of("vm-7", ConsoleConfig::named("vm-7"), sizes);
    for boot in 1..=5 {
        if boot > 1 {
            served.reset();
        }
        served.print(format!("{boot:0100}\n"));
    }
    let done = host.vmcon(&["log", "vm-7", "--boot=2"]);
    let expected = "vmcon: vm-7: --boot 2: nothing of boot 2 is left; kept: 4-5\n";
    assert_eq!((done.stderr.as_str(), done.code), (expected, 2));
    // The beginning of boot 4 is left, and its end is not.
    let done = host.vmcon(&["log", "vm-7", "--boot=-1"]);
    assert_eq!((done.text(), done.code), ("0".repeat(16), 0));
    assert_eq!(done.stderr, "[85 bytes lost]\n");
}

#[test]
fn lines_are_counted_from_the_end_of_what_is_chosen() {
    let host = Host::new();
    let served = three_boots(&host, 30);
    let shown = |arguments: &[&str]| {
        let done = host.vmcon(&[&["log", "vm-7"], arguments].concat());
        assert_eq!((done.stderr.as_str(), done.code), ("", 0), "{arguments:?}");
        done.text()
    };
    assert_eq!(shown(&["-n", "2"]), "three 28\r\nthree 29\r\n");
    assert_eq!(shown(&["-n", "1", "--boot", "1"]), "one 29\r\n");
    assert_eq!(shown(&["-n", "0"]), "");
    served.print("login: ");
    assert_eq!(shown(&["-n2"]), "three 29\r\nlogin: ");
    assert_eq!(shown(&["-n1000"]), shown(&[]));
}

#[test]
fn a_start_beyond_the_end_is_an_error_with_advice() {
    let host = Host::new();
    let served = host.console("vm-7");
    served.print("0123456789");
    let log = |start| host.vmcon(&["log", "vm-7", "--start", start]);
    assert_eq!((log("3").text(), log("3").code), ("3456789".into(), 0));
    assert_eq!(log("-3").text(), "789");
    assert_eq!(log("-99").text(), "0123456789");
    assert_eq!((log("10").text(), log("10").code), (String::new(), 0));
    let done = log("11");
    let expected = "vmcon: vm-7: --start 11: the log ends at 10; \
                    ask for less, or --start -BYTES\n";
    assert_eq!(
        (done.text().as_str(), done.stderr.as_str(), done.code),
        ("", expected, 2)
    );
}

#[test]
fn loss_is_told_where_it_is() {
    let host = Host::new();
    let _served = host.console_with_a_gap("vm-7");
    let done = host.vmcon(&["log", "vm-7"]);
    let expected = ["h".repeat(10), "m".repeat(100)].concat();
    assert_eq!((done.text(), done.code), (expected.clone(), 0));
    assert_eq!(done.stderr, "[190 bytes lost]\n");
    let quiet = host.vmcon(&["log", "vm-7", "-q"]);
    assert_eq!((quiet.text(), quiet.stderr.as_str()), (expected, ""));
}

#[test]
fn a_dead_vms_log_reads_as_before() {
    let host = Host::new();
    let served = three_boots(&host, 200);
    let selections: [&[&str]; 7] = [
        &[],
        &["-t"],
        &["--boot", "2", "-t"],
        &["-n", "20"],
        &["--grep", "two 1.", "-C1", "-t"],
        &["--since", "1h"],
        &["--start", "-100"],
    ];
    let all = || -> Vec<_> {
        let log = |arguments: &&[&str]| host.vmcon(&[&["log", "vm-7"], *arguments].concat());
        selections.iter().map(log).collect()
    };
    let living = all();
    assert!(
        living
            .iter()
            .all(|done| done.code == 0 && !done.stdout.is_empty()),
        "{living:?}"
    );
    served.end();
    assert_eq!(all(), living);
}

#[test]
fn a_file_and_a_socket_give_the_same() {
    let host = Host::new();
    let served = three_boots(&host, 3000);
    served.print("login: ");
    let selections: [&[&str]; 9] = [
        &[],
        &["-t"],
        &["--boot", "-1", "-t"],
        &["-n", "2000", "-t"],
        &["--grep", "two 1..$", "-C1", "-t"],
        &["--grep", "1000", "--count"],
        &["--since", "1h"],
        &["--until", "1h ago"],
        &["--start", "-100"],
    ];
    for arguments in selections {
        let log = |path: &Path| host.vmcon(&[&["log", text(path)], arguments].concat());
        let (file, socket) = (log(&served.log_path()), log(&served.socket()));
        assert_eq!(
            file.code, socket.code,
            "{arguments:?}: {} {}",
            file.stderr, socket.stderr
        );
        assert!(file.stdout == socket.stdout, "{arguments:?}");
    }
}

#[test]
fn the_file_that_an_earlier_vmm_has_left_is_not_shown_for_a_living_ones_log() {
    let host = Host::new();
    let served = host.console("vm-7");
    served.print("of the earlier VMM\n");
    served.end();
    // This one keeps its log in its memory.
    let (writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
    let config = ConsoleConfig::named("vm-7");
    let served = host.serve(host.claim("vm-7"), config, writer, log);
    served.print("of the living VMM\n");
    assert_eq!(host.vmcon(&["log", "vm-7"]).text(), "of the living VMM\n");
    served.end();
    assert_eq!(host.vmcon(&["log", "vm-7"]).text(), "of the earlier VMM\n");
}

#[test]
fn times_are_before_lines_and_unknown_ones_are_marked() {
    let host = Host::new();
    let path = host.path().join("plain.log");
    let (mut writer, _) = BootLog::create_file(&path, LogConfig::default()).unwrap();
    writer.begin_boot(
        MarkKind::PowerOn,
        UnixTime::from_nanos(1_700_000_000_000_000_000),
    );
    writer.append(b"early\n");
    writer.append(b"timed\n");
    writer.stamp(UnixTime::from_nanos(1_700_000_000_250_000_000));
    writer.append(b"login: ");
    let mut command = host.command(&["log", text(&path), "-t"]);
    let output = command.env("TZ", "Asia/Kolkata").output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "-                             early\n\
         2023-11-15T03:43:20.250+05:30 timed\n\
         2023-11-15T03:43:20.250+05:30 login: "
    );
}

#[test]
fn times_choose_lines_and_unknown_ones_are_told() {
    let host = Host::new();
    let path = host.path().join("plain.log");
    let (mut writer, _) = BootLog::create_file(&path, LogConfig::default()).unwrap();
    let second = |n: u64| UnixTime::from_nanos((1_700_000_000 + n) * 1_000_000_000);
    writer.begin_boot(MarkKind::PowerOn, second(0));
    for n in 1..=5 {
        writer.append(format!("line {n}\n").as_bytes());
        writer.stamp(second(n * 10));
    }
    // The next boot has no line times.
    writer.begin_boot(MarkKind::Reset, second(60));
    writer.append(b"untimed\n");
    writer.begin_boot(MarkKind::Reset, second(90));
    writer.append(b"last\n");
    let shown = |arguments: &[&str]| {
        let done = host.vmcon(&[&["log", text(&path)], arguments].concat());
        assert_eq!(done.code, 0, "{done:?}");
        (done.text().replace('\n', ","), !done.stderr.is_empty())
    };
    let told = |text: &str| (text.to_owned(), true);
    let known = |text: &str| (text.to_owned(), false);
    assert_eq!(
        shown(&["--since", "@1700000030", "--until", "@1700000040"]),
        known("line 3,line 4,")
    );
    assert_eq!(shown(&["--since", "@1700000031", "-n1"]), known("last,"));
    assert_eq!(shown(&["--until", "@1700000025"]), known("line 1,line 2,"));
    assert_eq!(shown(&["--since", "@1700000070"]), told("untimed,last,"));
    assert_eq!(
        shown(&["--until", "@1700000070", "--since", "@1700000055"]),
        told("untimed,")
    );
    assert_eq!(shown(&["--since", "now"]), known(""));
}

#[test]
fn grep_finds_lines_as_grep_does() {
    let host = Host::new();
    let served = host.console("vm-7");
    served.print("[ 1] Boot\r\n[ 2] BUG: soft lockup\r\n[ 3] call trace\r\n[ 4] end\r\nlogin: ");
    let grep = |arguments: &[&str]| {
        let done = host.vmcon(&[&["log", "vm-7", "--grep"], arguments].concat());
        (done.text(), done.stderr, done.code)
    };
    let shown = |text: &str| (text.to_owned(), String::new(), 0);
    assert_eq!(grep(&["BUG"]), shown("[ 2] BUG: soft lockup\r\n"));
    assert_eq!(grep(&["lockup$"]), shown("[ 2] BUG: soft lockup\r\n"));
    assert_eq!(grep(&["^login"]), shown("login: \n"));
    assert_eq!(grep(&["b(oo|u)[tg]", "-i", "--count"]), shown("2\n"));
    assert_eq!(
        grep(&["Boot|end", "-C1"]),
        shown("[ 1] Boot\r\n[ 2] BUG: soft lockup\r\n[ 3] call trace\r\n[ 4] end\r\nlogin: \n")
    );
    assert_eq!(grep(&["Boot|login"]), shown("[ 1] Boot\r\nlogin: \n"));
    assert_eq!(grep(&["nothing"]), (String::new(), String::new(), 1));
    assert_eq!(
        grep(&["nothing", "-c"]),
        ("0\n".to_owned(), String::new(), 1)
    );
    // A line's end is no part of a match.
    assert_eq!(grep(&["Boot\\s+.*BUG"]).2, 1);
    for (wrong, why) in [("(", "unclosed group\n"), ("a{100000}{100000}", "")] {
        let (_, told, code) = grep(&[wrong]);
        let expected = format!("vmcon: --grep: {why}");
        assert!(code == 2 && told.starts_with(&expected), "{told}");
    }
}

#[test]
fn a_line_without_an_end_is_searched_in_parts() {
    let host = Host::new();
    let served = host.console("vm-7");
    for _ in 0..40 {
        served.print(vec![b'.'; 100_000]);
    }
    served.print("needle");
    let done = host.vmcon(&["log", "vm-7", "--grep", "needle", "--count"]);
    assert_eq!((done.text().as_str(), done.code), ("1\n", 0));
}

#[test]
fn a_bad_file_is_one_clear_line() {
    let host = Host::new();
    let served = host.console("vm-7");
    served.print("hello\n");
    let path = served.log_path();
    let whole = std::fs::read(&path).unwrap();
    let bad = |name: &str, bytes: &[u8]| {
        let path = host.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let mut version = whole.clone();
    version[8] = 9;
    let mut corrupt = whole.clone();
    corrupt[24] ^= 1;
    let fifo = host.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, 0o600.into()).unwrap();
    for (path, told) in [
        (bad("cut", &whole[..10_000]), "cut short"),
        (bad("version", &version), "version 9"),
        (bad("corrupt", &corrupt), "damaged"),
        (bad("empty", b""), "not a boot log"),
        (
            bad(
                "text",
                b"Linux version 6.1.0, as text of some length, not a boot log\n",
            ),
            "not a boot log",
        ),
        (fifo, "neither a socket, nor a log"),
    ] {
        for command in ["log", "boots"] {
            let done = host.vmcon(&[command, text(&path)]);
            assert_eq!(
                (done.code, done.stdout.len()),
                (12, 0),
                "{path:?}: {done:?}"
            );
            let is_clear = done.stderr.contains(told) && done.stderr.contains(text(&path));
            assert!(
                is_clear && done.stderr.lines().count() == 1,
                "{path:?}: {done:?}"
            );
        }
    }
    // What is damaged only in an entry of a dead VM is told the same way.
    served.end();
    std::fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .write_all_at(b"x", 24)
        .unwrap();
    assert_eq!(host.vmcon(&["log", "vm-7"]).code, 12);
    std::fs::remove_file(&path).unwrap();
    let done = host.vmcon(&["log", "vm-7"]);
    assert_eq!((done.code, done.stderr.lines().count()), (4, 1), "{done:?}");
    assert_eq!(host.vmcon(&["log", "vm-8"]).code, 3);
    assert_eq!(host.vmcon(&["log", "./no/such/file"]).code, 3);
}
