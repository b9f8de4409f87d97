//! Many consoles on one thread.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use vm_console::service::{Service, ServiceHandle};
use vm_console::transport::Listener;
use vm_console::transport::stdio::FdClient;
use vm_console::transport::unix::UnixSocket;
use vm_console::{BootLog, Console, ConsoleLine, LogConfig, LogWriter};
use vm_uart::SerialPort;

use super::heavy::resident_kib;
use super::lock;
use crate::measure::{Bar, Pass, Passes, Row, Skipped};
use crate::rigs::unlimited;

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
                what: concat!($name, " consoles, each with a client, printing in turn"),
                peer: "",
                unit: "bytes/s",
                bar: Bar::None,
                prepare: || Ok(Box::new(|| throughput($count))),
            }
        };
    }
    vec![
        idle!("1", 1, Bar::AtMost(0.0)),
        idle!("1000", 1000, Bar::AtMost(0.0)),
        idle!("5000", 5000, Bar::AtMost(0.0)),
        memory!("100", 100, Bar::None),
        memory!("1000", 1000, Bar::AtMost(8.0)),
        memory!("5000", 5000, Bar::None),
        throughput!("1", 1),
        throughput!("10", 10),
        throughput!("100", 100),
        throughput!("1000", 1000),
    ]
}

type Port = Arc<Mutex<SerialPort<(), ConsoleLine>>>;

struct Consoles {
    ports: Vec<Port>,
    clients: Vec<UnixStream>,
    service: ServiceHandle,
    thread: Option<std::thread::JoinHandle<()>>,
    directory: tempfile::TempDir,
}

fn skipped(error: impl std::fmt::Display) -> Skipped {
    Skipped(error.to_string())
}

fn logs(count: usize) -> Result<Vec<LogWriter>, Skipped> {
    (0..count)
        .map(|_| Ok(BootLog::in_memory(LogConfig::default()).map_err(skipped)?.0))
        .collect()
}

impl Consoles {
    /// One listener each, and a client each if asked.
    fn new(logs: Vec<LogWriter>, with_clients: bool) -> Result<Self, Skipped> {
        let directory = tempfile::tempdir().map_err(skipped)?;
        let (service, thread) = Service::spawn().map_err(skipped)?;
        let mut consoles = Self {
            ports: Vec::new(),
            clients: Vec::new(),
            service,
            thread: Some(thread),
            directory,
        };
        for (n, writer) in logs.into_iter().enumerate() {
            let (line, console) = Console::new(unlimited("vm"), writer).map_err(skipped)?;
            let port = Arc::new(Mutex::new(SerialPort::new((), line)));
            let listeners = if with_clients {
                Vec::new()
            } else {
                let path = consoles.directory.path().join(n.to_string());
                vec![Listener::raw(UnixSocket::bind(path).map_err(skipped)?)]
            };
            let handle = consoles.service.add(console, port.clone(), listeners);
            if with_clients {
                let (ours, theirs) = UnixStream::pair().map_err(skipped)?;
                drop(handle.attach(FdClient::from_socket(ours.into())));
                theirs.set_nonblocking(true).map_err(skipped)?;
                consoles.clients.push(theirs);
            }
            handle.status(Duration::from_mins(1)).map_err(skipped)?;
            consoles.ports.push(port);
        }
        Ok(consoles)
    }
}

impl Drop for Consoles {
    fn drop(&mut self) {
        self.service.shut_down();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
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

/// Measured in a process of its own: here, what an earlier row freed would be used again and not be seen.
fn memory_each(count: usize) -> Result<Pass, Skipped> {
    let output = std::process::Command::new(std::env::current_exe().map_err(skipped)?)
        .args(["--memory-of", &count.to_string()])
        .output()
        .map_err(skipped)?;
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

/// Resident memory in KiB that comes with each of `count` consoles, its port and its listener, once the logs stand.
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

fn throughput(count: usize) -> Result<Pass, Skipped> {
    const CHUNK: usize = 256;
    let total = 64 << 20;
    let rounds = total / CHUNK / count;
    let mut consoles = Consoles::new(logs(count)?, true)?;
    let ports = std::mem::take(&mut consoles.ports);
    let mut clients = std::mem::take(&mut consoles.clients);
    let mut got = vec![0u64; count];
    let start = Instant::now();
    let writer = std::thread::spawn(move || {
        for _ in 0..rounds {
            for port in &ports {
                lock(port).write_string(0, &[b'x'; CHUNK]);
            }
        }
        ports
    });
    let mut buffer = vec![0; 1 << 16];
    while !writer.is_finished() {
        for (client, got) in clients.iter_mut().zip(&mut got) {
            if let Ok(n) = client.read(&mut buffer) {
                *got += n as u64;
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    drop(writer.join());
    let (least, most) = (
        got.iter().min().copied().unwrap_or(0),
        got.iter().max().copied().unwrap_or(0),
    );
    let delivered: u64 = got.iter().sum();
    #[expect(clippy::cast_precision_loss, reason = "bytes far below 2^52")]
    let detail = format!(
        "{:.0} % delivered when the guests stopped; the client with least got {:.2} of the one with most",
        delivered as f64 * 100.0 / (rounds * CHUNK * count) as f64,
        least as f64 / most.max(1) as f64
    );
    #[expect(clippy::cast_precision_loss, reason = "bytes far below 2^52")]
    let rate = (rounds * CHUNK * count) as f64 / seconds;
    Ok(Pass {
        ours: rate,
        peer: None,
        detail: Some(detail),
    })
}

/// How often the service's thread has gone to sleep so far.
pub(super) fn service_switches() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    tasks
        .filter(|task| {
            std::fs::read_to_string(task.path().join("comm"))
                .is_ok_and(|name| name.trim() == "vm-console")
        })
        .filter_map(|task| {
            let status = std::fs::read_to_string(task.path().join("status")).ok()?;
            status.lines().find_map(|line| {
                line.strip_prefix("voluntary_ctxt_switches:")?
                    .trim()
                    .parse::<u64>()
                    .ok()
            })
        })
        .sum()
}
