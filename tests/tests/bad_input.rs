//! What the VMM is given and cannot use: one line with the cause, exit code 2, and nothing left on
//! disk.

use std::path::Path;
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, mknodat};

const VMM: &str = env!("CARGO_BIN_EXE_vmm");

/// Runs the VMM with `arguments` in an empty directory of its own, prepared by `prepare`.
#[track_caller]
fn refuses(prepare: impl FnOnce(&Path), arguments: &[&str], cause: &str) {
    let directory = tempfile::tempdir().unwrap();
    prepare(directory.path());
    let before = listing(directory.path());
    let output = Command::new("timeout") // a VMM that runs after all would run for ever
        .args(["60", VMM])
        .args(arguments)
        .current_dir(directory.path())
        .env("XDG_RUNTIME_DIR", directory.path())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let messages = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {messages}");
    assert_eq!(messages.lines().count(), 1, "{arguments:?}: {messages}");
    assert!(
        messages.contains(cause),
        "{arguments:?}: {cause:?} in {messages:?}"
    );
    // The option by name, and after a semicolon what to do; nothing that only a programmer reads.
    assert!(messages.contains("--"), "{arguments:?}: {messages:?}");
    assert!(messages.contains("; "), "{arguments:?}: {messages:?}");
    for jargon in [
        "entity",
        "input parameter",
        "boot log: boot log",
        "Err(",
        "{",
        "digit found",
    ] {
        assert!(!messages.contains(jargon), "{arguments:?}: {messages:?}");
    }
    assert!(output.stdout.is_empty(), "{arguments:?}");
    assert_eq!(listing(directory.path()), before, "{arguments:?}");
}

/// Opening it waits for somebody at the other end.
fn fifo(directory: &Path) {
    let mode = Mode::from_raw_mode(0o600);
    mknodat(CWD, directory.join("fifo"), FileType::Fifo, mode, 0).unwrap();
}

/// Every name below `directory`, with its size.
fn listing(directory: &Path) -> Vec<(std::path::PathBuf, u64)> {
    let mut all: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.path(), entry.metadata().unwrap().len())
        })
        .collect();
    all.sort();
    all
}

#[test]
fn a_text_log_that_cannot_be_opened() {
    let file = ["--no-kvm", "--text-log", "missing/text"];
    refuses(|_| {}, &file, "--text-log missing/text");
}

#[test]
fn a_tcp_address_that_cannot_be_had() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refuses(|_| {}, &["--no-kvm", "--tcp", &address], &address);
}

#[test]
fn an_unusable_socket_path() {
    refuses(
        |_| {},
        &["--no-kvm", "--socket", "missing/console"],
        "missing/console",
    );
    refuses(|_| {}, &["--no-kvm", "--socket", "."], "--socket .");
    refuses(|_| {}, &["--no-kvm", "--socket", "/"], "--socket /");
    refuses(
        |at| std::fs::create_dir(at.join("dir")).unwrap(),
        &["--no-kvm", "--socket", "dir"],
        "--socket dir: something else than a socket is there",
    );
    refuses(
        |at| std::fs::write(at.join("a-file"), "precious").unwrap(),
        &["--no-kvm", "--socket", "a-file"],
        "a-file",
    );
    let long = "x".repeat(300);
    refuses(|_| {}, &["--no-kvm", "--socket", &long], &long);
    for (control, cause) in [
        ("missing/control", "missing/control"),
        ("console", "--control-socket console: this is the --socket"),
    ] {
        let sockets = ["--socket", "console", "--control-socket", control];
        refuses(|_| {}, &[&["--no-kvm"], &sockets[..]].concat(), cause);
    }
}

#[test]
fn a_socket_that_somebody_listens_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("console");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let path = path.to_str().unwrap();
    refuses(|_| {}, &["--no-kvm", "--socket", path], path);
    assert!(Path::new(path).exists());
}

#[test]
fn a_log_size_that_is_none() {
    for size in [
        "0",
        "-1",
        "lots",
        "1.5",
        "18446744073709551615",
        "18446744073709551616",
    ] {
        refuses(|_| {}, &["--no-kvm", "--log-size", size], size);
    }
}

#[test]
fn an_unusable_log_file() {
    refuses(
        |_| {},
        &["--no-kvm", "--log-file", "missing/log"],
        "missing/log",
    );
    refuses(|_| {}, &["--no-kvm", "--log-file", "."], "--log-file .");
    refuses(fifo, &["--no-kvm", "--log-file", "fifo"], "--log-file fifo");
    refuses(
        |at| std::fs::write(at.join("notes"), "these are not a boot log").unwrap(),
        &["--no-kvm", "--log-file", "notes"],
        "notes",
    );
}

#[test]
fn a_kernel_that_is_none() {
    refuses(|_| {}, &["--kernel", "missing"], "missing");
    refuses(|_| {}, &["--kernel", "."], "--kernel .");
    refuses(fifo, &["--kernel", "fifo"], "--kernel fifo");
    for (name, content) in [
        ("empty", vec![]),
        ("text", b"not a kernel".repeat(200)),
        ("zeros", vec![0; 65536]),
    ] {
        refuses(
            |at| std::fs::write(at.join(name), &content).unwrap(),
            &["--kernel", name],
            name,
        );
    }
    // The header of a bzImage, cut off before the kernel.
    let mut header = vec![0; 0x300];
    header[0x1f1] = 4; // setup sectors
    header[0x202..0x206].copy_from_slice(b"HdrS");
    header[0x206..0x208].copy_from_slice(&0x020f_u16.to_le_bytes());
    header[0x211] = 1; // LOADED_HIGH
    refuses(
        |at| std::fs::write(at.join("cut"), &header).unwrap(),
        &["--kernel", "cut"],
        "cut",
    );
}

#[test]
fn arguments_that_do_not_exist_or_do_not_fit() {
    refuses(|_| {}, &["--kernle", "x"], "--kernle");
    refuses(|_| {}, &["--initrd", "x"], "required");
    for memory in ["0", "-1", "many", "3073", "18446744073709551616"] {
        refuses(|_| {}, &["--memory", memory], memory);
    }
    refuses(|_| {}, &["--tcp", "localhost"], "--tcp");
    refuses(|_| {}, &["--socket"], "--socket");
    refuses(|_| {}, &["stray"], "stray");
    refuses(|_| {}, &["--detached", "--exit-on-leave"], "--detached");
}

#[test]
fn values_that_are_none() {
    for (option, values) in [
        ("--name", &["", "..", "a/b", "vm-7.force", "-x"][..]),
        ("--idle-limit", &["5", "soon", "-1s"]),
        ("--lossless", &["5"]),
        ("--replay", &["middle", "lines", "lines:x", "now:3"]),
        ("--gaps", &["fill"]),
        ("--rate-limit", &["0", "1,0", "1,2,3", "-1", "fast"]),
        ("--drop-limit", &["0", "1,2,3,4", "1,2,x"]),
        ("--socket-mode", &["888", "rw", "7777"]),
        ("--peers", &["root", "1,x"]),
        ("--log-boots", &["0", "99", "many"]),
        ("--log-head", &["-1", "lots"]),
    ] {
        for value in values {
            let argument = format!("{option}={value}");
            refuses(|_| {}, &["--no-kvm", &argument], option);
        }
    }
    let text = ["--no-kvm", "--text-log", "text", "--text-log-size", "0"];
    refuses(|_| {}, &text, "--text-log-size 0");
}

#[test]
fn an_entry_that_cannot_be_made() {
    let named = ["--no-kvm", "--name", "vm-7", "--dir"];
    let within = |dir: &'static str| [&named[..], &[dir]].concat();
    refuses(|_| {}, &within("missing/consoles"), "missing/consoles");
    let file = |at: &Path| std::fs::write(at.join("file"), "").unwrap();
    refuses(file, &within("file"), "--name vm-7: file: cannot open it");
    let link = |at: &Path| std::os::unix::fs::symlink("/tmp", at.join("vm-7")).unwrap();
    refuses(link, &within("."), "a symbolic link is in the way");
    refuses(|_| {}, &["--no-kvm", "--dir", "x"], "required");
    refuses(|_| {}, &["--no-kvm", "--label", "a=b"], "required");
    refuses(
        |_| {},
        &[&within("."), &["--label", "a"][..]].concat(),
        "--label",
    );
    let two_logs = [&within("."), &["--log-file", "x"][..]].concat();
    refuses(|_| {}, &two_logs, "--log-file");
    let audit = [&within("."), &["--audit", "missing/audit"][..]].concat();
    refuses(|_| {}, &audit, "--audit missing/audit");
}

#[test]
fn one_path_for_two_sockets() {
    for option in ["--forcing-socket", "--observer-socket", "--control-socket"] {
        let sockets = ["--no-kvm", "--socket", "console", option, "console"];
        refuses(
            |_| {},
            &sockets,
            &format!("{option} console: this is the --socket"),
        );
    }
}

#[test]
fn help_lists_the_exit_codes() {
    let help = Command::new(VMM).arg("--help").output().unwrap();
    let text = String::from_utf8_lossy(&help.stdout);
    assert!(help.status.success());
    for group in [
        "Guest:",
        "Console sockets:",
        "Boot log:",
        "Session rules:",
        "Input and output rules:",
        "Machine:",
    ] {
        assert!(
            text.contains(&format!("\n{group}\n")),
            "{group:?} in {text}"
        );
    }
    for code in ["Exit codes:", "  0 ", "  1 ", "  2 ", "  101 ", "128 + "] {
        assert!(text.contains(code), "{code:?} in {text}");
    }
}
