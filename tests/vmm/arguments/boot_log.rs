//! What is kept of the guest's output.

use std::path::PathBuf;

use clap::Args;
use vm_console::{LogConfig, StreamLimits};

use super::values::{bytes, number};

#[derive(Debug, Args)]
#[command(next_help_heading = "Boot log")]
pub(crate) struct LogArguments {
    /// Keep the boot log in this file, where it survives the VMM
    #[arg(long, value_name = "FILE", conflicts_with = "name")]
    pub(crate) log_file: Option<PathBuf>,

    /// How much of the newest output a new boot log keeps [default: 1048576]
    #[arg(long, value_name = "BYTES", value_parser = bytes, allow_negative_numbers = true)]
    pub(crate) log_size: Option<u64>,

    /// How much of the beginning of each boot a new boot log keeps [default: 65536]
    #[arg(long, value_name = "BYTES", value_parser = bytes, allow_negative_numbers = true)]
    pub(crate) log_head: Option<u64>,

    /// Of how many boots a new boot log keeps the beginning [default: 4]
    #[arg(long, value_name = "COUNT", value_parser = number::<u64>)]
    pub(crate) log_boots: Option<u64>,

    /// Keep the time of each line in the boot log
    #[arg(long)]
    pub(crate) line_times: bool,

    /// Clients have no access to the boot log
    #[arg(long)]
    pub(crate) no_boot_log: bool,

    /// Append the output to this file as text, with the time before each line
    #[arg(long, value_name = "FILE")]
    pub(crate) text_log: Option<PathBuf>,

    /// Put no times into the text log
    #[arg(long, requires = "text_log")]
    pub(crate) text_log_plain: bool,

    /// Begin a new text log after so many bytes; the full one becomes FILE.1 and so on
    #[arg(long, value_name = "BYTES", value_parser = bytes, requires = "text_log")]
    #[arg(allow_negative_numbers = true)]
    pub(crate) text_log_size: Option<u64>,

    /// How many full text logs are kept [default: 9]
    #[arg(long, value_name = "COUNT", value_parser = number::<u32>, requires = "text_log_size")]
    pub(crate) text_log_files: Option<u32>,
}

impl LogArguments {
    /// The sizes of a new boot log.
    pub(crate) fn sizes(&self) -> LogConfig {
        let default = LogConfig::default();
        LogConfig {
            tail: self.log_size.unwrap_or(default.tail),
            head: self.log_head.unwrap_or(default.head),
            boots: self.log_boots.unwrap_or(default.boots),
        }
    }

    /// When a text log is full, if it ever is.
    pub(crate) fn text_limits(&self) -> Option<StreamLimits> {
        let default = StreamLimits::default();
        self.text_log_size.map(|file_bytes| StreamLimits {
            file_bytes,
            full_files: self.text_log_files.unwrap_or(default.full_files),
        })
    }
}
