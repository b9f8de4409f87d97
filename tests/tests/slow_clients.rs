//! A client that stops reading, and one that dies, are nobody's problem but their own.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use vm_serial_tests::flood;
use vm_serial_tests::output::Output;
use vm_serial_tests::process::send_signal;
use vm_serial_tests::requirement;
use vm_serial_tests::running::{Mode, Vmm, modes};

const VMM: &str = env!("CARGO_BIN_EXE_vmm");

/// Several times what the buffers between guest and client hold, and long enough to stop the client
/// meanwhile.
fn flood(mode: Mode) -> usize {
    match mode {
        Mode::Scripted => 10_000_000,
        Mode::Kvm => 600_000,
    }
}

/// `socat` in the middle of a flood, stopped.
fn stopped_socat(vmm: &Vmm, flood: usize) -> (Child, Output) {
    let mut child = Command::new("socat")
        .arg("-")
        .arg(format!("UNIX:{}", vmm.socket().display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = Output::collect(child.stdout.take().unwrap());
    output.wait_for("commands\r\n> ");
    let keys = format!("burst {flood}\r");
    child
        .stdin
        .as_mut()
        .unwrap()
        .write_all(keys.as_bytes())
        .unwrap();
    output.wait_for("00000001 ");
    send_signal(&child, Signal::STOP);
    (child, output)
}

#[test]
fn a_stopped_client_does_not_slow_the_guest() {
    let test = "a_stopped_client_does_not_slow_the_guest";
    if !requirement::has_program("socat") {
        return requirement::skip(test, "socat");
    }
    for mode in modes(test) {
        let flood = flood(mode);
        let vmm = Vmm::start(VMM, mode, &["--log-size", "131072"]);
        let (mut child, output) = stopped_socat(&vmm, flood);
        // The guest ends its flood while the client stands still.
        vmm.wait_until_written(flood);
        send_signal(&child, Signal::CONT);
        let received = output.wait_for(&flood::last_line(flood));
        let shown = output.wait_for(&format!("{}> ", flood::last_line(flood)));
        assert_eq!(shown.len(), received.len() + 2, "{mode:?}");
        // What it was shown and what it was told that it has missed is what the guest sent.
        let (note, lost) = the_gap(&shown);
        let log = vmm.wait_until_written(flood);
        assert_eq!(
            shown.len() as u64 - note + lost,
            log.written,
            "{mode:?}: {log:?}"
        );
        child.kill().unwrap();
        child.wait().unwrap();
        vmm.serves_the_next();
    }
}

#[test]
fn a_client_killed_with_unread_output_leaves_the_console_to_the_next() {
    let test = "a_client_killed_with_unread_output_leaves_the_console_to_the_next";
    if !requirement::has_program("socat") {
        return requirement::skip(test, "socat");
    }
    for mode in modes(test) {
        let flood = flood(mode);
        let vmm = Vmm::start(VMM, mode, &[]);
        let (mut child, _output) = stopped_socat(&vmm, flood);
        vmm.wait_until_written(flood);
        child.kill().unwrap();
        child.wait().unwrap();
        vmm.serves_the_next();
    }
}

/// The length of the one note about lost output in `shown`, and the number in it.
#[track_caller]
fn the_gap(shown: &[u8]) -> (u64, u64) {
    let text = String::from_utf8_lossy(shown);
    let end = " bytes of output lost]\r\n";
    let notes: Vec<_> = text
        .split_inclusive(end)
        .filter(|part| part.ends_with(end))
        .collect();
    let [part] = notes[..] else {
        panic!("one gap is expected, not {}", notes.len());
    };
    let start = part.rfind("\r\n[").unwrap();
    let number = &part[start + 3..part.len() - end.len()];
    ((part.len() - start) as u64, number.parse().unwrap())
}
