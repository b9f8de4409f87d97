//! The machine as this host sees it.

use std::path::PathBuf;

use clap::Args;
use vm_console::instance::{Description, Directory, InstanceId};

use super::values::{instance_id, label, number};
use crate::sandbox::{Confined, Violation};

#[derive(Debug, Args)]
#[command(next_help_heading = "Machine")]
pub(crate) struct MachineArguments {
    /// Publish the machine under this id among the consoles of this host, with its boot log
    #[arg(long, value_name = "ID", value_parser = instance_id)]
    pub(crate) name: Option<InstanceId>,

    /// Where these are found [default: $VMCON_DIR, or else /run/vm-console]
    #[arg(long, value_name = "DIRECTORY", requires = "name")]
    pub(crate) dir: Option<PathBuf>,

    /// The group whose members may use the machine's entry there
    #[arg(long, value_name = "GID", value_parser = number::<u32>, requires = "name")]
    pub(crate) operators: Option<u32>,

    /// A name for people
    #[arg(long, value_name = "TEXT", requires = "name")]
    pub(crate) title: Option<String>,

    /// Whose machine it is
    #[arg(long, value_name = "TEXT", requires = "name")]
    pub(crate) tenant: Option<String>,

    /// The scale set, or another group, that it belongs to
    #[arg(long, value_name = "TEXT", requires = "name")]
    pub(crate) group: Option<String>,

    /// Its number in that group
    #[arg(long, value_name = "NUMBER", value_parser = number::<u64>, requires = "group")]
    pub(crate) index: Option<u64>,

    /// Something else to be known about it; may be given more than once
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label, requires = "name")]
    pub(crate) labels: Vec<(String, String)>,

    /// The machine is off until somebody starts it over the control socket
    #[arg(long)]
    pub(crate) starts_off: bool,

    /// When the guest switches the machine off, wait for somebody who starts it again
    #[arg(long)]
    pub(crate) stays: bool,

    /// End the machine when standard input leaves the console (Enter ~ . or end of file)
    #[arg(long)]
    pub(crate) exit_on_leave: bool,

    /// Append to this file who attached, was refused and left, as lines of JSON; - for standard error
    #[arg(long, value_name = "FILE")]
    pub(crate) audit: Option<PathBuf>,

    /// Let the threads of the console and of the guest make no system calls but those they need
    #[arg(long, value_name = "ACTION", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "trap")]
    pub(crate) sandbox: Option<Violation>,

    /// Open a TCP socket on this thread, to show that the sandbox refuses it
    #[arg(long, value_name = "THREAD", hide = true)]
    pub(crate) trespass: Option<Confined>,

    /// Panic after so many milliseconds, to show that the terminal survives it
    #[arg(long, value_name = "MS", hide = true)]
    pub(crate) panic_after: Option<u64>,
}

impl MachineArguments {
    /// Where the consoles of this host are found.
    pub(crate) fn directory(&self) -> Directory {
        self.dir
            .clone()
            .map_or_else(Directory::from_env, Directory::new)
    }

    /// What is told about the machine there.
    pub(crate) fn description(&self) -> Description {
        Description {
            name: self.title.clone(),
            tenant: self.tenant.clone(),
            group: self.group.clone(),
            index: self.index,
            labels: self.labels.iter().cloned().collect(),
            ..Description::default()
        }
    }
}
