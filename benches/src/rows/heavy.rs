//! A guest that prints without pause: the cost of its writes while clients come, go and stop.
//!
//! The guest writes a byte every microsecond, as fast as exits would let a real one. Each write is
//! timed, lock included.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use vm_console::LogConfig;
use vm_serial_tests::background::Background;
use vm_uart::registers::THR;

use super::processors::{CLIENT, EVENT_LOOP, move_back, move_to};
use crate::host::{LoggedPort, Served, lock};
use crate::measure::{Bar, Pass, Passes, Row, Skipped, percentile};
use crate::peers::drained;

/// Writes of each side in a pass.
const WRITES: usize = 400_000;
/// Turns in which they are made, so that both sides see the same noise of the machine.
const TURNS: usize = 20;
const PACE: Duration = Duration::from_micros(1);
/// Longer than the service waits before it looks at flowing output.
const SETTLE: Duration = Duration::from_millis(40);

/// The rows of this module.
pub(super) fn rows() -> Vec<Row> {
    fn row(
        name: &'static str,
        what: &'static str,
        bar: Bar,
        prepare: fn() -> Result<Passes, Skipped>,
    ) -> Row {
        Row {
            name,
            what,
            peer: "no client",
            unit: "ns, p99.9",
            bar,
            prepare,
        }
    }
    vec![
        row(
            "heavy-fast",
            "guest's write, a client that keeps up",
            Bar::None,
            || beside(|served| Ok(Company::Reader(drained(served.attach()?)))),
        ),
        row(
            "heavy-stopped",
            "guest's write, a client that has stopped reading",
            Bar::CostRatio(1.5),
            || beside(|served| Ok(Company::Stopped(served.attach()?))),
        ),
        row(
            "heavy-reader",
            "guest's write, a log reader that polls",
            Bar::None,
            || beside(|served| Ok(Company::poller(served))),
        ),
        row(
            "heavy-observers",
            "guest's write, 16 observers that keep up",
            Bar::CostRatio(1.2),
            || {
                beside(|served| {
                    (0..16)
                        .map(|_| Ok(drained(served.observe()?)))
                        .collect::<Result<_, _>>()
                        .map(Company::Readers)
                })
            },
        ),
        row(
            "attach-full-guest",
            "guest's write while clients attach to a full 1 MiB log, one after another",
            Bar::CostRatio(2.0),
            || {
                let served = Arc::new(full()?);
                let alone = full()?;
                Ok(Box::new(move || {
                    let attaching = Background::start({
                        let served = served.clone();
                        move |stop| {
                            let mut attaches = 0;
                            while !stop.load(Ordering::Relaxed) {
                                // Refused until the last one has left: try again.
                                attaches +=
                                    u64::from(served.attach().and_then(read_mebibyte).is_ok());
                            }
                            attaches
                        }
                    });
                    let mut ours = timed_writes(served.port(), WRITES);
                    let attaches = attaching.stop().unwrap_or(0);
                    let mut peer = timed_writes(alone.port(), WRITES);
                    let detail = format!("{attaches} attaches during {WRITES} writes");
                    Ok(Pass {
                        detail: Some(detail),
                        ..Pass::pair(tail(&mut ours), tail(&mut peer))
                    })
                }))
            },
        ),
        Row {
            name: "attach-full",
            what: "attach to a full 1 MiB log, to its last byte",
            peer: "",
            unit: "ms",
            bar: Bar::AtMost(5.0),
            prepare: attach_to_full,
        },
    ]
}

fn attach_to_full() -> Result<Passes, Skipped> {
    // If the scheduler puts both on one processor, or not, from pass to pass, then that is what is
    // measured.
    let before = move_to(EVENT_LOOP);
    let served = full();
    move_back(before);
    let served = served?;
    Ok(Box::new(move || {
        let before = move_to(CLIENT);
        let start = Instant::now();
        let read = served.attach().and_then(read_mebibyte);
        let took = start.elapsed();
        move_back(before);
        read?;
        Ok(Pass {
            ours: took.as_secs_f64() * 1e3,
            peer: None,
            detail: None,
        })
    }))
}

enum Company {
    Reader(JoinHandle<u64>),
    Readers(Vec<JoinHandle<u64>>),
    Stopped(UnixStream),
    Poller(Background<()>),
}

impl Company {
    fn poller(served: &Served) -> Self {
        let log = served.log().clone();
        Self::Poller(Background::start(move |stop| {
            while !stop.load(Ordering::Relaxed) {
                std::hint::black_box(log.read_at(-65_536, 65_536));
                std::thread::sleep(Duration::from_millis(1));
            }
        }))
    }

    /// Ends the company. Returns how many bytes the slowest client got, where that is known.
    fn leave(self, served: Served) -> Option<u64> {
        match self {
            Self::Reader(reader) => {
                drop(served);
                reader.join().ok()
            }
            Self::Readers(readers) => {
                drop(served);
                readers
                    .into_iter()
                    .filter_map(|reader| reader.join().ok())
                    .min()
            }
            Self::Stopped(stream) => {
                // It reads again, and gets the rest.
                let reader = drained(stream);
                drop(served);
                reader.join().ok()
            }
            Self::Poller(poller) => {
                drop(poller);
                None
            }
        }
    }
}

/// Times the guest's writes in company and alone.
#[expect(clippy::unnecessary_wraps, reason = "what a row's `prepare` is")]
fn beside(company: fn(&Served) -> Result<Company, Skipped>) -> Result<Passes, Skipped> {
    Ok(Box::new(move || {
        let served = Served::new(LogConfig::default())?;
        let joined = company(&served)?;
        // Wait until the service has taken the clients in, and fill the socket of one that does not
        // read.
        std::thread::sleep(Duration::from_millis(20));
        for _ in 0..1 << 20 {
            lock(served.port()).write(THR, b'w');
        }
        std::thread::sleep(Duration::from_millis(20));
        let alone = Served::new(LogConfig::default())?;
        let (mut ours, mut peer) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            ours.extend(timed_writes(served.port(), WRITES / TURNS));
            // The service still sends, and would be measured on the other side.
            std::thread::sleep(SETTLE);
            peer.extend(timed_writes(alone.port(), WRITES / TURNS));
        }
        let memory = resident_kib();
        let written = served.log().head();
        let got = joined.leave(served);
        let detail = format!(
            "p50 {:.0} ns, p99 {:.0} ns, max {:.0} ns; alone p50 {:.0} ns, p99 {:.0} ns; {written} written, {}; process {memory} KiB",
            percentile(&mut ours, 0.5),
            percentile(&mut ours, 0.99),
            percentile(&mut ours, 1.0),
            percentile(&mut peer, 0.5),
            percentile(&mut peer, 0.99),
            got.map_or_else(String::new, |got| format!(
                "{} lost by the slowest client",
                written.saturating_sub(got)
            )),
        );
        Ok(Pass {
            detail: Some(detail),
            ..Pass::pair(tail(&mut ours), tail(&mut peer))
        })
    }))
}

fn full() -> Result<Served, Skipped> {
    let served = Served::new(LogConfig {
        head: 0,
        ..LogConfig::default()
    })?;
    lock(served.port()).write_string(THR, &vec![b'x'; LogConfig::default().tail as usize]);
    Ok(served)
}

fn tail(writes: &mut [u64]) -> f64 {
    percentile(writes, 0.999)
}

fn timed_writes(port: &Mutex<LoggedPort>, count: usize) -> Vec<u64> {
    let mut next = Instant::now();
    let times = (0..count).map(|_| {
        next += PACE;
        let mut before = Instant::now();
        while before < next {
            std::hint::spin_loop();
            before = Instant::now();
        }
        lock(port).write(THR, b'x');
        let time = before.elapsed().as_nanos() as u64;
        // A guest that was not scheduled does not catch up.
        next = next.max(before);
        time
    });
    times.collect()
}

fn read_mebibyte(mut client: UnixStream) -> Result<(), Skipped> {
    let mut left = LogConfig::default().tail as usize;
    let mut buffer = vec![0; 1 << 16];
    while left > 0 {
        match client.read(&mut buffer) {
            Ok(0) => return Err(Skipped("the console closed the connection".into())),
            Ok(n) => left = left.saturating_sub(n),
            Err(error) => return Err(Skipped(error.to_string())),
        }
    }
    Ok(())
}

/// Resident memory of this process.
pub(super) fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmRSS:")?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or(0)
}
