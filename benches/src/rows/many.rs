//! Many consoles on one thread.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use vm_console::transport::Listener;
use vm_console::transport::stdio::FdClient;
use vm_console::{BootLog, LogConfig, LogWriter};
use vm_serial_tests::background::Background;
use vm_uart::registers::THR;

use super::heavy::resident_kib;
use crate::host::{Host, SharedPort, lock};
use crate::measure::{Bar, Pass, Passes, Row, Skipped, per};

/// The rows of this module.
pub(super) fn rows() -> Vec<Row> {
    macro_rules! idle {
        ($name:literal, $count:literal, $bar:expr) => {
            Row {
                name: concat!("idle-", $name),
                what: concat!($name, " idle consoles: wakeups of the service"),
                peer: "",
                unit: "wakeups/s",
                bar: $bar,
                prepare: || idle_wakeups($count),
            }
        };
    }
    macro_rules! memory {
        ($name:literal, $count:literal, $bar:expr) => {
            Row {
                name: concat!("memory-", $name),
                what: concat!(
                    $name,
                    " idle consoles: memory of each beside touched log pages"
                ),
                peer: "",
                unit: "KiB",
                bar: $bar,
                prepare: || Ok(Box::new(|| memory_each($count))),
            }
        };
    }
    macro_rules! throughput {
        ($name:literal, $count:literal) => {
            Row {
                name: concat!("consoles-", $name),
                what: concat!($name, " consoles, each with a client: delivered in all"),
                peer: "",
                unit: "bytes/s",
                bar: Bar::None,
                prepare: || Ok(Box::new(|| throughput($count))),
            }
        };
    }
    vec![
        idle!("1", 1, Bar::AtMost(0.0)),
        idle!("10", 10, Bar::AtMost(0.0)),
        idle!("100", 100, Bar::AtMost(0.0)),
        idle!("1000", 1000, Bar::AtMost(0.0)),
        idle!("5000", 5000, Bar::AtMost(0.0)),
        memory!("100", 100, Bar::None),
        memory!("1000", 1000, Bar::AtMost(8.0)),
        memory!("5000", 5000, Bar::None),
        Row {
            name: "chatty-1000",
            what: "1,000 consoles, each with a client and 10 kB/s: the service's thread",
            peer: "",
            unit: "cores",
            bar: Bar::None,
            prepare: || chatty(1000),
        },
        throughput!("1", 1),
        throughput!("10", 10),
        throughput!("100", 100),
        throughput!("1000", 1000),
        throughput!("5000", 5000),
    ]
}

/// Many consoles on one host. A `move` closure has to take all of it, or the host ends before.
struct Consoles {
    ports: Vec<SharedPort<()>>,
    clients: Vec<UnixStream>,
    host: Host,
}

fn logs(count: usize) -> Result<Vec<LogWriter>, Skipped> {
    (0..count)
        .map(|_| Ok(BootLog::in_memory(LogConfig::default())?.0))
        .collect()
}

impl Consoles {
    /// One listener each, or a client each if asked.
    fn new(logs: Vec<LogWriter>, with_clients: bool) -> Result<Self, Skipped> {
        let mut consoles = Self {
            ports: Vec::new(),
            clients: Vec::new(),
            host: Host::start()?,
        };
        for (n, log) in logs.into_iter().enumerate() {
            let listeners = if with_clients {
                Vec::new()
            } else {
                vec![Listener::raw(consoles.host.bind(&n.to_string())?)]
            };
            let (console, port) = consoles.host.serve((), log, listeners)?;
            if with_clients {
                let (ours, theirs) = UnixStream::pair()?;
                drop(console.attach(FdClient::from_socket(ours.into())));
                theirs.set_nonblocking(true)?;
                consoles.clients.push(theirs);
            }
            // The service has taken it in when it answers.
            console.status(Duration::from_secs(60))?;
            consoles.ports.push(port);
        }
        Ok(consoles)
    }
}

fn idle_wakeups(count: usize) -> Result<Passes, Skipped> {
    let consoles = Consoles::new(logs(count)?, false)?;
    Ok(Box::new(move || {
        let _ = &consoles;
        let before = service_switches();
        let start = Instant::now();
        std::thread::sleep(Duration::from_secs(1));
        #[expect(clippy::cast_precision_loss, reason = "a count of wakeups")]
        let wakeups = (service_switches() - before) as f64;
        Ok(Pass {
            ours: wakeups / start.elapsed().as_secs_f64(),
            peer: None,
            detail: None,
        })
    }))
}

/// Measured in a process of its own: in this one, memory that an earlier row freed would be used
/// again and not be counted.
fn memory_each(count: usize) -> Result<Pass, Skipped> {
    let output = std::process::Command::new(std::env::current_exe()?)
        .args(["--memory-of", &count.to_string()])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let ours = text
        .trim()
        .parse()
        .map_err(|_| Skipped(String::from_utf8_lossy(&output.stderr).into_owned()))?;
    Ok(Pass {
        ours,
        peer: None,
        detail: None,
    })
}

/// Resident memory in KiB for each of `count` consoles with its port and its listener, besides its
/// log.
///
/// # Errors
///
/// If memory or descriptors are exhausted.
pub fn memory_of(count: usize) -> Result<f64, Skipped> {
    let logs = logs(count)?;
    let before = resident_kib();
    let consoles = Consoles::new(logs, false)?;
    let after = resident_kib();
    drop(consoles);
    #[expect(clippy::cast_precision_loss, reason = "kibibytes")]
    Ok(after.saturating_sub(before) as f64 / count as f64)
}

/// One thread plays all guests and all clients, the other is the service. No guest gets further
/// ahead of its client than the size of the log, so every byte is delivered, and the service is the
/// part that is measured.
fn throughput(count: usize) -> Result<Pass, Skipped> {
    const CHUNK: usize = 4096;
    const AHEAD: u64 = 256 << 10;
    let total = 64u64 << 20;
    let each = total / count as u64;
    let mut consoles = Consoles::new(logs(count)?, true)?;
    let mut clients = std::mem::take(&mut consoles.clients);
    let (mut written, mut got) = (vec![0u64; count], vec![0u64; count]);
    let mut fairness = None;
    let mut buffer = vec![0; 1 << 16];
    let start = Instant::now();
    loop {
        for ((port, written), got) in consoles.ports.iter().zip(&mut written).zip(&got) {
            if *written < each && *written - got < AHEAD {
                lock(port).write_string(THR, &[b'x'; CHUNK]);
                *written += CHUNK as u64;
            }
        }
        for (client, got) in clients.iter_mut().zip(&mut got) {
            if let Ok(n) = client.read(&mut buffer) {
                *got += n as u64;
            }
        }
        let delivered: u64 = got.iter().sum();
        if delivered >= total / 2 && fairness.is_none() {
            fairness = got
                .iter()
                .min()
                .zip(got.iter().max())
                .map(|(&least, &most)| (least, most));
        }
        if got.iter().all(|&got| got >= each) {
            break;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let (least, most) = fairness.unwrap_or_default();
    let detail =
        format!("half-way, the client with least had {least} bytes and the one with most {most}");
    #[expect(clippy::cast_precision_loss, reason = "bytes far below 2^52")]
    let rate = got.iter().sum::<u64>() as f64 / seconds;
    Ok(Pass {
        ours: rate,
        peer: None,
        detail: Some(detail),
    })
}

/// Every guest prints ten bytes a millisecond, as far as this thread can keep up. Clients are read
/// every 5 ms.
fn chatty(count: usize) -> Result<Passes, Skipped> {
    const LINE: [u8; 10] = *b"chatty...\n";
    const MILLISECONDS: u64 = 1000;
    let mut consoles = Consoles::new(logs(count)?, true)?;
    let mut clients = std::mem::take(&mut consoles.clients);
    let reader = Background::start(move |stop| {
        let mut buffer = vec![0; 1 << 16];
        while !stop.load(Ordering::Relaxed) {
            for client in &mut clients {
                while client.read(&mut buffer).is_ok_and(|n| n == buffer.len()) {}
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    Ok(Box::new(move || {
        let _ = (&consoles, &reader);
        let (start, busy) = (Instant::now(), service_time());
        let mut printed = 0;
        for round in 1..=MILLISECONDS {
            for port in &consoles.ports {
                lock(port).write_string(THR, &LINE);
                printed += LINE.len();
            }
            let due = start + Duration::from_millis(round);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let (time, busy) = (start.elapsed(), service_time().saturating_sub(busy));
        #[expect(clippy::cast_precision_loss, reason = "bytes far below 2^52")]
        let rate = printed as f64 / time.as_secs_f64();
        let detail = format!(
            "{:.1} MB/s in all; {:.1} ns of the service a byte",
            rate / 1e6,
            per(busy, printed)
        );
        Ok(Pass {
            ours: busy.as_secs_f64() / time.as_secs_f64(),
            peer: None,
            detail: Some(detail),
        })
    }))
}

/// The number of times that the services' threads have gone to sleep so far.
pub(super) fn service_switches() -> u64 {
    let of_task = |task: PathBuf| {
        let status = std::fs::read_to_string(task.join("status")).ok()?;
        status.lines().find_map(|line| {
            line.strip_prefix("voluntary_ctxt_switches:")?
                .trim()
                .parse::<u64>()
                .ok()
        })
    };
    service_tasks().filter_map(of_task).sum()
}

/// The time that the services' threads have run so far.
fn service_time() -> Duration {
    let of_task = |task: PathBuf| {
        let schedstat = std::fs::read_to_string(task.join("schedstat")).ok()?;
        schedstat.split(' ').next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(service_tasks().filter_map(of_task).sum())
}

fn service_tasks() -> impl Iterator<Item = PathBuf> {
    let tasks = std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    let is_service = |task: &PathBuf| {
        std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "vm-console")
    };
    tasks.map(|task| task.path()).filter(is_service)
}
