//! `vmcon top` at a terminal, with consoles that this process serves.

mod host;
mod watcher;

use rustix::process::Signal;
use vm_serial_tests::terminal::{restored_after, survives_stops};

use host::{Host, until};
use watcher::Watcher;

#[test]
fn it_shows_what_consoles_print_filters_and_quits() {
    let host = Host::new();
    let web = host.console("web-1");
    let db = host.console("db-1");
    let memory = host.console_in_memory("web-2");
    restored_after(|terminal| {
        let mut top = Watcher::at(terminal, &host, &["top"]);
        top.wait_for("3 consoles  3 running");
        web.print("\x1b[31mhello\x1b[0m from web-1\r\nlogin: ");
        top.wait_for("hello from web-1");
        memory.print("kept in memory\r\n");
        top.wait_for("kept in memory");
        db.console.power_off();
        top.wait_for("1 stopped");

        db.print("Kernel panic - not syncing\r\n");
        let shown = top.wait_for("! db-1");
        assert!(shown.contains(" 1 alert "), "{shown}");

        terminal.type_keys("/web");
        let shown = top.wait_for("2 match web");
        assert!(!shown.contains("db-1"), "{shown}");
        terminal.type_keys("\x1b");
        top.wait_for("db-1");

        // Its VMM ends; another one comes.
        web.end();
        let shown = top.wait_for("1 gone");
        assert!(shown.contains("hello from web-1"), "{shown}");
        let _new = host.console("new");
        top.wait_for("4 consoles");

        terminal.type_keys("q");
        assert!(top.wait().success());
    });
}

#[test]
fn enter_attaches_and_comes_back() {
    let host = Host::new();
    let web = host.console("web-1");
    let db = host.console("db-1");
    web.print("login: ");
    restored_after(|terminal| {
        let mut top = Watcher::at(terminal, &host, &["top"]);
        top.wait_for("login: ");
        terminal.type_keys("l\r");
        // The other tile is on the screen no more, and keys go to the guest.
        top.wait_until("attached", |shown| {
            shown.contains("login: ") && !shown.contains("db-1")
        });
        terminal.type_keys("ada");
        let mut input = Vec::new();
        until(|| {
            input.extend(web.input(3 - input.len()));
            input == b"ada"
        });
        // What happens meanwhile is not missed.
        db.print("Kernel panic\r\n");
        terminal.type_keys("\r~.");
        let shown = top.wait_for("! db-1");
        assert!(
            shown.contains(" 1 alert ") && shown.contains("web-1"),
            "{shown}"
        );
        // It is refused, and there is time to read why.
        db.end();
        top.wait_for("1 gone");
        terminal.type_keys("h\r");
        top.wait_for("press a key to go back");
        terminal.type_keys("x");
        top.wait_for("1 gone");
        terminal.type_keys("q");
        assert!(top.wait().success());
    });
}

#[test]
fn a_vmm_that_does_not_answer_holds_up_nothing() {
    let host = Host::new();
    let web = host.console("web-1");
    let stopped = host.silent("stopped");
    restored_after(|terminal| {
        let mut top = Watcher::at(terminal, &host, &["top"]);
        top.wait_for("1 running  1 silent");
        web.print("still here\r\n");
        top.wait_for("still here");
        terminal.type_keys("q");
        assert!(top.wait().success());
    });
    drop(stopped);
}

#[test]
fn the_terminal_comes_back_whatever_ends_it() {
    let host = Host::new();
    let web = host.console("web-1");
    web.print("hello\r\n");
    for signal in [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT] {
        restored_after(|terminal| {
            let mut top = Watcher::at(terminal, &host, &["top"]);
            top.wait_for("hello");
            top.signal(signal);
            let status = top.wait();
            assert_eq!(
                std::os::unix::process::ExitStatusExt::signal(&status),
                Some(signal.as_raw())
            );
        });
    }
    restored_after(|terminal| {
        let mut top = Watcher::at(terminal, &host, &["top"]);
        top.wait_for("hello");
        survives_stops(terminal, top.process());
        web.print("and on\r\n");
        top.wait_for("and on");
        terminal.type_keys("\x03");
        assert!(top.wait().success());
    });
}

#[test]
fn a_terminal_that_is_closed_ends_it() {
    let host = Host::new();
    host.console("web-1").print("hello\r\n");
    let mut terminal = vm_serial_tests::terminal::Terminal::open();
    let mut top = Watcher::at(&terminal, &host, &["top"]);
    top.wait_for("hello");
    let mut top = top.into_process();
    terminal.close();
    assert!(top.wait().success());
}

#[test]
fn without_a_terminal_it_says_so() {
    let host = Host::new();
    let done = host.vmcon(&["top"]);
    assert_eq!(done.code, 2);
    let wanted = "vmcon: top draws on a terminal, and this is none; see `vmcon ls`\n";
    assert_eq!(done.stderr, wanted);
    let done = host.vmcon(&["top", "--alert", "a("]);
    assert_eq!(
        (done.code, done.stderr.as_str()),
        (2, "vmcon: --alert: unclosed group\n")
    );
}

#[test]
fn the_smallest_terminals_are_drawn_on() {
    let host = Host::new();
    let consoles: Vec<_> = (0..20).map(|n| host.console(&format!("vm-{n}"))).collect();
    restored_after(|terminal| {
        let mut top = Watcher::at(terminal, &host, &["top"]);
        top.wait_for("1-6 of 20");
        for (columns, rows, text) in [(20, 5, "vm-0"), (1, 1, ""), (200, 60, "vm-19")] {
            top.resize(columns, rows);
            consoles[0].print("x\r\n");
            top.wait_for(text);
        }
        terminal.type_keys("q");
        assert!(top.wait().success());
    });
    until(|| consoles.iter().all(|served| served.log.head() < 100));
}
