//! The ways to the console.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use vm_console::session::Transport;

use super::values::{number, octal_mode};

#[derive(Debug, Args)]
#[command(next_help_heading = "Console sockets")]
pub(crate) struct SocketArguments {
    /// Unix socket of the console, raw bytes: socat -,raw,echo=0 UNIX:PATH
    ///
    /// By default a new name in $XDG_RUNTIME_DIR, or else in the directory for temporary files. A
    /// PATH that begins with @ is an abstract address: ABSTRACT-CONNECT:NAME to socat.
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,

    /// Unix socket, raw bytes, whose clients take the console by force
    #[arg(long, value_name = "PATH")]
    pub(crate) forcing_socket: Option<PathBuf>,

    /// Unix socket, raw bytes, whose clients only watch
    #[arg(long, value_name = "PATH")]
    pub(crate) observer_socket: Option<PathBuf>,

    /// Unix socket for programs: attach with force, log, status, break, power
    #[arg(long, value_name = "PATH")]
    pub(crate) control_socket: Option<PathBuf>,

    /// Permission bits of these sockets [default: 600]
    #[arg(long, value_name = "OCTAL", value_parser = octal_mode)]
    pub(crate) socket_mode: Option<u32>,

    /// Users that may connect to these sockets [default: all that the mode lets in]
    #[arg(long, value_name = "UID,...", value_parser = number::<u32>, value_delimiter = ',')]
    pub(crate) peers: Vec<u32>,

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

    /// Standard input and output are not a client of the console
    #[arg(long, conflicts_with = "exit_on_leave")]
    pub(crate) detached: bool,

    /// Standard input and output only watch
    #[arg(long, conflicts_with = "detached")]
    pub(crate) read_only: bool,
}

impl SocketArguments {
    /// The ways in which clients can reach the console. `named` if it has an entry among the
    /// consoles of this host.
    pub(crate) fn transports(&self, named: bool) -> Vec<Transport> {
        let control = named || self.control_socket.is_some();
        let tcp = self.tcp.is_some() || self.tcp_connect.is_some();
        let ways = [
            (Transport::Unix, true),
            (Transport::Control, control),
            (Transport::Passed, control),
            (Transport::Pty, self.pty.is_some()),
            (Transport::Stdio, !self.detached),
            (Transport::Tcp, tcp),
        ];
        ways.into_iter()
            .filter(|way| way.1)
            .map(|way| way.0)
            .collect()
    }

    /// Where the console listens for raw clients.
    pub(crate) fn raw_path(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| {
            std::env::var_os("XDG_RUNTIME_DIR")
                .map(PathBuf::from)
                .filter(|directory| directory.is_dir())
                .unwrap_or_else(std::env::temp_dir)
                .join(format!("vm-serial-{}", std::process::id()))
        })
    }
}
