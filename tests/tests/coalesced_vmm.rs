//! The example VMM with coalesced port I/O and without: a user cannot tell them apart.

use vm_serial_tests::running::{Accounting, Mode, Vmm};
use vm_serial_tests::terminal::Terminal;
use vm_serial_tests::{flood, requirement};

const VMM: &str = env!("CARGO_BIN_EXE_vmm");

/// Everything that a session shows, and the log's last word.
fn session(arguments: &[&str]) -> (Vec<u8>, Accounting) {
    let terminal = Terminal::open();
    let mut vmm = Vmm::start_at(&terminal, VMM, Mode::Kvm, arguments);
    let output = terminal.output();
    output.wait_for("[boot] ready, `help` lists the commands\r\n> ");
    for command in ["poll", "burst", "flood"] {
        terminal.type_keys(&format!("{command} 4001\r"));
        output.wait_for_nth(&flood::last_line(4001), 1);
        output.wait_for(&format!("{command} 4001\r\n"));
    }
    terminal.type_keys("sum\r");
    output.wait_for("bytes\r\n> ");
    terminal.type_keys("reset\r");
    output.wait_for_nth("[boot] ready, `help` lists the commands\r\n> ", 2);
    terminal.type_keys("halt\r");
    let (status, messages) = vmm.wait();
    assert!(status.success(), "{arguments:?}: {messages}");
    (
        output.wait_for("power off\r\n"),
        Accounting::last_in(&messages),
    )
}

#[test]
fn a_session_is_the_same_with_and_without_coalescing() {
    if !requirement::has_kvm() {
        requirement::skip(
            "a_session_is_the_same_with_and_without_coalescing",
            "/dev/kvm",
        );
        return;
    }
    let (coalesced, log) = session(&[]);
    let (plain, plain_log) = session(&["--no-coalesce"]);
    assert_eq!(
        String::from_utf8_lossy(&coalesced),
        String::from_utf8_lossy(&plain)
    );
    assert_eq!(
        (log.written, log.overwritten),
        (plain_log.written, plain_log.overwritten)
    );
    assert_eq!(log.written, log.kept);
}
