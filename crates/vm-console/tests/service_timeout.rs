//! The service keeps the time of the chip's own character timeout: a VMM chooses it by one word in
//! its configuration, and needs no timer of its own.
#![cfg(feature = "vm-uart")]

mod support;

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use support::{Client, join, wait_until, watchdog::Watchdog};
use vm_console::service::{Service, ServiceHandle};
use vm_console::transport::{Listener, unix::UnixSocket};
use vm_console::{BootLog, Console, ConsoleConfig, ConsoleLine, LogConfig};
use vm_uart::registers::{DLL, FCR, IER, IIR, LCR, LSR, MCR, RBR};
use vm_uart::{CharacterTimeout, Config, InterruptLine, SerialPort};

const IIR_DATA: u8 = 0xc4;
const IIR_TIMEOUT: u8 = 0xcc;
const IIR_NONE: u8 = 0xc1;

/// The interrupt line, for the guest to look at.
#[derive(Clone, Default)]
struct Irq(Arc<AtomicBool>);

impl InterruptLine for Irq {
    fn assert(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn deassert(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

type Port = SerialPort<Irq, ConsoleLine>;

struct Rig {
    irq: Irq,
    port: Arc<Mutex<Port>>,
    service: ServiceHandle,
    thread: JoinHandle<()>,
    dir: tempfile::TempDir,
    _watchdog: Watchdog,
}

impl Rig {
    /// A driver has opened the port at 115,200 baud, with trigger level 8, before `prepare`; the
    /// service comes last.
    fn new(prepare: impl FnOnce(&mut Port)) -> Self {
        let watchdog = Watchdog::new();
        let (writer, _) = BootLog::in_memory(LogConfig::default()).unwrap();
        let (line, console) = Console::new(ConsoleConfig::named("vm"), writer).unwrap();
        let config = Config {
            character_timeout: CharacterTimeout::FourCharacters,
            ..Config::default()
        };
        let irq = Irq::default();
        let mut port = SerialPort::with_config(config, irq.clone(), line);
        for (register, value) in [
            (LCR, 0x83),
            (DLL, 1),
            (LCR, 0x03),
            (FCR, 0x81),
            (MCR, 0x0b),
            (IER, 0x01),
        ] {
            port.write(register, value);
        }
        prepare(&mut port);
        let port = Arc::new(Mutex::new(port));
        let dir = tempfile::tempdir().unwrap();
        let (service, thread) = Service::spawn().unwrap();
        let socket = UnixSocket::bind(dir.path().join("raw")).unwrap();
        let listeners = vec![Listener::raw(socket)];
        service.add(console, port.clone(), listeners).unwrap();
        Self {
            irq,
            port,
            service,
            thread,
            dir,
            _watchdog: watchdog,
        }
    }

    fn attach(&self) -> Client {
        Client::new(UnixStream::connect(self.dir.path().join("raw")).unwrap())
    }

    fn wait_for_interrupt(&self) {
        wait_until("the interrupt comes", || self.irq.0.load(Ordering::Relaxed));
    }

    fn read(&self, register: u8) -> u8 {
        self.port.lock().unwrap().read(register)
    }

    /// Reads `count` characters as a driver does that takes one for each look at IIR, and sleeps
    /// while no interrupt is active.
    fn read_by_interrupt(&self, count: usize) -> Vec<u8> {
        let mut received = Vec::new();
        while received.len() < count {
            self.wait_for_interrupt();
            match self.read(IIR) {
                IIR_DATA | IIR_TIMEOUT => received.push(self.read(RBR)),
                // A handler that finds no end is told so.
                other => assert_eq!(other, IIR_NONE),
            }
        }
        assert_eq!(self.read(LSR) & 1, 0, "more than was typed");
        received
    }

    fn end(self) {
        self.service.shut_down();
        join("the service", self.thread).unwrap().unwrap();
    }
}

#[test]
fn keys_below_the_trigger_level_arrive_by_timeout() {
    let rig = Rig::new(|_| {});
    let mut client = rig.attach();
    for keys in [b"k".as_slice(), b"arrows!"] {
        client.send(keys);
        rig.wait_for_interrupt();
        assert_eq!(rig.read(IIR), IIR_TIMEOUT);
        let received = rig.read_by_interrupt(keys.len());
        assert_eq!(received, keys);
    }
    rig.end();
}

#[test]
fn a_timeout_that_the_guests_own_reads_start_is_kept_too() {
    let rig = Rig::new(|_| {});
    let mut client = rig.attach();
    for round in 0..50 {
        // Eight wait for the trigger level; the last seven are below it by the guest's reads alone.
        let pasted: Vec<u8> = (b'a'..=b'z').cycle().skip(round).take(8 + round).collect();
        client.send(&pasted);
        assert_eq!(rig.read_by_interrupt(pasted.len()), pasted);
    }
    rig.end();
}

#[test]
fn a_timeout_that_counted_before_the_service_came_is_kept() {
    let rig = Rig::new(|port| {
        port.line_mut().type_bytes(b"k");
        port.pump();
    });
    assert_eq!(rig.read_by_interrupt(1), b"k");
    rig.end();
}

#[test]
fn a_timeout_goes_on_after_a_restore() {
    let mut saved = None;
    let rig = Rig::new(|port| {
        port.line_mut().type_bytes(b"k");
        port.pump();
        saved = Some(port.snapshot());
    });
    assert_eq!(rig.read_by_interrupt(1), b"k");
    rig.port.lock().unwrap().restore(&saved.unwrap()).unwrap();
    assert_eq!(rig.read_by_interrupt(1), b"k");
    rig.end();
}
