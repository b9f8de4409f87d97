//! What runs in the machine.

use std::path::PathBuf;

use clap::Args;

use super::values::mib;
use crate::machine;

#[derive(Debug, Args)]
#[command(next_help_heading = "Guest")]
pub(crate) struct GuestArguments {
    /// Boot this bzImage instead; needs a host with hardware virtualisation
    #[arg(long, value_name = "FILE")]
    pub(crate) kernel: Option<PathBuf>,

    /// Initial RAM disk for the kernel
    #[arg(long, value_name = "FILE", requires = "kernel")]
    pub(crate) initrd: Option<PathBuf>,

    /// Command line for the kernel
    #[arg(long, value_name = "TEXT", requires = "kernel", default_value = machine::DEFAULT_CMDLINE)]
    pub(crate) cmdline: String,

    /// RAM of the machine
    #[arg(
        long,
        value_name = "MIB",
        default_value_t = 256,
        value_parser = mib,
        allow_negative_numbers = true
    )]
    pub(crate) memory: u64,

    /// Do as if there were no /dev/kvm; VM_SERIAL_NO_KVM=1 in the environment does the same
    #[arg(long)]
    pub(crate) no_kvm: bool,

    /// Let every access to the serial port exit, instead of fetching the guest's output from KVM's
    /// ring in bursts
    #[arg(long)]
    pub(crate) no_coalesce: bool,
}

impl GuestArguments {
    /// True if KVM must not be used even if it is there.
    pub(crate) fn as_if_without_kvm(&self) -> bool {
        self.no_kvm
            || std::env::var_os("VM_SERIAL_NO_KVM")
                .is_some_and(|value| !value.is_empty() && value != "0")
    }
}
