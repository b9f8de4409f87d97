//! A guest that sends by interrupt, each access a real exit: ours and vm-superio in short turns.
//!
//! Both sides pay for the same exits, which cost a thousand times what the devices do. So a row can
//! only tell them apart if it measures both at the same time: a pass is a hundred short runs of
//! each, one after the other, and its figure is that of the middle one, by the time of the thread.
//! The exits and the interrupts of each side are counted beside that, and these have no noise.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rustix::time::{ClockId, clock_gettime};
use vm_console::{ConsoleLine, LogConfig};
use vm_serial_tests::bare_guest::{
    Device, Guest, Program, interrupt_driven, interrupt_driven_again,
};
use vm_superio::Trigger;
use vm_superio::serial::NoEvents;
use vm_uart::{EdgeLine, SerialPort};

use super::kvm::row;
use crate::host::{lock, logged_port};
use crate::measure::{Bar, Pass, Passes, Row, Skipped, median};
use crate::peers::{Irqfd, Memory};

/// Runs of each side in a pass.
const TURNS: usize = 100;

/// Bursts of 16 bytes in a run, which takes some milliseconds.
const BURSTS: u16 = 16;

/// As fast as the peer, as far as this can tell: the row with vm-superio on both sides says how far.
const BAR: Bar = Bar::Faster(0.99);

/// The rows of this module.
pub(super) fn rows() -> Vec<Row> {
    vec![
        row(
            "kvm-irq-plain",
            "interrupt-driven, ours without coalescing",
            BAR,
            "bytes/s",
            || {
                in_turns(|irq| {
                    let line = logged_port(LogConfig::default())?;
                    let port = SerialPort::new(EdgeLine::new(irq), line);
                    Ok(Ours(Mutex::new(port)))
                })
            },
        ),
        row(
            "kvm-irq-drop-in",
            "interrupt-driven, ours as the drop-in",
            BAR,
            "bytes/s",
            || {
                in_turns(|irq| {
                    let serial = vm_uart::Serial::new(irq, Memory::default());
                    Ok(DropIn(Mutex::new(serial)))
                })
            },
        ),
        row(
            "kvm-irq-same",
            "interrupt-driven, vm-superio on both sides: the error of the two rows above",
            Bar::None,
            "bytes/s",
            || in_turns(|irq| Ok(Peer::new(irq))),
        ),
    ]
}

/// An irqfd that counts its edges.
struct Counted {
    irq: Irqfd,
    edges: Arc<AtomicU64>,
}

impl Trigger for Counted {
    type E = std::io::Error;

    fn trigger(&self) -> std::io::Result<()> {
        self.edges.fetch_add(1, Ordering::Relaxed);
        self.irq.trigger()
    }
}

struct Ours(Mutex<SerialPort<EdgeLine<Counted>, ConsoleLine>>);

impl Device for Ours {
    fn read(&mut self, offset: u8) -> u8 {
        lock(&self.0).read(offset)
    }

    fn write(&mut self, offset: u8, value: u8) {
        lock(&self.0).write(offset, value);
    }
}

struct DropIn(Mutex<vm_uart::Serial<Counted, NoEvents, Memory>>);

impl Device for DropIn {
    fn read(&mut self, offset: u8) -> u8 {
        lock(&self.0).read(offset)
    }

    fn write(&mut self, offset: u8, value: u8) {
        // Its sink never fails.
        let _ = lock(&self.0).write(offset, value);
    }
}

struct Peer(Mutex<vm_superio::Serial<Counted, NoEvents, Memory>>);

impl Peer {
    fn new(irq: Counted) -> Self {
        Self(Mutex::new(vm_superio::Serial::new(irq, Memory::default())))
    }
}

impl Device for Peer {
    fn read(&mut self, offset: u8) -> u8 {
        lock(&self.0).read(offset)
    }

    fn write(&mut self, offset: u8, value: u8) {
        // Its sink never fails.
        let _ = lock(&self.0).write(offset, value);
    }
}

/// One side: a guest of its own and its device.
struct Side<D> {
    guest: Guest,
    device: D,
    edges: Arc<AtomicU64>,
    exits: u64,
    seconds: Vec<f64>,
}

impl<D: Device> Side<D> {
    fn new(device: impl FnOnce(Counted) -> Result<D, Skipped>) -> Result<Self, Skipped> {
        let guest = Guest::new(1).map_err(Skipped)?;
        let edges = Arc::new(AtomicU64::new(0));
        let irq = Counted {
            irq: Irqfd(guest.irq.try_clone()?),
            edges: Arc::clone(&edges),
        };
        Ok(Self {
            device: device(irq)?,
            guest,
            edges,
            exits: 0,
            seconds: Vec::new(),
        })
    }

    fn run(&mut self, program: &Program) -> Result<(), Skipped> {
        let start = time_of_this_thread();
        let exits = self.guest.vcpus[0].run(program, &mut self.device);
        self.seconds.push(time_of_this_thread() - start);
        self.exits += exits.map_err(Skipped)?.serial;
        Ok(())
    }

    /// Bytes a second in the middle one of its runs.
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    fn rate(&self, program: &Program) -> f64 {
        let seconds = median(self.seconds.iter().copied()).unwrap_or(f64::NAN);
        program.bytes as f64 / seconds
    }

    /// Exits and edges a byte.
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    fn counts(&self, program: &Program) -> String {
        let bytes = (self.seconds.len() * program.bytes) as f64;
        let exits = self.exits as f64 / bytes;
        let edges = self.edges.load(Ordering::Relaxed) as f64 / bytes;
        format!("{exits:.4} exits and {edges:.4} edges a byte")
    }

    fn forget(&mut self) {
        self.seconds.clear();
        self.exits = 0;
        self.edges.store(0, Ordering::Relaxed);
    }
}

/// Seconds for which this thread has run. A machine that runs others meanwhile changes nothing.
#[expect(clippy::cast_precision_loss, reason = "seconds far below 2^52")]
fn time_of_this_thread() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn in_turns<D: Device + 'static>(
    device: fn(Counted) -> Result<D, Skipped>,
) -> Result<Passes, Skipped> {
    let mut ours = Side::new(device)?;
    let mut peer = Side::new(|irq| Ok(Peer::new(irq)))?;
    // Each port is set up once, as by a driver. It learns from the first bursts that the driver fills
    // the FIFO; from then on a burst costs one edge.
    let begin = interrupt_driven(BURSTS);
    ours.run(&begin)?;
    peer.run(&begin)?;
    let program = interrupt_driven_again(BURSTS);
    Ok(Box::new(move || {
        ours.forget();
        peer.forget();
        for turn in 0..TURNS {
            // Neither is always the first.
            if turn % 2 == 0 {
                ours.run(&program)?;
                peer.run(&program)?;
            } else {
                peer.run(&program)?;
                ours.run(&program)?;
            }
        }
        let detail = format!("{}; peer {}", ours.counts(&program), peer.counts(&program));
        Ok(Pass {
            detail: Some(detail),
            ..Pass::pair(ours.rate(&program), peer.rate(&program))
        })
    }))
}
