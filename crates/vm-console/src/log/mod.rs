//! The boot log: bounded, with absolute offsets, readable by many, never in the guest's way.

mod config;
mod cursor;
mod error;
mod image;
mod layout;
mod marks;
mod memory;
#[cfg(test)]
mod model;
mod protocol;
mod reader;
mod storage;
mod stream_files;
mod time;
mod timed_lines;
mod writer;

pub use config::LogConfig;
pub use cursor::{Cursor, End, GapPolicy, Read, Start};
pub use error::LogError;
pub use image::LogImage;
pub use marks::{Mark, MarkKind};
pub use reader::{Accounting, Boot, BootLog, Excerpt};
pub use stream_files::{StreamFiles, StreamLimits};
pub use time::UnixTime;
pub use timed_lines::TimedLines;
pub use writer::LogWriter;
