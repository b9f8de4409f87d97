//! Both guests, at a terminal: banner, prompt, commands, and the ways a machine ends.

use vm_console::BootLog;
use vm_serial_tests::flood;
use vm_serial_tests::running::{Accounting, Mode, Vmm, modes};
use vm_serial_tests::sum;
use vm_serial_tests::terminal::Terminal;

const VMM: &str = env!("CARGO_BIN_EXE_vmm");

/// A VMM at a terminal, at its first prompt.
fn at_prompt(mode: Mode, arguments: &[&str]) -> (Terminal, Vmm) {
    let terminal = Terminal::open();
    let vmm = Vmm::start_at(&terminal, VMM, mode, arguments);
    terminal
        .output()
        .wait_for("[boot] ready, `help` lists the commands\r\n> ");
    (terminal, vmm)
}

#[test]
fn the_boot_log_names_a_16550a() {
    for mode in modes("the_boot_log_names_a_16550a") {
        let (terminal, _vmm) = at_prompt(mode, &[]);
        let boot = terminal.output().text();
        for probe in [
            "scratch register",
            "interrupt enable register",
            "loopback",
            "FIFO",
            "FIFO of 16",
        ] {
            assert!(
                boot.contains(&format!("[boot]   {probe}: ok\r\n")),
                "{mode:?}: {probe} in {boot}"
            );
        }
    }
}

#[test]
fn the_prompt_answers_typed_lines() {
    for mode in modes("the_prompt_answers_typed_lines") {
        let (terminal, _vmm) = at_prompt(mode, &[]);
        terminal.type_keys("help\r");
        terminal.output().wait_for("halt      switch it off\r\n> ");
        terminal.type_keys("sum\r");
        let expected = format!("sum {} of 5 bytes\r\n> ", sum::rotating(b"help\n"));
        terminal.output().wait_for(&expected);
        // Backspace takes back on the screen and in the line; ^U takes back all.
        terminal.type_keys("never\x15# abx\x7fc\r");
        terminal.output().wait_for("# abx\x08 \x08c\r\n> ");
        terminal.type_keys("sum\r");
        let expected = format!("sum {} of 6 bytes\r\n> ", sum::rotating(b"# abc\n"));
        terminal.output().wait_for(&expected);
        terminal.type_keys("what\r");
        terminal
            .output()
            .wait_for("what\r\nunknown command, `help` lists them\r\n> ");
        terminal.type_keys("flood ten\r");
        terminal.output().wait_for("a number of bytes is needed");
    }
}

#[test]
fn the_sum_of_a_long_paste_is_that_of_what_was_pasted() {
    for mode in modes("the_sum_of_a_long_paste_is_that_of_what_was_pasted") {
        let (terminal, _vmm) = at_prompt(mode, &[]);
        let lines: Vec<_> = (0..300)
            .map(|i| format!("# line {i} of a paste\n"))
            .collect();
        let lines = lines.concat();
        terminal.type_keys(&lines.replace('\n', "\r"));
        terminal.type_keys("sum\r");
        let expected = format!(
            "sum {} of {} bytes\r\n> ",
            sum::rotating(lines.as_bytes()),
            lines.len()
        );
        terminal.output().wait_for(&expected);
    }
}

#[test]
fn a_break_reaches_the_guest() {
    for mode in modes("a_break_reaches_the_guest") {
        let (terminal, _vmm) = at_prompt(mode, &[]);
        terminal.type_keys("forgotten\r~B");
        terminal.output().wait_for("[break]\r\n> ");
    }
}

#[test]
fn every_kind_of_flood_arrives_whole_and_is_accounted() {
    for mode in modes("every_kind_of_flood_arrives_whole_and_is_accounted") {
        for command in ["flood", "poll", "burst"] {
            let (terminal, mut vmm) = at_prompt(mode, &[]);
            let count = 20_011;
            terminal.type_keys(&format!("{command} {count}\r"));
            terminal.output().wait_for(&flood::last_line(count));
            terminal.type_keys("halt\r");
            let (status, messages) = vmm.wait();
            assert!(status.success(), "{mode:?}: {messages}");
            let all = terminal.output().wait_for("power off\r\n");
            let echo = format!("> {command} {count}\r\n");
            let start = find(&all, echo.as_bytes()) + echo.len();
            assert!(
                all[start..].starts_with(&flood::bytes(count)),
                "{mode:?} {command}"
            );
            // All that the guest sent went to this terminal, and the log lost none of it.
            let log = Accounting::last_in(&messages);
            assert_eq!(
                log.written,
                all.len() as u64,
                "{mode:?} {command}: {messages}"
            );
            assert_eq!(
                (log.kept, log.overwritten),
                (log.written, 0),
                "{mode:?} {command}"
            );
        }
    }
}

#[test]
fn a_flood_beyond_the_log_is_accounted_exactly() {
    const FLOOD: u64 = 300_000;
    for mode in modes("a_flood_beyond_the_log_is_accounted_exactly") {
        let (terminal, mut vmm) = at_prompt(mode, &["--log-size", "65536"]);
        let before = terminal.output().bytes().len() as u64;
        let keys = format!("burst {FLOOD}\r");
        terminal.type_keys(&keys);
        let last = flood::last_line(FLOOD as usize);
        terminal.output().wait_for(&last);
        terminal.type_keys("halt\r");
        let (_, messages) = vmm.wait();
        // The terminal may have missed something, which is told there; the log says what the guest
        // has sent.
        let sent = before
            + (keys.len() + 1) as u64
            + FLOOD
            + (last.len() + "> halt\r\npower off\r\n".len()) as u64;
        let log = Accounting::last_in(&messages);
        assert_eq!(log.written, sent, "{mode:?}: {messages}");
        assert_eq!(
            log.written,
            log.kept + log.overwritten,
            "{mode:?}: {messages}"
        );
        assert!(
            log.kept >= 65536 && log.overwritten > FLOOD / 2,
            "{mode:?}: {messages}"
        );
    }
}

#[test]
fn reset_boots_again_and_keeps_the_session() {
    for mode in modes("reset_boots_again_and_keeps_the_session") {
        let (terminal, _vmm) = at_prompt(mode, &[]);
        for boots in 2..4 {
            terminal.type_keys("reset\r");
            terminal
                .output()
                .wait_for_nth("[boot] ready, `help` lists the commands\r\n> ", boots);
        }
        terminal.type_keys("sum\r");
        terminal.output().wait_for("sum 0 of 0 bytes");
        assert!(!terminal.output().text().contains("NOT AS"), "{mode:?}");
    }
}

#[test]
fn halt_ends_the_vmm_and_removes_its_socket() {
    for mode in modes("halt_ends_the_vmm_and_removes_its_socket") {
        let (terminal, mut vmm) = at_prompt(mode, &[]);
        assert!(vmm.socket().exists());
        terminal.type_keys("halt\r");
        let (status, messages) = vmm.wait();
        assert_eq!(status.code(), Some(0), "{mode:?}: {messages}");
        assert_eq!(
            std::fs::read_dir(vmm.directory()).unwrap().count(),
            0,
            "{mode:?}"
        );
    }
}

#[test]
fn without_kvm_one_line_says_so() {
    let terminal = Terminal::open();
    let mut vmm = Vmm::start_at(&terminal, VMM, Mode::Scripted, &[]);
    terminal.output().wait_for("> ");
    terminal.type_keys("halt\r");
    let (status, messages) = vmm.wait();
    assert!(status.success(), "{messages}");
    assert_eq!(
        messages
            .lines()
            .filter(|line| line.contains("scripted guest"))
            .count(),
        1,
        "{messages}"
    );
}

#[test]
fn keys_from_a_pipe_reach_the_guest_though_they_came_before_it_was_ready() {
    for mode in modes("keys_from_a_pipe_reach_the_guest_though_they_came_before_it_was_ready") {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let arguments = ["--log-file", path.to_str().unwrap()];
        let mut vmm = Vmm::start_with_keys(VMM, mode, &arguments, b"# piped\rhalt\r");
        // The pipe's end is no end of the machine: that comes from what was typed.
        let (status, messages) = vmm.wait();
        assert!(status.success(), "{mode:?}: {messages}");
        let log = BootLog::open_read_only(&path)
            .unwrap()
            .read_at(0, 4096)
            .bytes;
        let expected = "> # piped\r\n> halt\r\npower off\r\n";
        assert!(
            log.ends_with(expected.as_bytes()),
            "{mode:?}: {}",
            String::from_utf8_lossy(&log)
        );
    }
}

fn find(all: &[u8], part: &[u8]) -> usize {
    all.windows(part.len())
        .position(|window| window == part)
        .unwrap()
}
