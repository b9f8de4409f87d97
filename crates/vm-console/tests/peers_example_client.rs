//! The example client as a program: attach, status, log, break.

mod support;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use support::{Rig, skip, wait_until};
use vm_console::MarkKind;

/// Cargo builds examples beside the tests of the same run.
fn program() -> Option<PathBuf> {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent()?.parent()?.join("examples/console_client");
    if program.is_file() {
        return Some(program);
    }
    skip(&format!("{} is not built", program.display()));
    None
}

fn run(rig: &Rig, arguments: &[&str], typed: &[u8]) -> Option<Output> {
    let mut child = Command::new(program()?)
        .arg(rig.path("control"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(typed).unwrap();
    Some(child.wait_with_output().unwrap())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn attach_status_log_and_break() {
    let rig = Rig::new();
    rig.print(b"boot log\r\n");
    let Some(attached) = run(&rig, &["attach", "--name", "ada"], b"uptime\r~.") else {
        return;
    };
    assert!(attached.status.success(), "{}", text(&attached.stderr));
    assert_eq!(text(&attached.stdout), "boot log\r\n");
    assert!(text(&attached.stderr).contains("session over: closed by the client"));
    assert_eq!(rig.read_input(7), b"uptime\r");

    let _holder = rig.attach("raw");
    let status = text(&run(&rig, &["status"], b"").unwrap().stdout);
    assert!(
        status.contains("held by uid ") && status.contains("sessions granted"),
        "{status}"
    );
    assert_eq!(
        text(&run(&rig, &["log"], b"").unwrap().stdout),
        "boot log\r\n"
    );
    assert_eq!(
        text(&run(&rig, &["log", "--start", "5"], b"").unwrap().stdout),
        "log\r\n"
    );

    let refused = run(&rig, &["attach"], b"").unwrap();
    assert!(!refused.status.success());
    assert!(text(&refused.stderr).starts_with("refused: in use by uid "));

    assert!(
        run(&rig, &["break", "--force"], b"")
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
