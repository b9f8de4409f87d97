//! `vmcon break`, `sysrq`, `send`, `power`: what reaches the guest, and who may.

mod host;

use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use host::Host;
use serde_json::Value;
use vm_console::client::ControlClient;
use vm_console::protocol::AttachRequest;
use vm_console::{ConsoleConfig, LogConfig, PowerControl};

/// Presses of the buttons: stop, start, restart, NMI.
#[derive(Default)]
struct Buttons([AtomicU32; 4]);

impl Buttons {
    fn press(&self, button: usize) {
        self.0[button].fetch_add(1, Ordering::Relaxed);
    }

    fn pressed(&self) -> [u32; 4] {
        self.0.each_ref().map(|count| count.load(Ordering::Relaxed))
    }
}

impl PowerControl for Buttons {
    fn stop(&self) {
        self.press(0);
    }
    fn start(&self) {
        self.press(1);
    }
    fn restart(&self) {
        self.press(2);
    }
    fn nmi(&self) -> bool {
        self.press(3);
        true
    }
}

fn holder(served: &host::Served) -> ControlClient {
    let mut client = ControlClient::connect(served.socket()).unwrap();
    let name = "ada".to_owned();
    client
        .attach(&AttachRequest {
            name,
            ..AttachRequest::default()
        })
        .unwrap();
    client
}

#[test]
fn every_button_of_a_machine_can_be_pressed() {
    let host = Host::new();
    let buttons = Arc::new(Buttons::default());
    let mut config = ConsoleConfig::named("vm-7");
    config.power = Some(buttons.clone());
    let served = host.console_of("vm-7", config, LogConfig::default());
    for action in ["stop", "start", "restart", "nmi"] {
        let done = host.vmcon(&["power", action, "vm-7"]);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    }
    assert_eq!(buttons.pressed(), [1; 4]);
    let _ada = holder(&served);
    let done = host.vmcon(&["power", "stop", "vm-7"]);
    assert_eq!(done.code, 7, "{done:?}");
    let text = "vmcon: vm-7: not permitted while ada (";
    assert!(done.stderr.starts_with(text), "{done:?}");
    assert_eq!(buttons.pressed(), [1; 4]);
}

#[test]
fn a_machine_without_buttons_says_so() {
    let host = Host::new();
    let _served = host.console("vm-7");
    let done = host.vmcon(&["power", "restart", "vm-7"]);
    assert_eq!(done.code, 11);
    assert_eq!(
        done.stderr,
        "vmcon: vm-7: the machine cannot be stopped or started from here\n"
    );
}

#[test]
fn a_sysrq_goes_in_beside_a_holder_only_by_force() {
    let host = Host::new();
    let served = host.console("vm-7");
    let done = host.vmcon(&["sysrq", "vm-7", "h"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    // BREAK is a zero byte with an error bit, which a plain read of the data register shows as 0.
    assert_eq!(served.read_input(2), [0, b'h']);
    let mut ada = holder(&served);
    for arguments in [&["sysrq", "vm-7", "h"][..], &["break", "vm-7"]] {
        let done = host.vmcon(arguments);
        assert_eq!(done.code, 5);
        assert!(
            done.stderr.starts_with("vmcon: vm-7: in use by ada (uid "),
            "{}",
            done.stderr
        );
        assert!(
            done.stderr.ends_with("--force sends it all the same\n"),
            "{}",
            done.stderr
        );
    }
    assert_eq!(host.vmcon(&["break", "--force", "vm-7"]).code, 0);
    assert_eq!(served.read_input(1), [0]);
    // Whoever holds it still does.
    assert!(ada.status().unwrap().holder.is_some());
    assert!(ada.is_attached());
}

#[test]
fn a_sequence_is_typed_key_by_key() {
    let host = Host::new();
    let served = host.console("vm-7");
    let done = host.vmcon(&["sysrq", "vm-7", "REISUB", "--pause", "1ms"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert_eq!(served.read_input(12), *b"\0r\0e\0i\0s\0u\0b");
    for wrong in ["", "h h", "\u{202e}", "a\u{e9}"] {
        let done = host.vmcon(&["sysrq", "vm-7", wrong]);
        assert_eq!(done.code, 2, "{wrong:?}");
        assert!(!done.stderr.contains('\u{202e}'));
    }
}

#[test]
fn a_text_is_typed_with_enter_if_wanted() {
    let host = Host::new();
    let served = host.console("vm-7");
    let sending = host.start(&["send", "vm-7", "root", "--enter"]);
    assert_eq!(served.read_input(5), b"root\r");
    let done = sending.wait();
    assert_eq!(
        (done.code, done.stderr.as_str(), done.stdout.len()),
        (0, "", 0)
    );
}

#[test]
fn all_of_a_file_arrives_at_the_guests_pace() {
    let host = Host::new();
    let served = host.console("vm-7");
    let all: Vec<u8> = (0..100_000_u32).map(|n| (n % 256) as u8).collect();
    let path = host.path().join(".typed");
    std::fs::write(&path, &all).unwrap();
    let sending = host.start(&["send", "vm-7", "--file", path.to_str().unwrap()]);
    assert_eq!(served.read_input(all.len()), all);
    assert_eq!(sending.wait().code, 0);

    let mut command = host.command(&["send", "vm-7"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&all[..5000]).unwrap();
    assert_eq!(served.read_input(5000), all[..5000]);
    assert!(child.wait().unwrap().success());
}

#[test]
fn who_is_sent_away_is_told_what_was_taken() {
    let host = Host::new();
    let served = host.console("vm-7");
    let _ada = holder(&served);
    let done = host.vmcon(&["send", "vm-7", "x"]);
    assert_eq!(done.code, 5);
    assert!(
        done.stderr.ends_with("--force takes it\n"),
        "{}",
        done.stderr
    );
    let path = host.path().join(".typed");
    std::fs::write(&path, vec![b'x'; 1 << 20]).unwrap();
    let sending = host.start(&["send", "--force", "vm-7", "--file", path.to_str().unwrap()]);
    assert_eq!(served.read_input(1), b"x");
    served.console.power_off();
    let done = sending.wait();
    assert!(
        done.stderr.contains("bytes had been taken"),
        "{}",
        done.stderr
    );
    assert_ne!(done.code, 0);
}

#[test]
fn status_tells_all_of_it() {
    let host = Host::new();
    let served = host.console("vm-7");
    let _ada = holder(&served);
    // From now on the service looks when output comes.
    served.print("login: ");
    let done = host.vmcon(&["status", "vm-7"]);
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(
        text.starts_with("console    vm-7\nmachine    running"),
        "{text}"
    );
    assert!(text.contains("\nholder     ada (uid "), "{text}");
    assert!(text.contains("nothing typed yet"), "{text}");
    assert!(
        text.contains("\noutput     7 bytes, 7 kept, the last "),
        "{text}"
    );
    assert!(text.contains("  attaches\n"), "{text}");
    let done = host.vmcon(&["status", "--json", "vm-7"]);
    let status: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(status["state"], "running");
    assert_eq!(status["head"], 7);
    assert_eq!(status["holder"]["idle_for_ms"], Value::Null);
    assert!(
        status["holder"]["name"]
            .as_str()
            .unwrap()
            .starts_with("ada (uid")
    );
}

#[test]
fn a_console_that_is_not_there_or_gone_has_a_code_of_its_own() {
    let host = Host::new();
    let gone = host.console("vm-2");
    gone.end();
    for (arguments, code, said) in [
        (["status", "vm-1"], 3, "vm-1: no such instance in "),
        (
            ["status", "vm-2"],
            4,
            "vm-2: its VMM is gone; `vmcon log` shows what it has left",
        ),
        (["status", "./nothing"], 3, "./nothing: "),
        (
            ["status", "/dev/null"],
            12,
            "/dev/null: neither a socket, nor a log, nor a directory",
        ),
    ] {
        let done = host.vmcon(&arguments);
        assert_eq!(done.code, code, "{arguments:?} {}", done.stderr);
        assert!(
            done.stderr.starts_with(&format!("vmcon: {said}")),
            "{}",
            done.stderr
        );
        assert_eq!(done.stderr.lines().count(), 1);
    }
    for hostile in ["..", "a\x1b[2J", "vm 1", &"x".repeat(10 << 10), "-x"] {
        let done = host.vmcon(&["status", hostile]);
        assert_eq!(done.code, 2, "{hostile:?}");
        assert!(!done.stderr.contains('\x1b'), "{}", done.stderr);
        assert!(done.stderr.len() < 2000, "{}", done.stderr.len());
    }
}
