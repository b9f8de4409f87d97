//! A machine reboots with its client attached, in a VMM that builds its devices anew and in one
//! that keeps them.

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use support::{PATIENCE, Rig, wait_until};
use vm_console::audit::Audited;
use vm_console::{ConsoleConfig, ConsoleLine};
use vm_uart::registers::{IER, IIR, LSR, Lsr, MCR, MSR, Mcr, Msr, RBR, THR};
use vm_uart::{EdgeLine, SerialPort, Trigger};

/// An interrupt that counts.
#[derive(Clone, Debug, Default)]
struct Irq(Arc<AtomicU64>);

impl Irq {
    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Trigger for Irq {
    type E = std::io::Error;

    fn trigger(&self) -> std::io::Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

type Port = Mutex<SerialPort<EdgeLine<Irq>, ConsoleLine>>;

fn rebuild(rig: &Rig, irq: &Irq) -> Arc<Port> {
    let build = |line| {
        Arc::new(Mutex::new(SerialPort::new(
            EdgeLine::new(irq.clone()),
            line,
        )))
    };
    rig.console.rebuild_port(build).unwrap()
}

/// A driver without FIFOs asks for the interrupt of received data.
fn start_driver(port: &Port) {
    let mut port = port.lock().unwrap();
    port.write(MCR, Mcr::OUT2.bits());
    port.write(IER, 1);
}

fn take_input(port: &Port, into: &mut Vec<u8>) {
    let mut port = port.lock().unwrap();
    while port.read(LSR) & Lsr::DATA_READY.bits() != 0 {
        into.push(port.read(RBR));
    }
}

#[test]
fn a_client_stays_attached_while_the_port_is_rebuilt() {
    let rig = Rig::new();
    let clone = rig.console.clone();
    let mut client = rig.attach("raw");
    rig.print(b"the first boot\n");
    client.read_until("boot\n");
    // Typed ahead: the chip's FIFO takes some of it, and the line keeps the rest.
    client.send(&[b'x'; 100]);
    wait_until("it is typed", || rig.counters().input == 100);
    rig.status();
    let in_the_chip = rig.counters().input_taken;
    assert!(in_the_chip <= 16);

    let irq = Irq::default();
    let port = rebuild(&rig, &irq);
    assert_eq!(rig.log.epoch(), 2);
    start_driver(&port);
    assert!(irq.count() > 0, "the input that waited is told of");
    let mut input = Vec::new();
    take_input(&port, &mut input);
    assert_eq!(input.len() as u64, 100 - in_the_chip);
    port.lock().unwrap().write_string(THR, b"the second boot\n");
    client.read_until("second boot\n");
    client.send(b"still me");
    wait_until("it reaches the new port", || {
        take_input(&port, &mut input);
        input.ends_with(b"still me")
    });
    rig.audited("the boot", |what| *what == Audited::Boot { epoch: 2 });
    // What still reaches the old port is nobody's.
    let head = rig.log.head();
    rig.print(b"a ghost");
    assert_eq!(rig.log.head(), head);
    let counters = rig.counters();
    assert_eq!((counters.attaches, counters.ended), (1, [0; 9]));
    assert_eq!(counters.input_waiting(), 0);

    // A handle from before the rebuild means the new port, too.
    clone.power_off();
    assert!(client.read_to_end().contains("powered off"));
}

/// A guest in lossless mode has sent it, and would miss it in the log for ever.
#[test]
fn output_that_waits_in_the_old_chip_leaves_it_first() {
    let mut config = ConsoleConfig::named("vm");
    // Longer than any test waits.
    config.lossless = Some(PATIENCE * 10);
    config.lossless_window = 4096;
    let rig = Rig::with(config);
    let mut holder = rig.attach("raw");
    let mut printed = 0;
    wait_until("output is held", || {
        for _ in 0..10_000 {
            if rig.may_send() {
                rig.print(b"x");
                printed += 1;
            }
        }
        // Output may wait only for the service to look, so let it look first.
        rig.prompt_status();
        !rig.may_send()
    });
    rig.print(b"held");
    printed += 4;
    assert!(rig.log.head() < printed, "it is in the chip");
    let port = rebuild(&rig, &Irq::default());
    let boots = rig.log.boots();
    let starts: Vec<_> = boots.iter().map(|boot| boot.start).collect();
    assert_eq!(starts, [0, printed], "it is the old boot's");
    assert_eq!(rig.port.lock().unwrap().lost(), 0);
    // The new port is held for the holder as the old one was.
    let may_send = || port.lock().unwrap().read(LSR) & Lsr::THR_EMPTY.bits() != 0;
    port.lock().unwrap().write(THR, b'!');
    assert!(!may_send());
    holder.read_until("held!");
    wait_until("output goes on", may_send);
}

#[test]
fn a_port_that_is_rebuilt_while_the_machine_is_off_boots_at_power_on() {
    let rig = Rig::new();
    rig.console.power_off();
    let port = rebuild(&rig, &Irq::default());
    assert_eq!(rig.log.epoch(), 1);
    rig.console.power_on();
    assert_eq!(rig.log.epoch(), 2);
    port.lock().unwrap().write_string(THR, b"on again");
    assert_eq!(rig.attach("raw").read(8), b"on again");
}

#[test]
fn the_carrier_of_a_session_is_on_the_new_port() {
    let mut config = ConsoleConfig::named("vm");
    config.carrier = true;
    let rig = Rig::with(config);
    let carrier = |port: &Port| {
        let status = port.lock().unwrap().read(MSR);
        Msr::from_bits_retain(status).contains(Msr::DCD)
    };
    // Until the service has begun, the port is as after power-on.
    rig.status();
    let port = rebuild(&rig, &Irq::default());
    assert!(!carrier(&port), "nobody is attached");
    let client = rig.attach("raw");
    wait_until("the carrier rises", || carrier(&port));
    let port = rebuild(&rig, &Irq::default());
    assert!(carrier(&port), "the session goes on");
    drop(client);
    wait_until("the carrier falls", || !carrier(&port));
}

#[test]
fn a_reset_is_one_call_for_chip_and_log() {
    let rig = Rig::new();
    let mut client = rig.attach("raw");
    rig.print(b"old");
    rig.port.lock().unwrap().write(IER, 1);
    rig.console.reset();
    {
        let mut port = rig.port.lock().unwrap();
        assert_eq!(
            (port.read(IER), port.read(IIR)),
            (0, 1),
            "as after a master reset"
        );
    }
    rig.print(b"new");
    assert_eq!(client.read(6), b"oldnew");
    let boots: Vec<_> = rig
        .log
        .boots()
        .iter()
        .map(|boot| (boot.epoch, boot.start))
        .collect();
    assert_eq!(boots, [(1, 0), (2, 3)]);
}

#[test]
fn a_port_that_is_kept_gets_another_interrupt() {
    let rig = Rig::new();
    let (old, new) = (Irq::default(), Irq::default());
    let mut client = rig.attach("raw");
    let port = rebuild(&rig, &old);
    start_driver(&port);
    client.send(b"x");
    wait_until("the old interrupt is raised", || old.count() > 0);
    let raised = old.count();
    *port.lock().unwrap().interrupt_mut() = EdgeLine::new(new.clone());
    rig.console.reset();
    start_driver(&port);
    client.send(b"y");
    wait_until("the new interrupt is raised", || new.count() > 0);
    assert_eq!(old.count(), raised);
    assert!(rig.console.status(PATIENCE).unwrap().holder.is_some());
}

#[test]
fn a_port_is_not_rebuilt_as_itself() {
    let rig = Rig::new();
    let mut client = rig.attach("raw");
    let same = rig.port.clone();
    let error = rig.console.rebuild_port(|_line| same).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert_eq!(rig.log.epoch(), 1, "nothing has changed");
    rig.carries(&mut client, "as before");
}
