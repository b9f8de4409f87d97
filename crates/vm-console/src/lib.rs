//! One exclusive serial client and a boot log, for virtual machine monitors.

pub mod audit;
pub mod client;
mod console;
mod counters;
pub mod escape;
mod line;
pub mod log;
mod port;
pub mod protocol;
mod rate;
pub mod replay_guard;
pub mod service;
pub mod session;
pub mod transport;
mod when;

pub use crate::log::{
    Accounting, Boot, BootLog, Cursor, End, Excerpt, GapPolicy, LogConfig, LogError, LogImage,
    LogWriter, Mark, MarkKind, Read, Start, StreamFiles, StreamLimits, TimedLines, UnixTime,
};
pub use console::{Console, ConsoleConfig, PowerControl};
pub use counters::CounterValues;
pub use line::{ConsoleLine, INPUT_LIMIT, Input};
pub use port::GuestPort;
pub use rate::RateLimit;
