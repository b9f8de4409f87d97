//! The cost of a whole host's serial consoles: 1,000 guests that print 10 kB a second each, each of
//! them watched.
//!
//! | figure | measured (row) | arithmetic |
//! |---|---|---|
//! | vCPU time in device and log | nanoseconds a byte (`log-1`) | × bytes a second of all guests |
//! | vCPU time for a byte in all, exits included | bytes/s of one guest that does nothing else (`kvm-16`) | bytes a second of all guests / that |
//! | service thread | cores at this very load: 1,000 consoles, a client each, 10 kB/s each (`chatty-1000`) | none |
//! | memory beside the logs | KiB a console (`memory-1000`) | × 1,000 |
//! | memory of the logs | none | newest 1 MiB and the heads of 4 boots of 64 KiB, once they are full; untouched pages cost nothing |
//! | idle wakeups | wakeups a second (`idle-1000`) | none |
//!
//! The cost of an exit is that of this machine's KVM. A host with hardware virtualisation pays a
//! fraction of it, for ours and for the peer alike, so the *ratio* holds there too and the number
//! of cores does not. Guests rarely print 10 kB/s, except while they boot.
//!
//! From the rows of the last committed run:
//!
//! ```
//! use vm_serial_bench::cloud::{Host, Load};
//! use vm_serial_bench::measure::Measured;
//!
//! let rows: Vec<Measured> = serde_json::from_str(include_str!("../rows.json"))?;
//! let load = Load { guests: 1000.0, bytes_per_second: 10_000.0 };
//! let host = Host::from_rows(&rows, load).expect("the rows it needs");
//! println!("{host}");
//! assert!(host.service_cores < 1.0 && host.device_cores < 1.0);
//! assert!(host.exit_cores < host.peer_exit_cores);
//! # Ok::<(), serde_json::Error>(())
//! ```

use std::fmt;

use vm_console::LogConfig;

use crate::measure::Measured;

/// The output of a host's guests.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The number of guests.
    pub guests: f64,
    /// Bytes that each of them prints in a second.
    pub bytes_per_second: f64,
}

/// The cost of that load on the host.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// The load.
    pub load: Load,
    /// Cores spent in device and log, on the vCPUs' threads.
    pub device_cores: f64,
    /// Cores spent on the vCPUs' threads in all, exits included, at this machine's cost of an exit.
    pub exit_cores: f64,
    /// The same with vm-superio.
    pub peer_exit_cores: f64,
    /// Cores of the service's thread: measured at 1,000 guests with 10 kB/s, and taken as
    /// proportional to the number of bytes.
    pub service_cores: f64,
    /// MiB of consoles, ports and listeners.
    pub console_mib: f64,
    /// MiB of logs, all full.
    pub log_mib: f64,
    /// Wakeups a second when nobody prints.
    pub idle_wakeups: f64,
}

impl Host {
    /// Computes it; `None` if a row is missing or was skipped.
    #[must_use]
    pub fn from_rows(rows: &[Measured], load: Load) -> Option<Self> {
        let row = |name: &str| rows.iter().find(|row| row.row == name);
        let ours = |name: &str| row(name)?.ours;
        let bytes = load.guests * load.bytes_per_second;
        let log = LogConfig::default();
        #[expect(clippy::cast_precision_loss, reason = "a megabyte")]
        let log_bytes = (log.tail + log.head * log.boots) as f64;
        Some(Self {
            load,
            device_cores: bytes * ours("log-1")? * 1e-9,
            exit_cores: bytes / ours("kvm-16")?,
            peer_exit_cores: bytes / row("kvm-16")?.peer?,
            service_cores: ours("chatty-1000")? * bytes / 10e6,
            console_mib: ours("memory-1000")? * load.guests / 1024.0,
            log_mib: log_bytes * load.guests / f64::from(1 << 20),
            idle_wakeups: ours("idle-1000")? * load.guests / 1000.0,
        })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Load {
            guests,
            bytes_per_second,
        } = self.load;
        writeln!(
            f,
            "a host with {guests} guests that print {bytes_per_second} bytes/s each, a client on each console:"
        )?;
        writeln!(
            f,
            "  vCPU threads   {:.2} cores in device and log; {:.1} with exits as they are here, {:.1} with vm-superio",
            self.device_cores, self.exit_cores, self.peer_exit_cores
        )?;
        writeln!(
            f,
            "  service        {:.2} cores, one thread; {} wakeups/s when nobody prints",
            self.service_cores, self.idle_wakeups
        )?;
        write!(
            f,
            "  memory         {:.0} MiB of consoles, and {:.0} MiB of logs once all are full",
            self.console_mib, self.log_mib
        )
    }
}
