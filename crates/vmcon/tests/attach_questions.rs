//! A console that is held, at a terminal and for a script.

mod host;
mod seat;

use host::Host;
use vm_serial_tests::terminal::{Terminal, restored_after};

/// A console that bob holds.
fn held() -> (Host, host::Served, vm_serial_tests::process::Process) {
    let host = Host::new();
    let served = host.console("vm-7");
    let bob = seat::taker(&host, "vm-7", "bob");
    host::until(|| holder(&served).is_some_and(|name| name.starts_with("bob")));
    served.print("login: ");
    (host, served, bob)
}

fn holder(served: &host::Served) -> Option<String> {
    let status = served.console.status(host::PATIENCE).unwrap();
    status.holder.map(|held| held.by)
}

/// Starts `attach` at a terminal, and answers what it asks about bob.
fn asked(host: &Host, terminal: &Terminal, answer: &str) -> vm_serial_tests::process::Process {
    let vmcon = seat::vmcon(host, terminal, &["attach", "vm-7"]);
    terminal.output().wait_for("vm-7: in use by bob (uid ");
    terminal.output().wait_for(", nothing typed yet\r\n");
    terminal
        .output()
        .wait_for("Take the console from bob? [y]es, [w]atch, [N]o ");
    terminal.wait_until_raw();
    terminal.type_keys(answer);
    vmcon
}

#[test]
fn nobody_is_thrown_out_unless_the_answer_is_yes() {
    let (host, served, _bob) = held();
    for answer in ["\r", "no\r", "n\r", "\x03", "~.\r"] {
        restored_after(|terminal| {
            assert_eq!(
                asked(&host, terminal, answer).wait().code(),
                Some(5),
                "{answer:?}"
            );
        });
    }
    assert!(holder(&served).unwrap().starts_with("bob"));
}

#[test]
fn yes_takes_the_console_and_the_other_is_told() {
    let (host, served, mut bob) = held();
    restored_after(|terminal| {
        let mut vmcon = asked(&host, terminal, "what?\ry\r");
        terminal.output().wait_for("attached to vm-7");
        terminal.output().wait_for("login: ");
        assert_eq!(bob.wait().code(), Some(8));
        terminal.type_keys("root\r");
        let mut typed = Vec::new();
        host::until(|| {
            typed.extend(served.input(10));
            typed == b"root\r"
        });
        terminal.type_keys("~.");
        assert_eq!(vmcon.wait().code(), Some(0));
    });
}

#[test]
fn whoever_only_watches_disturbs_nobody_and_can_leave() {
    let (host, served, _bob) = held();
    restored_after(|terminal| {
        let mut vmcon = asked(&host, terminal, "w\r");
        terminal.output().wait_for("watching vm-7");
        terminal.output().wait_for("login: ");
        terminal.type_keys("root\r~B");
        terminal
            .output()
            .wait_for("[only watching: what you type is dropped]");
        served.print("more");
        terminal.output().wait_for("more");
        assert_eq!(served.input(10), b"");
        assert!(holder(&served).unwrap().starts_with("bob"));
        terminal.type_keys("\r~.");
        assert_eq!(vmcon.wait().code(), Some(0));
    });
}

#[test]
fn a_script_is_refused_in_one_line() {
    let (host, _served, _bob) = held();
    let done = host.vmcon(&["attach", "vm-7"]);
    assert_eq!(done.code, 5, "{done:?}");
    let line = done.stderr.strip_suffix('\n').unwrap();
    assert!(!line.contains('\n'), "{line}");
    assert!(
        line.starts_with("vmcon: vm-7: in use by bob (uid "),
        "{line}"
    );
    assert!(
        line.ends_with("; --force takes it, --read-only watches, --wait waits"),
        "{line}"
    );
    // Neither is anybody asked who wants to see nothing but output.
    restored_after(|terminal| {
        let mut vmcon = seat::vmcon(&host, terminal, &["attach", "vm-7", "--quiet"]);
        assert_eq!(vmcon.wait().code(), Some(5));
    });
}

/// A session at a terminal that bob has just taken.
fn taken(terminal: &Terminal) -> (Host, host::Served, [vm_serial_tests::process::Process; 2]) {
    let host = Host::new();
    let served = host.console("vm-7");
    served.print("login: ");
    let vmcon = seat::attached(&host, terminal, &["vm-7"], "login: ");
    let bob = seat::taker(&host, "vm-7", "bob");
    terminal
        .output()
        .wait_for("\r\nvm-7: taken over by bob (uid ");
    terminal
        .output()
        .wait_for("\r\n[w]atch, [t]ake back, [q]uit ");
    // What bob does is seen afterwards.
    served.print("bob was here");
    (host, served, [vmcon, bob])
}

#[test]
fn the_console_can_be_left_to_whoever_took_it() {
    restored_after(|terminal| {
        let (_host, _served, [mut vmcon, _bob]) = taken(terminal);
        // The rest of what was meant for the guest.
        terminal.type_keys("tail -f log\rq\r");
        assert_eq!(vmcon.wait().code(), Some(8));
    });
}

#[test]
fn whoever_lost_the_console_can_go_on_watching() {
    restored_after(|terminal| {
        let (_host, served, [mut vmcon, _bob]) = taken(terminal);
        terminal.type_keys("w\r");
        terminal
            .output()
            .wait_for("watching vm-7 (boot 1, running)");
        terminal.output().wait_for("bob was here");
        assert!(holder(&served).unwrap().starts_with("bob"));
        // The output goes on where it was.
        let shown = terminal.output().text();
        assert_eq!(shown.matches("login: ").count(), 1, "{shown:?}");
        terminal.type_keys("~.");
        assert_eq!(vmcon.wait().code(), Some(0));
    });
}

#[test]
fn the_console_can_be_taken_back() {
    restored_after(|terminal| {
        let (_host, served, [mut vmcon, mut bob]) = taken(terminal);
        terminal.type_keys("t\r");
        assert_eq!(bob.wait().code(), Some(8));
        terminal.output().wait_for("bob was here");
        assert!(holder(&served).unwrap().starts_with("ada"));
        terminal.type_keys("~.");
        assert_eq!(vmcon.wait().code(), Some(0));
    });
}

#[test]
fn names_of_others_control_no_terminal() {
    let host = Host::new();
    let served = host.console("vm-7");
    let _eve = seat::taker(&host, "vm-7", "\x1b[2J\u{202e}eve");
    host::until(|| holder(&served).is_some());
    restored_after(|terminal| {
        let mut vmcon = seat::vmcon(&host, terminal, &["attach", "vm-7"]);
        terminal.output().wait_for("?[2J?eve? [y]es");
        terminal.type_keys("\r");
        assert_eq!(vmcon.wait().code(), Some(5));
        let shown = terminal.output().text();
        assert!(
            !shown.contains("\x1b[2J") && !shown.contains('\u{202e}'),
            "{shown:?}"
        );
    });
}
