//! One exclusive serial client and a boot log, for virtual machine monitors.

pub mod log;

pub use crate::log::{
    Accounting, Boot, BootLog, Cursor, End, Excerpt, GapPolicy, LogConfig, LogError, LogImage,
    LogWriter, Mark, MarkKind, Read, Start, StreamFiles, StreamLimits, TimedLines, UnixTime,
};
