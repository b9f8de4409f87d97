//! Clients that do to a service whatever must not stop it, each again and again.
//!
//! They run at the lowest priority: it is the service's time that they shall take, not that of the
//! honest clients on the same processor.

use std::io::{self, Read};
use std::num::NonZeroU32;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::setpriority_process;
use serde::{Deserialize, Serialize};
use vm_console::transport::Listener;
use vm_console::{BootLog, LogConfig, RateLimit};
use vm_serial_tests::background::Background;
use vm_uart::registers::{LSR, Lsr, RBR, THR};

use crate::host::{Host, SharedPort, lock, unlimited};
use crate::measure::Skipped;

mod deeds;
mod descriptors;

use deeds::{Deed, Doors};

/// Consoles that hostile clients have to themselves.
const CONSOLES: usize = 8;
/// A log that takes long to search.
const LARGE: u64 = 8 << 20;

/// The clients at work, in a process of their own: what they do to their memory and to their locks
/// shall not be taken for the service's. They stop when this is dropped.
pub struct Hostile {
    process: Child,
    _guests: Background<()>,
}

/// What the clients have done.
#[derive(Debug, Deserialize, Serialize)]
pub struct Deeds {
    /// How many clients there are.
    pub clients: usize,
    /// How many deeds they have done, all together.
    pub done: u64,
    /// Clients that have done nothing, so that nothing is said about them.
    pub idle: Vec<String>,
}

/// The consoles against which they turn.
pub struct Victims {
    ports: Vec<SharedPort<()>>,
}

impl Victims {
    /// Serves them on `host`, each with a full log and every kind of listener.
    ///
    /// # Errors
    ///
    /// If memory or descriptors are exhausted.
    pub fn new(host: &Host) -> Result<Self, Skipped> {
        let mut victims = Self { ports: Vec::new() };
        for n in 0..CONSOLES {
            let mut config = unlimited("victim");
            // What a service does by default, and where clients wait longest.
            config.notices = true;
            if n % 2 == 1 {
                config.rate_limit = Some(RateLimit {
                    bytes_per_second: NonZeroU32::new(20_000_000).unwrap_or(NonZeroU32::MAX),
                    burst: NonZeroU32::new(20_000).unwrap_or(NonZeroU32::MAX),
                });
            }
            let sizes = LogConfig {
                tail: if n == 0 {
                    LARGE
                } else {
                    LogConfig::default().tail
                },
                head: 0,
                ..LogConfig::default()
            };
            let (log, _) = BootLog::in_memory(sizes)?;
            let listeners = vec![
                Listener::raw(host.bind(&Doors::name(n, "raw"))?),
                Listener::raw_forcing(host.bind(&Doors::name(n, "force"))?),
                Listener::observers(host.bind(&Doors::name(n, "watch"))?),
                Listener::control(host.bind(&Doors::name(n, "control"))?),
            ];
            let (_, port) = host.serve_as(config, (), log, listeners)?;
            // Without a newline: every search goes through all of it.
            lock(&port).write_string(THR, &vec![b'x'; sizes.tail as usize]);
            victims.ports.push(port);
        }
        Ok(victims)
    }

    /// Lets all hostile clients loose.
    ///
    /// # Errors
    ///
    /// If no process can be started.
    pub fn attacked(&self, host: &Host) -> Result<Hostile, Skipped> {
        let process = Command::new(std::env::current_exe()?)
            .arg("--attack")
            .arg(host.path(""))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let ports = self.ports.clone();
        Ok(Hostile {
            process,
            _guests: Background::start(move |stop| {
                while !stop.load(Ordering::Relaxed) {
                    for port in &ports {
                        play_guest(port);
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
            }),
        })
    }
}

impl Hostile {
    /// Stops them.
    ///
    /// # Errors
    ///
    /// If one of them has done nothing.
    pub fn stop(mut self) -> Result<Deeds, Skipped> {
        drop(self.process.stdin.take());
        let mut deeds = String::new();
        if let Some(mut out) = self.process.stdout.take() {
            out.read_to_string(&mut deeds)?;
        }
        let deeds: Deeds = serde_json::from_str(&deeds)?;
        match deeds.idle.first() {
            Some(idle) => Err(Skipped(format!("a hostile client did nothing: {idle}"))),
            None => Ok(deeds),
        }
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        // It ends by itself once its input is closed, unless something is wrong with it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// All hostile clients at once, against the sockets in `directory`, until `end` is at its end. They
/// go on until the process ends: waiting for each at its low priority could take long.
///
/// # Errors
///
/// Those of `end`.
pub fn attack(directory: &Path, end: &mut impl Read) -> io::Result<Deeds> {
    yield_to_others();
    let doors: Vec<_> = (0..CONSOLES).map(|n| Doors::new(directory, n)).collect();
    let all = deeds::all(&doors).into_iter();
    let clients: Vec<_> = all
        .map(|Deed { name, mut act }| {
            let done = Arc::new(AtomicU64::new(0));
            let counted = Arc::clone(&done);
            std::thread::spawn(move || {
                loop {
                    // Most are disconnected for it sooner or later, and come again.
                    let is_done = act().is_ok();
                    counted.fetch_add(u64::from(is_done), Ordering::Relaxed);
                }
            });
            (name, done)
        })
        .collect();
    end.read_to_end(&mut Vec::new())?;
    let done = |done: &AtomicU64| done.load(Ordering::Relaxed);
    let idle = clients.iter().filter(|(_, count)| done(count) == 0);
    Ok(Deeds {
        clients: clients.len(),
        done: clients.iter().map(|(_, count)| done(count)).sum(),
        idle: idle.map(|(name, _)| (*name).to_owned()).collect(),
    })
}

fn yield_to_others() {
    // Of this thread and of those that it starts. If it is refused, the honest clients look worse.
    let _ = setpriority_process(None, 19);
}

/// The guest prints without regard for anybody, and takes what was typed.
fn play_guest(port: &SharedPort<()>) {
    let mut port = lock(port);
    port.write_string(THR, &[b'y'; 256]);
    while port.read(LSR) & Lsr::DATA_READY.bits() != 0 {
        port.read(RBR);
    }
}
