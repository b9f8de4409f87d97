//! Bytes per second and exits per byte of a guest, with real exits.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use kvm_ioctls::IoEventAddress;
use vm_console::LogConfig;
use vm_serial_tests::bare_guest::{COM1, Device, Guest, Program, interrupt_driven, polled};
use vm_serial_tests::ticking::ticking;
use vm_uart::bus::coalesced::CoalescedRing;
use vm_uart::{EdgeLine, SerialPort};

use crate::host::{LoggedPort, lock, logged_port};
use crate::measure::{Bar, Pass, Passes, Row, Skipped};
use crate::peers::{Irqfd, Memory, Superio};

/// A row with vm-superio in the same VMM as the peer.
pub(super) fn row(
    name: &'static str,
    what: &'static str,
    bar: Bar,
    unit: &'static str,
    prepare: fn() -> Result<Passes, Skipped>,
) -> Row {
    Row {
        name,
        what,
        peer: "vm-superio, same VMM",
        unit,
        bar,
        prepare,
    }
}

/// The rows of this module.
pub(super) fn rows() -> Vec<Row> {
    vec![
        row(
            "kvm-16",
            "LSR + 16 THR, coalesced",
            Bar::Faster(5.0),
            "bytes/s",
            || rate(|| polled(16, 4000), true),
        ),
        row(
            "kvm-16-plain",
            "LSR + 16 THR, ours without coalescing",
            Bar::None,
            "bytes/s",
            || rate(|| polled(16, 1000), false),
        ),
        row(
            "kvm-16-exits",
            "LSR + 16 THR, coalesced",
            Bar::AtMost(0.07),
            "exits/byte",
            || exits(|| polled(16, 4000)),
        ),
        row(
            "kvm-1",
            "LSR + 1 THR, coalesced",
            Bar::Faster(1.7),
            "bytes/s",
            || rate(|| polled(1, 8000), true),
        ),
        row(
            "kvm-1-exits",
            "LSR + 1 THR, coalesced",
            Bar::None,
            "exits/byte",
            || exits(|| polled(1, 8000)),
        ),
        row(
            "kvm-irq",
            "interrupt-driven (IIR, LSR, 16 THR), coalesced",
            Bar::None,
            "bytes/s",
            || rate(|| interrupt_driven(4000), true),
        ),
        row(
            "kvm-irq-exits",
            "interrupt-driven, coalesced",
            Bar::None,
            "exits/byte",
            || exits(|| interrupt_driven(4000)),
        ),
    ]
}

struct Ours {
    port: Arc<Mutex<LoggedPort>>,
    ring: Option<Arc<CoalescedRing>>,
}

impl Device for Ours {
    fn read(&mut self, offset: u8) -> u8 {
        lock(&self.port).read(offset)
    }

    fn write(&mut self, offset: u8, value: u8) {
        lock(&self.port).write(offset, value);
    }

    fn before_access(&mut self, port: u16, is_write: bool) {
        if let Some(ring) = &self.ring {
            ring.before_access(port.into(), is_write);
        }
    }
}

struct Peer(Superio<Memory>);

impl Device for Peer {
    fn read(&mut self, offset: u8) -> u8 {
        lock(&self.0).read(offset)
    }

    fn write(&mut self, offset: u8, value: u8) {
        // Its sink never fails.
        let _ = lock(&self.0).write(offset, value);
    }
}

fn rate(program: fn() -> Program, coalesced: bool) -> Result<Passes, Skipped> {
    passes(program, coalesced, |seconds, _, bytes| bytes / seconds)
}

fn exits(program: fn() -> Program) -> Result<Passes, Skipped> {
    passes(program, true, |_, exits, bytes| exits / bytes)
}

/// Runs the program on port and peer in turn. Each has a VM of its own, as a coalesced zone of ours
/// would take the peer's bytes. `figure` computes the figure from seconds, exits and bytes.
fn passes(
    program: fn() -> Program,
    coalesced: bool,
    figure: fn(f64, f64, f64) -> f64,
) -> Result<Passes, Skipped> {
    let mut guest = Guest::new(1).map_err(Skipped)?;
    let line = logged_port(LogConfig::default())?;
    let port = Arc::new(Mutex::new(SerialPort::new(
        EdgeLine::new(irq(&guest)?),
        line,
    )));
    let ring = coalesced.then(|| ring(&guest, &port)).transpose()?;
    let timer = ring.clone().map(ticking).transpose()?;
    let mut ours = Ours { port, ring };
    let mut peer_guest = Guest::new(1).map_err(Skipped)?;
    let mut peer = Peer(Mutex::new(vm_superio::Serial::new(
        irq(&peer_guest)?,
        Memory::default(),
    )));
    let program = program();
    Ok(Box::new(move || {
        let _ = &timer;
        let ours = one(&mut guest, &program, &mut ours, figure)?;
        let peer = one(&mut peer_guest, &program, &mut peer, figure)?;
        Ok(Pass::pair(ours, peer))
    }))
}

fn irq(guest: &Guest) -> Result<Irqfd, Skipped> {
    Ok(Irqfd(guest.irq.try_clone()?))
}

/// A ring that leads to `port`.
fn ring(guest: &Guest, port: &Arc<Mutex<LoggedPort>>) -> Result<Arc<CoalescedRing>, Skipped> {
    let vcpu = guest.second_vcpu_descriptor().map_err(Skipped)?;
    let ring = CoalescedRing::new(guest.vm.clone(), vcpu, Box::new(|_, _| {}))?;
    ring.add(IoEventAddress::Pio(COM1.into()), port.clone())?;
    Ok(Arc::new(ring))
}

fn one(
    guest: &mut Guest,
    program: &Program,
    device: &mut impl Device,
    figure: fn(f64, f64, f64) -> f64,
) -> Result<f64, Skipped> {
    let start = Instant::now();
    let exits = guest.vcpus[0].run(program, device).map_err(Skipped)?;
    let seconds = start.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    Ok(figure(seconds, exits.serial as f64, program.bytes as f64))
}
