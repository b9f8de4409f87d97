//! The example client, run as a program between pipes: attach, status, log, break. Tests of the
//! example VMM run it at a terminal.

mod support;

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use support::{PATIENCE, Rig, example, wait_until};
use vm_console::MarkKind;

fn start(socket: &Path, arguments: &[&str]) -> Option<Child> {
    let limit = format!("{}", PATIENCE.as_secs()); // one that hangs fails, and does not stay
    let child = Command::new("timeout")
        .args(["--foreground", &limit])
        .arg(example("console_client")?)
        .arg(socket)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    Some(child)
}

/// Runs it with `typed` as its whole input.
fn run(socket: &Path, arguments: &[&str], typed: &[u8]) -> Option<Output> {
    let mut child = start(socket, arguments)?;
    // The program may end without reading.
    let _ = child.stdin.take().unwrap().write_all(typed);
    Some(child.wait_with_output().unwrap())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn attach_status_log_and_break() {
    let rig = Rig::new();
    let control = rig.path("control");
    rig.print(b"boot log\r\n");
    let Some(attached) = run(&control, &["attach", "--name", "ada"], b"uptime\r~.") else {
        return;
    };
    assert!(attached.status.success(), "{}", text(&attached.stderr));
    assert_eq!(text(&attached.stdout), "boot log\r\n");
    assert!(text(&attached.stderr).contains("session over: closed by the client"));
    assert_eq!(rig.read_input(7), b"uptime\r");

    let _holder = rig.attach("raw");
    let status = text(&run(&control, &["status"], b"").unwrap().stdout);
    assert!(
        status.contains("held by uid ")
            && status.contains("s, no input yet\n")
            && status.contains("attaches"),
        "{status}"
    );
    let log = |arguments: &[&str]| text(&run(&control, arguments, b"").unwrap().stdout);
    assert_eq!(log(&["log"]), "boot log\r\n");
    assert_eq!(log(&["log", "--start", "5"]), "log\r\n");
    assert_eq!(log(&["log", "--start", "10"]), "");
    let beyond = run(&control, &["log", "--start", "11"], b"").unwrap();
    assert_eq!(beyond.status.code(), Some(1));
    assert!(text(&beyond.stderr).contains("ends at 10"));

    let refused = run(&control, &["attach"], b"").unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).starts_with("refused: in use by uid "));

    assert!(
        run(&control, &["break", "--force"], b"")
            .unwrap()
            .status
            .success()
    );
    wait_until("the break is marked", || {
        rig.log
            .marks()
            .iter()
            .any(|mark| mark.kind == MarkKind::Break)
    });
}

#[test]
fn a_log_that_goes_into_a_pipe_is_exact() {
    let rig = Rig::new();
    let printed = b"asks \x1b[6n\x1b]10;?\x07\x05\x9b\xff\0 and ends within \x1b]0;";
    rig.print(printed);
    for arguments in [&["log"][..], &["log", "--raw"]] {
        let Some(log) = run(&rig.path("control"), arguments, b"") else {
            return;
        };
        assert!(log.status.success());
        assert_eq!(log.stdout, printed, "{arguments:?}");
    }
    // A session between pipes is exact, too.
    let attached = run(&rig.path("control"), &["attach"], b"~.").unwrap();
    assert_eq!(attached.stdout, printed);
}

#[test]
fn the_end_of_its_input_leaves_and_an_observer_goes_on() {
    let rig = Rig::new();
    let control = rig.path("control");
    let Some(attached) = run(&control, &["attach"], b"typed") else {
        return;
    };
    assert_eq!(attached.status.code(), Some(0));
    assert_eq!(rig.read_input(5), b"typed");

    let mut observer = start(&control, &["attach", "--read-only"]).unwrap();
    drop(observer.stdin.take());
    wait_until("it observes", || rig.status().observers == 1);
    rig.print(b"printed later");
    let mut printed = [0; 13];
    observer
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut printed)
        .unwrap();
    assert_eq!(&printed, b"printed later");
    // Its reader is gone, so it ends at the next output.
    drop(observer.stdout.take());
    rig.print(b"to nobody");
    let ended = observer.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", text(&ended.stderr));
    assert_eq!(text(&ended.stderr), "");
}

#[test]
fn a_standard_error_that_nobody_reads_does_not_change_the_exit_code() {
    let rig = Rig::new();
    let control = rig.path("control");
    for (typed, code) in [("~?\r~.", 0), ("", 1)] {
        let holder = (code == 1).then(|| rig.attach("raw"));
        let Some(mut child) = start(&control, &["attach"]) else {
            return;
        };
        drop(child.stderr.take());
        child
            .stdin
            .take()
            .unwrap()
            .write_all(typed.as_bytes())
            .unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code));
        drop(holder);
    }
}

#[test]
fn one_can_leave_though_the_guest_takes_no_input() {
    let rig = Rig::new();
    let pasted = [vec![b'.'; 500_000], b"\r~.".to_vec()].concat();
    let Some(attached) = run(&rig.path("control"), &["attach"], &pasted) else {
        return;
    };
    assert_eq!(attached.status.code(), Some(0));
    assert!(text(&attached.stderr).contains("had not taken all"));
}

#[test]
fn a_session_that_the_other_side_ends_is_told_apart() {
    let rig = Rig::new();
    let control = rig.path("control");
    let Some(mut child) = start(&control, &["attach"]) else {
        return;
    };
    let _keyboard = child.stdin.take(); // its end would leave
    rig.wait_until_held();
    let _taker = rig.attach("force");
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(text(&ended.stderr).contains("taken over by"));
}

#[test]
fn nothing_is_typed_into_a_raw_socket() {
    for printed in [&b""[..], b"login: ", b"\x05\0\0\0\x81hello", &[0xff; 5000]] {
        let rig = Rig::new();
        rig.print(printed);
        for arguments in [&["attach"][..], &["status"], &["log"], &["break"]] {
            let Some(refused) = run(&rig.path("raw"), arguments, b"typed") else {
                return;
            };
            let said = text(&refused.stderr);
            assert_eq!(refused.status.code(), Some(1), "{said}");
            assert_eq!(said.lines().count(), 1, "{said}");
            assert!(said.contains("raw"), "{said}");
            rig.wait_until_free();
            assert_eq!(rig.take_input(), b"", "{arguments:?} after {printed:?}");
            if printed.is_empty() {
                break; // it waits for a greeting, and once is enough of that
            }
        }
    }
}

#[test]
fn what_it_cannot_use_is_named_in_one_line() {
    let rig = Rig::new();
    let missing = rig.path("missing");
    let file = rig.path("file");
    std::fs::write(&file, "precious").unwrap();
    let long = rig.path(&"x".repeat(300));
    for path in [&missing, &file, &rig.dir.path().to_owned(), &long] {
        let Some(refused) = run(path, &["status"], b"") else {
            return;
        };
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains(path.to_str().unwrap()), "{said}");
    }
    for arguments in [&["atach"][..], &["log", "--start", "-1"], &[]] {
        let refused = run(&rig.path("control"), arguments, b"").unwrap();
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
    }
    let help = Command::new(example("console_client").unwrap())
        .arg("--help")
        .output();
    let help = text(&help.unwrap().stdout);
    for code in ["Exit codes:", "  0 ", "  1 ", "  2 ", "128 + "] {
        assert!(help.contains(code), "{code:?} in {help}");
    }
}
