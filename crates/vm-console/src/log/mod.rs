//! The boot log: bounded, with absolute offsets, readable by many, never in the guest's way.

mod config;
mod cursor;
mod error;
mod layout;
mod marks;
mod memory;
mod protocol;
mod reader;
mod storage;
mod time;
mod writer;

pub use config::LogConfig;
pub use cursor::{Cursor, End, GapPolicy, Read, Start};
pub use error::LogError;
pub use marks::{Mark, MarkKind};
pub use reader::{Accounting, Boot, BootLog, Excerpt};
pub use time::UnixTime;
pub use writer::LogWriter;
