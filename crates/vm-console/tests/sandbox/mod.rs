//! What `tests/sandbox_measured.rs` runs under `strace`, and how it reads that.
#![allow(unreachable_pub, reason = "a module of a test binary")]

pub mod client;
pub mod ends;
pub mod guest;
pub mod plays;
pub mod scenario;
pub mod stage;
pub mod strace;
