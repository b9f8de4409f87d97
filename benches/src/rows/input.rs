//! Input: from the client's socket to the guest's interrupt.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use vm_console::LogConfig;
use vm_uart::registers::{IIR, RBR};
use vm_uart::{Character, EdgeLine, Line, SerialPort};
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};
use vmm_sys_util::eventfd::EventFd;

use super::many::service_switches;
use super::processors::{CLIENT, EVENT_LOOP, move_back, move_to};
use crate::host::{Served, TRIGGER_1, lock, open_port};
use crate::measure::{Bar, Pass, Passes, Row, Skipped, median, per};
use crate::peers::Irqfd;

const KEYS: usize = 500;
const PASTE: usize = 1 << 20;

/// The trigger level that Linux programs.
const TRIGGER_8: u8 = 0x81;

/// The rows of this module.
pub(super) fn rows() -> Vec<Row> {
    vec![
        Row {
            name: "keystroke",
            what: "client's write to the guest's interrupt, median of 500",
            peer: "socket to eventfd, bare",
            unit: "µs",
            bar: Bar::CostRatio(1.5),
            prepare: keystroke,
        },
        Row {
            name: "paste",
            what: "1 MiB pasted at a guest that reads by interrupt, at 0.3 µs an access",
            peer: "the same guest, all input at hand",
            unit: "ms",
            bar: Bar::None,
            prepare: || Ok(Box::new(paste)),
        },
    ]
}

fn keystroke() -> Result<Passes, Skipped> {
    let before = move_to(EVENT_LOOP);
    let served = Served::new(LogConfig::default())?;
    open_port(served.port(), TRIGGER_1);
    let mut client = served.attach()?;
    let bare_irq = EventFd::new(0)?;
    let (mut bare_client, mut bare_end) = UnixStream::pair()?;
    let raised = bare_irq.try_clone()?;
    let epoll = Epoll::new()?;
    epoll.ctl(
        ControlOperation::Add,
        bare_end.as_raw_fd(),
        EpollEvent::new(EventSet::IN, 0),
    )?;
    std::thread::spawn(move || {
        let mut byte = [0];
        // An event loop like ours, with nothing behind it.
        while epoll.wait(-1, &mut [EpollEvent::default()]).is_ok()
            && bare_end.read(&mut byte).is_ok_and(|n| n > 0)
        {
            let _ = raised.write(1);
        }
    });
    move_back(before);
    Ok(Box::new(move || {
        let before = move_to(CLIENT);
        let one = |client: &mut UnixStream, irq: &EventFd, serve: &dyn Fn()| {
            let times = (0..KEYS).map(|_| {
                let start = Instant::now();
                let sent = client.write_all(b"k");
                if sent.is_ok() {
                    let _ = irq.read();
                }
                let time = per(start.elapsed(), 1) / 1e3;
                serve();
                time
            });
            median(times).unwrap_or(0.0)
        };
        let ours = one(&mut client, served.irq(), &|| {
            lock(served.port()).read(RBR);
        });
        let peer = one(&mut bare_client, &bare_irq, &|| {});
        move_back(before);
        Ok(Pass::pair(ours, peer))
    }))
}

/// A line whose whole input is at hand.
struct AtHand(usize);

impl Line for AtHand {
    fn transmit(&mut self, bytes: &[u8]) -> usize {
        bytes.len()
    }

    fn receive(&mut self) -> Option<Character> {
        self.0 = self.0.checked_sub(1)?;
        Some(b'v'.into())
    }
}

fn paste() -> Result<Pass, Skipped> {
    let served = Served::new(LogConfig::default())?;
    open_port(served.port(), TRIGGER_8);
    let mut client = served.attach()?;
    let before = service_switches();
    let start = Instant::now();
    let pasting = std::thread::spawn(move || {
        let _ = client.write_all(&vec![b'v'; PASTE]);
        client
    });
    let interrupts = read_by_interrupt(served.port(), served.irq());
    let ours = start.elapsed().as_secs_f64() * 1e3;
    let wakeups = service_switches().saturating_sub(before);
    drop(pasting.join());

    let irq = EventFd::new(0)?;
    let at_hand = Mutex::new(SerialPort::new(
        EdgeLine::new(Irqfd(irq.try_clone()?)),
        AtHand(PASTE),
    ));
    open_port(&at_hand, TRIGGER_8);
    let start = Instant::now();
    read_by_interrupt(&at_hand, &irq);
    let peer = start.elapsed().as_secs_f64() * 1e3;
    let each = PASTE as u64 / wakeups.max(1);
    let detail =
        format!("{wakeups} wakeups of the service ({each} bytes each), {interrupts} interrupts");
    Ok(Pass {
        detail: Some(detail),
        ..Pass::pair(ours, peer)
    })
}

/// Reads the whole paste by interrupt, and returns the number of interrupts. Each access takes 0.3
/// µs, during which the lock is free, as during an exit.
fn read_by_interrupt<L: Line>(port: &Mutex<SerialPort<EdgeLine<Irqfd>, L>>, irq: &EventFd) -> u64 {
    let access = |register| {
        let start = Instant::now();
        while start.elapsed() < Duration::from_nanos(300) {
            std::hint::spin_loop();
        }
        lock(port).read(register)
    };
    let (mut got, mut interrupts) = (0, 0);
    while got < PASTE {
        let _ = irq.read();
        interrupts += 1;
        while access(IIR) & 1 == 0 {
            access(RBR);
            got += 1;
        }
    }
    interrupts
}
