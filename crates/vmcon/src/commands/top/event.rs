//! What the threads beside the drawing one find out.

use vm_console::BootLog;
use vm_console::instance::InstanceId;

use super::model::Newest;
use super::tile::{Answer, Entry};

#[derive(Debug)]
pub(super) enum Event {
    /// The directory was read.
    Listed(Listing),
    /// It cannot be read, for this reason.
    NotListed(String),
    /// A VMM was asked.
    Asked(Asked),
    /// A signal came.
    Signal(i32),
}

/// What is in the directory.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) entries: Vec<Listed>,
    /// How many entries are no instances.
    pub(super) damaged: usize,
}

#[derive(Debug)]
pub(super) struct Listed {
    pub(super) id: InstanceId,
    pub(super) entry: Entry,
    pub(super) log: Option<BootLog>,
    pub(super) control_socket: std::path::PathBuf,
}

/// What came of asking a VMM.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) id: InstanceId,
    pub(super) incarnation: u64,
    pub(super) answer: Answer,
    /// `None` if it was not asked for its output, or did not answer.
    pub(super) output: Option<AskedOutput>,
}

/// The output of a console without a log in a file.
#[derive(Debug)]
pub(super) struct AskedOutput {
    /// How many bytes it has ever printed.
    pub(super) head: u64,
    /// The newest of them, or why they cannot be read; `None` if they are known.
    pub(super) newest: Option<Result<Newest, String>>,
}
