//! What is typed: from the client's socket to the guest's interrupt.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, poll};
use vm_console::LogConfig;
use vmm_sys_util::eventfd::EventFd;

use super::many::service_switches;
use crate::measure::{Bar, Pass, Passes, Row, Skipped, median, per};
use crate::rigs::{Served, lock};

const KEYS: usize = 500;
const PASTE: usize = 1 << 20;

const RBR: u8 = 0;
const IER: u8 = 1;
const IIR: u8 = 2;
const FCR: u8 = 2;
const MCR: u8 = 4;

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
            what: "1 MiB pasted at a guest that reads by interrupt",
            peer: "",
            unit: "ms",
            bar: Bar::None,
            prepare: || Ok(Box::new(paste)),
        },
    ]
}

fn keystroke() -> Result<Passes, Skipped> {
    let served = Served::new(LogConfig::default())?;
    open_port(&served, 0x01);
    let mut client = served.attach()?;
    let bare_irq = EventFd::new(0)?;
    let (mut bare_client, mut bare_end) = UnixStream::pair()?;
    let raised = bare_irq.try_clone()?;
    std::thread::spawn(move || {
        let mut byte = [0];
        // An event loop as ours is, with nothing behind it.
        while poll(&mut [PollFd::new(&bare_end, PollFlags::IN)], None).is_ok()
            && bare_end.read(&mut byte).is_ok_and(|n| n > 0)
        {
            let _ = raised.write(1);
        }
    });
    Ok(Box::new(move || {
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
        let ours = one(&mut client, &served.irq, &|| {
            lock(&served.port).read(RBR);
        });
        let peer = one(&mut bare_client, &bare_irq, &|| {});
        Ok(Pass::pair(ours, peer))
    }))
}

fn open_port(served: &Served, fcr: u8) {
    let mut port = lock(&served.port);
    port.write(FCR, fcr);
    port.write(MCR, 0x0b);
    port.write(IER, 0x01);
}

fn paste() -> Result<Pass, Skipped> {
    let served = Served::new(LogConfig::default())?;
    // Trigger level 8, as Linux programs it.
    open_port(&served, 0x81);
    let mut client = served.attach()?;
    let before = service_switches();
    let start = Instant::now();
    let pasting = std::thread::spawn(move || {
        let _ = client.write_all(&vec![b'v'; PASTE]);
        client
    });
    let mut got = 0;
    let mut interrupts = 0u64;
    while got < PASTE {
        let _ = served.irq.read();
        interrupts += 1;
        loop {
            let mut port = lock(&served.port);
            if port.read(IIR) & 1 != 0 {
                break;
            }
            port.read(RBR);
            got += 1;
        }
    }
    let time = start.elapsed();
    let wakeups = service_switches().saturating_sub(before);
    drop(pasting.join());
    let detail = format!(
        "{wakeups} wakeups of the service ({} bytes each), {interrupts} interrupts",
        PASTE as u64 / wakeups.max(1)
    );
    Ok(Pass {
        ours: time.as_secs_f64() * 1e3,
        peer: None,
        detail: Some(detail),
    })
}
