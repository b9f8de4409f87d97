//! `log` at a terminal: colours reach it, questions do not, and it is left in order.

mod host;

use host::{Host, Served};
use rustix::process::Signal;
use vm_serial_tests::process::Process;
use vm_serial_tests::terminal::Terminal;

/// Plain text and a visible cursor.
const RESET: &str = "\x1b[0m\x1b[?25h";

/// `vmcon log` with these arguments at `terminal`.
fn start(host: &Host, terminal: &Terminal, arguments: &[&str]) -> Process {
    let mut command = host.command(&[&["log"], arguments].concat());
    command
        .stdin(terminal.slave())
        .stdout(terminal.slave())
        .stderr(terminal.slave());
    Process::start(&mut command)
}

/// What a terminal is sent by `vmcon log` with these arguments, up to `last`.
fn shown(host: &Host, arguments: &[&str], last: &str) -> String {
    let terminal = Terminal::open();
    let mut process = start(host, &terminal, arguments);
    let bytes = terminal.output().wait_for(last);
    process.wait();
    String::from_utf8(bytes).unwrap()
}

fn colourful(host: &Host) -> Served {
    let served = host.console("vm-7");
    served.print("plain\r\n\x1b[31mred \x1b[6nBUG\r\n\x1b[2;1Hend\x1b[");
    served
}

#[test]
fn colours_are_kept_and_questions_are_not() {
    let host = Host::new();
    let _served = colourful(&host);
    let text = shown(&host, &["vm-7"], RESET);
    // The terminal's driver adds a carriage return to each newline. What is unfinished is shown.
    let expected = format!("plain\r\r\n\x1b[31mred BUG\r\r\n\x1b[2;1Hend\x1b[{RESET}");
    assert_eq!(text, expected);
    let text = shown(&host, &["vm-7", "--raw"], "end\x1b[");
    assert!(text.contains("\x1b[6n"), "{text:?}");
}

#[test]
fn matches_are_marked_and_colours_end_with_their_line() {
    let host = Host::new();
    let _served = colourful(&host);
    let text = shown(&host, &["vm-7", "--grep", "BUG|31"], RESET);
    // A match within a colour is none that could be marked.
    assert!(
        text.starts_with("\x1b[31mred \x1b[7mBUG\x1b[27m\r"),
        "{text:?}"
    );
    assert!(text.contains("\n\x1b[0m"), "{text:?}");
    let text = shown(&host, &["vm-7", "--grep", "plain"], "\n");
    assert!(text.starts_with("\x1b[7mplain\x1b[27m\r"), "{text:?}");
}

#[test]
fn loss_is_told_within_the_text() {
    let host = Host::new();
    let _served = host.console_with_a_gap("vm-7");
    let text = shown(&host, &["vm-7", "--color", "never"], &"m".repeat(100));
    assert_eq!(
        text,
        format!("hhhhhhhhhh\r\n[190 bytes lost]\r\n{}", "m".repeat(100))
    );
}

#[test]
fn a_signal_leaves_the_terminal_in_order() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        let host = Host::new();
        let _served = colourful(&host);
        let terminal = Terminal::open();
        let before = terminal.settings();
        let mut process = start(&host, &terminal, &["vm-7", "-f"]);
        terminal.output().wait_for("end");
        process.signal(signal);
        terminal.output().wait_for(RESET);
        assert!(!process.wait().success());
        assert_eq!(terminal.settings(), before);
    }
}
