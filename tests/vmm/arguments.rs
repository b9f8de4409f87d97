//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

use vm_console::session::Transport;

use crate::exit;
use crate::machine;
use crate::sandbox::{Confined, Violation};

/// A small virtual machine whose serial port is our 16550A, with one exclusive console client and a
/// boot log.
///
/// Without arguments it runs a tiny real-mode guest; your terminal is the console's first client.
/// Where there is no /dev/kvm, a scripted guest takes its place. Enter ~ . leaves the console,
/// Enter ~ ? lists the other keys.
#[derive(Debug, Parser)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
#[command(name = "vmm", version, after_help = exit::CODES)]
pub(crate) struct Arguments {
    /// Unix socket of the console, raw bytes: socat -,raw,echo=0 UNIX:PATH
    ///
    /// By default a new name in $XDG_RUNTIME_DIR, or else in the directory for temporary files.
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,

    /// Unix socket for programs: attach with force, log, status, break
    #[arg(long, value_name = "PATH")]
    pub(crate) control_socket: Option<PathBuf>,

    /// Pseudo-terminal of the console, reached through this symlink: picocom --noreset PATH
    #[arg(long, value_name = "PATH")]
    pub(crate) pty: Option<PathBuf>,
    /// Serve the console over TCP too. Whoever reaches the address has the console: there is no
    /// password and no encryption
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) tcp: Option<SocketAddr>,

    /// Connect the console to this address, and again whenever the connection is lost
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) tcp_connect: Option<SocketAddr>,

    /// Keep the boot log in this file, where it survives the VMM
    #[arg(long, value_name = "FILE")]
    pub(crate) log_file: Option<PathBuf>,

    /// Append the output to this file as text, with the time before each line
    #[arg(long, value_name = "FILE")]
    pub(crate) text_log: Option<PathBuf>,

    /// How much of the newest output a new boot log keeps [default: 1048576]
    #[arg(long, value_name = "BYTES", value_parser = bytes, allow_negative_numbers = true)]
    pub(crate) log_size: Option<u64>,

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

    /// End the machine when standard input leaves the console (Enter ~ . or end of file)
    #[arg(long)]
    pub(crate) exit_on_leave: bool,

    /// Standard input and output are not a client of the console
    #[arg(long, conflicts_with = "exit_on_leave")]
    pub(crate) detached: bool,

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

fn bytes(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "not a whole number of bytes")
}

fn mib(text: &str) -> Result<u64, String> {
    text.parse()
        .ok()
        .filter(|mib| (1..=machine::MAX_MIB).contains(mib))
        .ok_or_else(|| format!("not a whole number from 1 to {}", machine::MAX_MIB))
}

impl Arguments {
    /// Parses the process's arguments; what is wrong with them is told in one line.
    pub(crate) fn parse_line() -> Result<Self, String> {
        Self::try_parse().map_err(|e| {
            if !e.use_stderr() {
                e.exit(); // help and version
            }
            // The first paragraph says what is wrong; usage and hints follow it.
            let text = e.to_string();
            let cause: Vec<_> = text
                .lines()
                .map(str::trim)
                .take_while(|line| !line.is_empty())
                .collect();
            let cause = cause.join(" ");
            let cause = cause.trim_start_matches("error: ");
            format!("{cause}; --help lists what can be given")
        })
    }

    /// True if KVM must not be used even if it is there.
    pub(crate) fn as_if_without_kvm(&self) -> bool {
        self.no_kvm
            || std::env::var_os("VM_SERIAL_NO_KVM")
                .is_some_and(|value| !value.is_empty() && value != "0")
    }

    /// The ways in which clients can reach the console.
    pub(crate) fn transports(&self) -> Vec<Transport> {
        let ways = [
            (Transport::Unix, true),
            (Transport::Control, self.control_socket.is_some()),
            (Transport::Passed, self.control_socket.is_some()),
            (Transport::Pty, self.pty.is_some()),
            (Transport::Stdio, !self.detached),
            (
                Transport::Tcp,
                self.tcp.is_some() || self.tcp_connect.is_some(),
            ),
        ];
        ways.into_iter()
            .filter(|way| way.1)
            .map(|way| way.0)
            .collect()
    }

    /// Where the console listens.
    pub(crate) fn socket_path(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| {
            std::env::var_os("XDG_RUNTIME_DIR")
                .map(PathBuf::from)
                .filter(|directory| directory.is_dir())
                .unwrap_or_else(std::env::temp_dir)
                .join(format!("vm-serial-{}", std::process::id()))
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        super::Arguments::command().debug_assert();
    }
}
