//! The keys at a terminal that are not for the guest.

mod host;
mod seat;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use host::Host;
use rustix::termios::{Winsize, tcsetwinsize};
use vm_console::audit::Audited;
use vm_console::{ConsoleConfig, LogConfig, PowerControl};
use vm_serial_tests::terminal::restored_after;

/// A machine's reset button, and how often it was pushed.
#[derive(Default)]
struct Button(AtomicUsize);

impl PowerControl for Button {
    fn stop(&self) {}
    fn start(&self) {}
    fn restart(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn help_is_shown_and_the_machine_is_reset_and_the_guest_gets_none_of_the_keys() {
    let host = Host::new();
    let button = Arc::new(Button::default());
    let config = ConsoleConfig {
        power: Some(button.clone()),
        ..ConsoleConfig::named("vm-7")
    };
    let served = host.console_of("vm-7", config, LogConfig::default());
    restored_after(|terminal| {
        let mut vmcon = seat::attached(&host, terminal, &["vm-7"], "attached to vm-7");
        terminal.type_keys("~?");
        terminal
            .output()
            .wait_for("[after Enter: ~. leaves  ~B BREAK  ~R reset  ~? help  ~~ types ~]");
        terminal.type_keys("a\r~R");
        terminal.output().wait_for("[reset]");
        host::until(|| button.0.load(Ordering::SeqCst) == 1);
        terminal.type_keys("~~\r~.");
        assert_eq!(vmcon.wait().code(), Some(0));
    });
    assert_eq!(served.read_input(4), b"a\r~\r");
    assert_eq!(served.input(1), b"");
}

#[test]
fn the_size_of_the_window_is_told_at_first_and_when_it_changes() {
    let host = Host::new();
    let served = host.console("vm-7");
    let audit = host.audit();
    restored_after(|terminal| {
        let size = |ws_col, ws_row| Winsize {
            ws_col,
            ws_row,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let told = |wanted| {
            let events = std::iter::from_fn(|| audit.recv_timeout(host::PATIENCE).ok());
            let resized = events.filter_map(|event| match event.what {
                Audited::Resized { columns, rows } => Some((columns, rows)),
                _ => None,
            });
            assert_eq!(resized.take(1).collect::<Vec<_>>(), [wanted]);
        };
        tcsetwinsize(terminal.slave(), size(91, 31)).unwrap();
        let mut vmcon = seat::attached(&host, terminal, &["vm-7"], "attached to vm-7");
        told((91, 31));
        tcsetwinsize(terminal.slave(), size(92, 32)).unwrap();
        // The kernel tells whoever has it as the controlling terminal; here that is nobody.
        vmcon.signal(rustix::process::Signal::WINCH);
        told((92, 32));
        terminal.type_keys("~.");
        assert_eq!(vmcon.wait().code(), Some(0));
    });
    drop(served);
}

#[test]
fn whoever_waits_for_the_first_session_can_leave_and_types_nothing() {
    let host = Host::new();
    let config = ConsoleConfig {
        starts_off: true,
        ..ConsoleConfig::named("vm-7")
    };
    let served = host.console_of("vm-7", config, LogConfig::default());
    for (escape, way, keys) in [
        ("~", "Ctrl-C or Enter ~ . leaves", "ls\r~."),
        ("~", "Ctrl-C or Enter ~ . leaves", "\x03"),
        ("none", "Ctrl-C leaves", "\x03"),
    ] {
        restored_after(|terminal| {
            let arguments = ["attach", "vm-7", "--wait", "--escape", escape];
            let mut vmcon = seat::vmcon(&host, terminal, &arguments);
            let waiting = format!("[waiting for vm-7 to start; {way}]");
            terminal.output().wait_for(&waiting);
            terminal.wait_until_raw();
            terminal.type_keys(keys);
            assert_eq!(vmcon.wait().code(), Some(0), "{keys:?}");
        });
    }
    served.console.power_on();
    assert_eq!(served.input(1), b"");
}
