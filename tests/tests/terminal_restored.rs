//! The terminal is given back as it was on every way out, and taken again after a stop.

use std::os::unix::process::ExitStatusExt;

use vm_serial_tests::running::{Mode, Vmm, modes};
use vm_serial_tests::terminal::{self, DEADLY, Terminal, survives_stops};

const VMM: &str = env!("CARGO_BIN_EXE_vmm");

/// Runs a VMM at a terminal until `way_out` ends its use of it, and compares the terminal before
/// and after.
#[track_caller]
fn restored_after(mode: Mode, arguments: &[&str], way_out: impl FnOnce(&Terminal, &mut Vmm)) {
    terminal::restored_after(|terminal| {
        let mut vmm = Vmm::start_at(terminal, VMM, mode, arguments);
        terminal.output().wait_for("commands\r\n> ");
        assert!(terminal.settings().is_raw(), "{mode:?}");
        way_out(terminal, &mut vmm);
    });
}

#[test]
fn after_leaving_the_console_while_the_machine_goes_on() {
    for mode in modes("after_leaving_the_console_while_the_machine_goes_on") {
        restored_after(mode, &[], |terminal, vmm| {
            terminal.type_keys("\r~.");
            vmm.messages().wait_for("bytes written =");
            let next = vmm.attach_when_free();
            next.send("sum\r");
            next.output().wait_for(" bytes\r\n> ");
        });
    }
}

#[test]
fn after_leaving_for_good() {
    for mode in modes("after_leaving_for_good") {
        restored_after(mode, &["--exit-on-leave"], |terminal, vmm| {
            terminal.type_keys("\r~.");
            assert_eq!(vmm.wait().0.code(), Some(0));
        });
    }
}

#[test]
fn after_halt() {
    for mode in modes("after_halt") {
        restored_after(mode, &[], |terminal, vmm| {
            terminal.type_keys("halt\r");
            assert_eq!(vmm.wait().0.code(), Some(0));
        });
    }
}

#[test]
fn after_each_deadly_signal() {
    for mode in modes("after_each_deadly_signal") {
        for signal in DEADLY {
            restored_after(mode, &[], |_, vmm| {
                vmm.signal(signal);
                let (status, messages) = vmm.wait();
                assert_eq!(
                    status.signal(),
                    Some(signal.as_raw()),
                    "{mode:?}: {messages}"
                );
                assert!(messages.contains("bytes written ="), "{mode:?}: {messages}");
                assert!(!vmm.socket().exists(), "{mode:?}");
            });
        }
    }
}

#[test]
fn after_a_panic() {
    for mode in modes("after_a_panic") {
        restored_after(mode, &["--panic-after", "300"], |_, vmm| {
            let (status, messages) = vmm.wait();
            assert_eq!(status.code(), Some(101), "{mode:?}: {messages}");
            assert!(messages.contains("panicked"), "{mode:?}: {messages}");
            assert!(!vmm.socket().exists(), "{mode:?}");
        });
    }
}

#[test]
fn while_stopped_and_raw_again_afterwards() {
    for mode in modes("while_stopped_and_raw_again_afterwards") {
        restored_after(mode, &[], |terminal, vmm| {
            survives_stops(terminal, vmm.process());
            // A key that would end the VMM in a cooked terminal is the guest's again.
            terminal.type_keys("# typed\x03sum\r");
            terminal.output().wait_for(" bytes\r\n> ");
            terminal.type_keys("halt\r");
            assert_eq!(vmm.wait().0.code(), Some(0));
        });
    }
}
