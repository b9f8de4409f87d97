//! The guest outlives whatever its owner reads and types with.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;

use rustix::process::Signal;
use vm_serial_tests::process::DEFAULT_SIGNALS;
use vm_serial_tests::running::{Vmm, modes};
use vm_serial_tests::terminal::Terminal;

const VMM: &str = env!("CARGO_BIN_EXE_vmm");

/// It ends in order at SIGTERM, with nobody to tell.
#[track_caller]
fn ends_in_order(mut vmm: Vmm) {
    vmm.signal(Signal::TERM);
    let (status, messages) = vmm.wait();
    assert_eq!(status.signal(), Some(Signal::TERM.as_raw()), "{messages}");
    assert!(!vmm.socket().exists());
}

#[test]
fn a_terminal_that_is_closed() {
    for mode in modes("a_terminal_that_is_closed") {
        let mut terminal = Terminal::open();
        let vmm = Vmm::start_wholly_at(&terminal, DEFAULT_SIGNALS, VMM, mode, &[]);
        terminal.output().wait_for("commands\r\n> ");
        terminal.close();
        vmm.serves_the_next();
        ends_in_order(vmm);
    }
}

#[test]
fn a_controlling_terminal_that_is_closed_hangs_up() {
    for mode in modes("a_controlling_terminal_that_is_closed_hangs_up") {
        let mut terminal = Terminal::open();
        let through = [DEFAULT_SIGNALS, &["setsid", "--ctty"]].concat();
        let mut vmm = Vmm::start_wholly_at(&terminal, &through, VMM, mode, &[]);
        terminal.output().wait_for("commands\r\n> ");
        terminal.close();
        assert_eq!(vmm.wait().0.signal(), Some(Signal::HUP.as_raw()));
        assert!(!vmm.socket().exists());
    }
}

#[test]
fn a_standard_error_that_nobody_reads_any_more() {
    for mode in modes("a_standard_error_that_nobody_reads_any_more") {
        let terminal = Terminal::open();
        let mut vmm = Vmm::start_at(&terminal, VMM, mode, &[]);
        terminal.output().wait_for("commands\r\n> ");
        vmm.close_stderr();
        terminal.type_keys("\r~.");
        vmm.serves_the_next();
        vmm.signal(Signal::USR1);
        vmm.serves_the_next();
        ends_in_order(vmm);
    }
}

#[test]
fn a_standard_error_that_is_full() {
    for mode in modes("a_standard_error_that_is_full") {
        let terminal = Terminal::open();
        let (vmm, _unread) = Vmm::start_unread(&terminal, VMM, mode);
        terminal.output().wait_for("commands\r\n> ");
        for _ in 0..1000 {
            vmm.signal(Signal::USR1); // more than may wait for a reader
        }
        terminal.type_keys("\r~.");
        vmm.serves_the_next();
        ends_in_order(vmm);
    }
}

#[test]
fn a_client_that_does_not_read_at_the_end() {
    const FLOOD: usize = 600_000; // more than a socket's buffer takes
    for mode in modes("a_client_that_does_not_read_at_the_end") {
        let mut vmm = Vmm::start(VMM, mode, &[]);
        let mut deaf = UnixStream::connect(vmm.socket()).unwrap();
        write!(deaf, "burst {FLOOD}\r").unwrap();
        vmm.wait_until_written(FLOOD);
        vmm.signal(Signal::TERM);
        let (status, messages) = vmm.wait();
        assert_eq!(status.signal(), Some(Signal::TERM.as_raw()), "{messages}");
        assert!(messages.contains("not waiting for it"), "{messages}");
    }
}

#[test]
fn a_hang_up_that_its_parent_had_ignored() {
    for mode in modes("a_hang_up_that_its_parent_had_ignored") {
        let through = [DEFAULT_SIGNALS, &["env", "--ignore-signal=HUP"]].concat();
        let vmm = Vmm::start_through(&through, VMM, mode, &[]);
        vmm.signal(Signal::HUP);
        vmm.serves_the_next();
        ends_in_order(vmm);
    }
}
