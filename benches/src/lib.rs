//! Measurements of the serial port and its console, with peers beside them in the same run.
//!
//! `cargo run --release -p vm-serial-bench -- [--json FILE] [--plot FILE] [ROW…]` measures;
//! `--list` names the rows.
//!
//! A row is measured in passes. Each pass measures ours and then the peer, so that a noisy
//! neighbour disturbs both alike. The figures are medians over the passes, and the ratio is the
//! median of the passes' ratios.

pub mod cloud;
pub mod honest;
pub mod host;
pub mod hostile;
pub mod measure;
pub mod peers;
pub mod plot;
pub mod report;
pub mod rows;
