//! A machine's first boot begins by itself, and once.

mod support;

use std::path::Path;
use std::sync::{Arc, Mutex};

use support::{PATIENCE, Rig};
use vm_console::service::Service;
use vm_console::{BootLog, Console, ConsoleConfig, LogConfig, MarkKind};
use vm_uart::SerialPort;
use vm_uart::registers::{IER, THR};

/// A VMM from its start to its end, as the README has it.
fn run_vmm(path: &Path, output: &str) {
    let (service, thread) = Service::spawn().unwrap();
    let (writer, _) = BootLog::open_or_create_file(path, LogConfig::default()).unwrap();
    let (line, console) = Console::new(ConsoleConfig::named("vm"), writer).unwrap();
    let port = Arc::new(Mutex::new(SerialPort::new((), line)));
    let console = service.add(console, port.clone(), Vec::new()).unwrap();
    // The machine is on already, so this changes nothing.
    console.power_on();
    port.lock().unwrap().write_string(THR, output.as_bytes());
    console.power_off();
    console.remove();
    assert!(console.wait_removed(PATIENCE));
    service.shut_down();
    thread.join().unwrap();
}

#[test]
fn two_runs_over_one_log_are_two_boots() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ttyS0.log");
    for output in ["the first run\n", "the second run\n"] {
        run_vmm(&path, output);
    }
    let log = BootLog::open_read_only(&path).unwrap();
    let boots = log.boots();
    let begins: Vec<_> = boots.iter().map(|boot| (boot.epoch, boot.start)).collect();
    assert_eq!(begins, [(1, 0), (2, 14)]);
    let marks: Vec<_> = log
        .marks()
        .iter()
        .map(|mark| (mark.kind, mark.epoch, mark.offset))
        .collect();
    let (on, off) = (MarkKind::PowerOn, MarkKind::PowerOff);
    assert_eq!(marks, [(on, 1, 0), (off, 1, 14), (on, 2, 14), (off, 2, 29)]);
}

#[test]
fn a_machine_that_starts_off_boots_first_when_it_is_powered_on() {
    let mut config = ConsoleConfig::named("vm");
    config.starts_off = true;
    let rig = Rig::with(config);
    assert_eq!((rig.log.epoch(), rig.log.marks().len()), (0, 0));
    let refusal = rig.connect("raw").read_to_end();
    assert!(refusal.contains("powered off"), "{refusal}");
    for _ in 0..2 {
        rig.console.power_on();
        assert_eq!(rig.log.epoch(), 1);
    }
    rig.print(b"login: ");
    assert_eq!(rig.attach("raw").read(7), b"login: ");
}

/// As a VMM does that resets all its devices before it starts the machine.
#[test]
fn a_reset_of_a_machine_that_is_off_begins_no_boot() {
    let mut config = ConsoleConfig::named("vm");
    config.starts_off = true;
    let rig = Rig::with(config);
    rig.port.lock().unwrap().write(IER, 1);
    rig.console.reset();
    let is_reset = rig.port.lock().unwrap().read(IER) == 0;
    assert!(is_reset, "the chip is reset all the same");
    assert_eq!(rig.log.epoch(), 0);
    rig.console.power_on();
    assert_eq!(rig.log.epoch(), 1);
    rig.console.reset();
    assert_eq!(rig.log.epoch(), 2);
}
