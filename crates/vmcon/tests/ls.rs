//! `vmcon ls`: every entry of a directory, whatever is wrong with some.

mod host;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use host::Host;
use rustix::process::Signal;
use serde_json::Value;
use vm_console::client::ControlClient;
use vm_console::instance::{Description, Entry};
use vm_console::protocol::AttachRequest;
use vm_console::{ConsoleConfig, LogConfig};
use vm_serial_tests::process::Process;
use vm_serial_tests::terminal::Terminal;

fn lines(host: &Host, arguments: &[&str]) -> Vec<String> {
    let done = host.vmcon(arguments);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    String::from_utf8(done.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn who_holds_what_is_told_in_natural_order() {
    let host = Host::new();
    let (_ten, two) = (host.console("vm-10"), host.console("vm-2"));
    two.print("login: ");
    let mut client = ControlClient::connect(two.socket()).unwrap();
    let name = "ada\u{202e}\x1b[2J".to_owned();
    client
        .attach(&AttachRequest {
            name,
            ..AttachRequest::default()
        })
        .unwrap();
    let listed = lines(&host, &["ls"]);
    assert!(
        listed[0].starts_with("ID     STATE    HOLDER"),
        "{listed:?}"
    );
    assert!(
        listed[1].starts_with("vm-2   running  ada??[2J (uid "),
        "{listed:?}"
    );
    assert!(listed[2].starts_with("vm-10  running"), "{listed:?}");
    assert_eq!(listed.len(), 3);
}

#[test]
fn a_stopped_a_gone_and_a_silent_one_are_told_apart() {
    let host = Host::new();
    let stopped = host.console("vm-1");
    stopped.console.power_off();
    let gone = host.console("vm-2");
    gone.print("last words");
    gone.end();
    // A VMM that lives and does not answer: it listens, and that is all.
    let id = "vm-3".parse().unwrap();
    let silent = Entry::claim(&host.directory(), &id, Description::named("Ünïcode")).unwrap();
    let _listener = UnixListener::bind(silent.control_socket()).unwrap();
    let listed = lines(&host, &["ls"]);
    assert!(listed[1].starts_with("vm-1  stopped"), "{listed:?}");
    assert!(listed[2].starts_with("vm-2  gone"), "{listed:?}");
    assert!(
        listed[3].starts_with("vm-3  silent   no greeting came"),
        "{listed:?}"
    );
    assert_eq!(lines(&host, &["ls", "ünï"]).len(), 2);
    assert_eq!(host.vmcon(&["ls", "vm-[12]"]).code, 1);
    assert_eq!(lines(&host, &["ls", "*-?"]).len(), 4);
}

#[test]
fn one_bad_entry_hides_no_other() {
    let host = Host::new();
    let _good = host.console("vm-1");
    let at = |name: &str| host.path().join(name);
    symlink("/etc", at("link")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        at("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    std::fs::write(at("file"), "x").unwrap();
    std::fs::create_dir(at("evil\x1b[2J\n")).unwrap();
    for (name, record) in [("big", vec![b' '; 1 << 20]), ("text", b"hello".to_vec())] {
        std::fs::create_dir(at(name)).unwrap();
        std::fs::set_permissions(at(name), PermissionsExt::from_mode(0o700)).unwrap();
        std::fs::write(at(name).join("instance.json"), record).unwrap();
    }
    let listed = lines(&host, &["ls"]);
    assert_eq!(listed.len(), 8, "{listed:?}");
    assert!(
        listed
            .iter()
            .any(|line| line.starts_with("vm-1") && line.contains("running"))
    );
    assert_eq!(
        listed
            .iter()
            .filter(|line| line.contains("damaged"))
            .count(),
        6,
        "{listed:?}"
    );
    assert!(!listed.concat().contains('\x1b'));
    let done = host.vmcon(&["ls", "--json"]);
    let entries: Vec<Value> = serde_json::from_slice(&done.stdout).unwrap();
    let key = |id: &str| {
        let entry = entries.iter().find(|entry| entry["id"] == id).unwrap();
        entry["error"]["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(key("link"), "symbolic_link");
    assert_eq!(key("big"), "too_large");
    assert_eq!(key("text"), "not_json");
}

#[test]
fn a_wide_table_is_cut_to_the_terminal_and_not_for_a_pipe() {
    let host = Host::new();
    let served = host.console_of("vm-1", ConsoleConfig::named("vm-1"), LogConfig::default());
    let mut client = ControlClient::connect(served.socket()).unwrap();
    let name = "x".repeat(100);
    client
        .attach(&AttachRequest {
            name: name.clone(),
            ..AttachRequest::default()
        })
        .unwrap();
    assert!(lines(&host, &["ls"])[1].contains(&name));
}

#[test]
fn a_directory_that_is_not_there_is_told_with_advice() {
    let host = Host::new();
    let done = host.vmcon(&["ls", "--dir", "/nowhere/at/all"]);
    assert_eq!((done.code, done.stdout.len()), (3, 0));
    assert!(
        done.stderr.starts_with("vmcon: /nowhere/at/all: "),
        "{}",
        done.stderr
    );
    assert_eq!(done.stderr.lines().count(), 1);
    let done = host.vmcon(&["ls", "--json", "--dir", "/nowhere/at/all"]);
    let error: Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!(error["error"]["code"], "no_such_console");
}

#[test]
fn an_empty_directory_is_an_empty_list() {
    let host = Host::new();
    assert_eq!(lines(&host, &["ls"]).len(), 1);
    assert_eq!(lines(&host, &["ls", "--json"]), ["[]"]);
}

#[test]
fn watching_goes_on_until_nobody_reads() {
    let host = Host::new();
    let served = host.console("vm-1");
    let mut watching = host.start(&["ls", "--watch=10ms", "--json"]);
    let is = |line: String, state: &str| {
        let entries: Vec<Value> = serde_json::from_str(&line).unwrap();
        entries[0]["state"] == state
    };
    assert!(is(watching.line(), "running"));
    served.console.power_off();
    let stopped = (0..10_000).any(|_| is(watching.line(), "stopped"));
    assert!(stopped);
}

#[test]
fn a_stopped_watch_gives_the_screen_back() {
    const ENTER: &str = "\x1b[?1049h\x1b[?25l";
    const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
    let host = Host::new();
    let _served = host.console("vm-1");
    let terminal = Terminal::open();
    let mut command = host.command(&["ls", "--watch=10ms"]);
    command.stdin(terminal.slave()).stdout(terminal.slave());
    let mut watching = Process::start(&mut command);
    for nth in 1..=2 {
        terminal.output().wait_for_nth(ENTER, nth);
        watching.signal(Signal::TSTP);
        terminal.output().wait_for_nth(LEAVE, nth);
        host::until(|| watching.is_stopped());
        watching.signal(Signal::CONT);
    }
    terminal.output().wait_for_nth(ENTER, 3);
    watching.signal(Signal::INT);
    watching.wait();
    terminal.output().wait_for_nth(LEAVE, 3);
}

#[test]
fn a_pattern_that_matches_nothing_is_told() {
    let host = Host::new();
    let _served = host.console("vm-7");
    let done = host.vmcon(&["ls", "nosuch"]);
    let text = "vmcon: no instance matches \"nosuch\"\n";
    assert_eq!((done.code, done.stderr.as_str()), (1, text));
    assert_eq!(done.stdout, b"");
    let done = host.vmcon(&["ls", "nosuch", "--json"]);
    assert_eq!((done.code, done.stdout.trim_ascii()), (1, &b"[]"[..]));
    let error: Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!(error["error"]["code"], "no_match");
}

#[test]
fn wrong_arguments_are_told_with_what_to_give() {
    let host = Host::new();
    let served = host.console("vm-7");
    served.print("hello\n");
    for (arguments, text) in [
        (
            &["atach", "vm-7"][..],
            "a similar subcommand exists: 'attach'",
        ),
        (
            &["log", "vm-7", "--strat", "1"],
            "a similar argument exists: '--start'",
        ),
        (&["log", "vm-7", "-n", "x"], "give a whole number"),
        (
            &["log", "vm-7", "--start", "x"],
            "give an offset in bytes, or -BYTES before the end",
        ),
        (&["log", "vm-7", "--start", "99"], "the log ends at 6"),
        (&["log", "vm-7", "--boot", "99"], "there was only one boot"),
    ] {
        let done = host.vmcon(arguments);
        assert_eq!(done.code, 2, "{done:?}");
        assert!(done.stderr.contains(text), "{done:?}");
        assert_eq!(done.stderr.lines().count(), 1, "{done:?}");
    }
    let done = host.vmcon(&["log", "vm-8"]);
    assert_eq!(done.code, 3, "{done:?}");
    assert!(done.stderr.contains("`vmcon ls` lists those"), "{done:?}");
}
