//! Ports of every kind that a VMM may have: a client types, the guest reads and answers, whatever is
//! around the port.
#![cfg(feature = "vm-uart")]

mod support;

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::{Client, PATIENCE, join, wait_until, watchdog::Watchdog};
use vm_console::service::Service;
use vm_console::transport::{Listener, unix::UnixSocket};
use vm_console::{
    BootLog, Console, ConsoleConfig, ConsoleDevice, ConsoleLine, ConsolePort, GuestPort, LogConfig,
};
use vm_uart::bus::Registers;
use vm_uart::bus::mmio::{Mmio, Stride, Strided};
use vm_uart::registers::{DLL, FCR, IER, IIR, LCR, LSR, MCR, MSR, RBR, THR};
use vm_uart::{CharacterTimeout, Config, InterruptLine, SerialPort};

/// A device of a VMM's own, around the port.
struct Com1 {
    port: ConsolePort,
    exits: u32,
}

impl ConsoleDevice for Com1 {
    fn line(&mut self) -> &mut ConsoleLine {
        self.port.line_mut()
    }

    fn visited(&mut self) {
        self.port.visited();
    }

    fn set_carrier(&mut self, present: bool) {
        self.port.set_carrier(present);
    }
}

impl Registers for Com1 {
    fn read(&mut self, offset: u8) -> u8 {
        self.exits += 1;
        self.port.read(offset)
    }

    fn write(&mut self, offset: u8, value: u8) {
        self.exits += 1;
        self.port.write(offset, value);
    }
}

fn line() -> (ConsoleLine, Console) {
    let (writer, _) = BootLog::in_memory(LogConfig::default()).unwrap();
    let mut config = ConsoleConfig::named("vm");
    config.carrier = true;
    Console::new(config, writer).unwrap()
}

fn boxed(line: ConsoleLine) -> ConsolePort {
    ConsolePort::new(Box::new(()), line)
}

/// Attaches a client and carries more bytes than any FIFO or queue holds, both ways.
fn carries<D: ConsoleDevice + Registers + 'static>(make: impl FnOnce(ConsoleLine) -> D) {
    let _watchdog = Watchdog::new();
    let (line, console) = line();
    let device = Arc::new(Mutex::new(make(line)));
    let port: Arc<dyn GuestPort> = device.clone();
    serve(console, port, &|access| {
        access(&mut *device.lock().unwrap());
    });
}

/// Takes the port's lock and lets a vCPU make accesses.
type Vcpu<'a> = &'a dyn Fn(&mut dyn FnMut(&mut dyn Registers));

fn serve(console: Console, port: Arc<dyn GuestPort>, vcpu: Vcpu<'_>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("raw");
    let (service, thread) = Service::spawn().unwrap();
    let listeners = vec![Listener::raw(UnixSocket::bind(path.clone()).unwrap())];
    service.add(console, port, listeners).unwrap();
    let mut client = Client::new(UnixStream::connect(path).unwrap());
    wait_until("the carrier is there", || {
        let mut msr = 0;
        vcpu(&mut |device| msr = device.read(MSR));
        msr & 0xa0 == 0xa0
    });

    let typed: Vec<u8> = (0..1000_u32).map(|n| b'a' + (n % 26) as u8).collect();
    client.send(&typed);
    let mut received = Vec::new();
    wait_until("the guest has read all that was typed", || {
        vcpu(&mut |device| {
            if device.read(LSR) & 1 != 0 {
                received.push(device.read(RBR));
            }
        });
        received.len() == typed.len()
    });
    assert_eq!(received, typed);
    vcpu(&mut |device| device.write_string(THR, &typed));
    assert_eq!(client.read(typed.len()), typed);
    service.shut_down();
    join("the service", thread).unwrap().unwrap();
}

#[test]
fn a_port_with_any_interrupt_line_in_a_box() {
    carries(boxed);
}

#[test]
fn a_device_of_the_vmms_own() {
    carries(|line| Com1 {
        port: boxed(line),
        exits: 0,
    });
}

#[test]
fn a_port_with_its_place_on_the_memory_bus() {
    let window = Mmio::new(Stride::Four);
    carries(|line| Strided {
        registers: boxed(line),
        window,
    });
    carries(|line| Strided {
        registers: Com1 {
            port: boxed(line),
            exits: 0,
        },
        window,
    });
}

#[cfg(feature = "vm-superio")]
#[test]
fn the_drop_in() {
    use vm_uart::serial::NoEvents;
    use vm_uart::{Serial, Trigger};

    struct Irq;
    impl Trigger for Irq {
        type E = std::io::Error;
        fn trigger(&self) -> std::io::Result<()> {
            Ok(())
        }
    }
    carries(|line| Serial::new(Irq, line));
    carries(|line| Serial::with_events(Irq, NoEvents, line));
    let window = Mmio::default();
    carries(|line| Strided {
        registers: Serial::new(Irq, line),
        window,
    });
}

/// What a VMM of many kinds of device keeps.
trait Device: ConsoleDevice + Registers {}
impl Device for Com1 {}
impl ConsoleDevice for Box<dyn Device> {
    fn line(&mut self) -> &mut ConsoleLine {
        (**self).line()
    }
    fn visited(&mut self) {
        (**self).visited();
    }
    fn set_carrier(&mut self, present: bool) {
        (**self).set_carrier(present);
    }
}

#[test]
fn a_device_whose_type_nobody_names() {
    let _watchdog = Watchdog::new();
    let (line, console) = line();
    let com1 = Com1 {
        port: boxed(line),
        exits: 0,
    };
    let device: Arc<Mutex<Box<dyn Device>>> = Arc::new(Mutex::new(Box::new(com1)));
    let shared: Arc<dyn GuestPort> = device.clone();
    // One pointer more does no harm.
    let port: Arc<dyn GuestPort> = Arc::new(shared);
    serve(console, port, &|access| {
        access(&mut **device.lock().unwrap());
    });
}

#[test]
fn the_time_of_the_character_timeout_is_kept_through_the_lock() {
    let (line, console) = line();
    let config = Config {
        character_timeout: CharacterTimeout::FourCharacters,
        ..Config::default()
    };
    let mut uart = SerialPort::with_config(config, (), line);
    for (register, value) in [
        (LCR, 0x83),
        (DLL, 1),
        (LCR, 0x03),
        (FCR, 0x81),
        (MCR, 0x08),
        (IER, 0x01),
    ] {
        uart.write(register, value);
    }
    let device = Arc::new(Mutex::new(uart));
    let port: Arc<dyn GuestPort> = Arc::new(Arc::clone(&device));
    let now = PATIENCE;
    assert_eq!(port.keep_time(now), None);
    let wait = port.with_line_at(now, &mut |line| assert_eq!(line.type_bytes(b"k"), 1));
    let wait = wait.unwrap();
    assert_eq!(wait.as_micros(), 347);
    assert_eq!(device.lock().unwrap().read(IIR), 0xc1);
    assert_eq!(port.keep_time(now + wait), None);
    assert_eq!(device.lock().unwrap().read(IIR), 0xcc);
    assert_eq!(device.lock().unwrap().keep_time(Duration::MAX), None);
    drop(console);
}

/// A port spares edges that a driver like Linux's does not need. If another driver does wait, the
/// service's look for more output brings the edge.
#[test]
fn a_spared_edge_comes_while_a_client_waits_for_output() {
    #[derive(Clone, Default)]
    struct Edges(Arc<AtomicU64>);
    impl InterruptLine for Edges {
        fn assert(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        fn deassert(&mut self) {}
    }
    let _watchdog = Watchdog::new();
    let (line, console) = line();
    let edges = Edges::default();
    let device = Arc::new(Mutex::new(SerialPort::new(edges.clone(), line)));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("raw");
    let (service, thread) = Service::spawn().unwrap();
    let listeners = vec![Listener::raw(UnixSocket::bind(path.clone()).unwrap())];
    service.add(console, device.clone(), listeners).unwrap();
    let mut client = Client::new(UnixStream::connect(path).unwrap());
    let mut guest = device.lock().unwrap();
    for (register, value) in [(FCR, 0x01), (MCR, 0x08), (IER, 0x02)] {
        guest.write(register, value);
    }
    guest.read(IIR);
    (0..16).for_each(|_| guest.write(THR, b'x'));
    guest.read(IIR);
    guest.write(THR, b'a');
    let before = edges.0.load(Ordering::Relaxed);
    guest.write(THR, b'b');
    assert_eq!(edges.0.load(Ordering::Relaxed), before, "spared");
    drop(guest);
    assert_eq!(client.read(18), b"xxxxxxxxxxxxxxxxab");
    wait_until("the edge comes", || {
        edges.0.load(Ordering::Relaxed) > before
    });
    service.shut_down();
    join("the service", thread).unwrap().unwrap();
}

#[test]
fn a_reset_reaches_the_device_and_begins_a_boot() {
    let (line, console) = line();
    let device = Mutex::new(boxed(line));
    device.lock().unwrap().write(THR, b'x');
    device.lock().unwrap().write(LCR, 0x1b);
    let boots = || console.log().boots().len();
    let before = boots();
    GuestPort::reset(&device);
    assert_eq!((device.lock().unwrap().read(LCR), boots()), (0, before + 1));
}
