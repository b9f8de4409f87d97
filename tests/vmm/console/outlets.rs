//! The sockets and files of the console, opened before anything else, so that a bad path is known at
//! once.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use vm_console::text_log::TextLog;
use vm_console::transport::Listener;
use vm_console::transport::pty::Pty;
use vm_console::transport::tcp::{TcpConnector, TcpSocket};
use vm_console::transport::unix::{BindOptions, Peers, UnixSocket};

use super::audit::AuditFile;
use crate::arguments::{Arguments, LogArguments, SocketArguments};
use crate::messages::say;
use crate::refusal;

/// The sockets' files go with them.
pub(crate) struct Outlets {
    pub(super) listeners: Vec<Listener>,
    pub(super) text_log: Option<TextLog>,
    pub(super) audit: Option<AuditFile>,
    pub(super) socket: PathBuf,
}

impl Outlets {
    pub(crate) fn open(arguments: &Arguments) -> Result<Self, String> {
        let sockets = &arguments.sockets;
        let socket = sockets.raw_path();
        let mut listeners = unix_listeners(sockets, &socket)?;
        if let Some(link) = &sockets.pty {
            // Its error names the link.
            let pty = Pty::open(link).map_err(|e| format!("--pty: {e}"))?;
            listeners.push(Listener::pty(pty));
        }
        if let Some(address) = sockets.tcp {
            // The error names the address, the step and the reason.
            let socket = TcpSocket::bind(address)
                .map_err(|e| format!("--tcp {e}; choose another address"))?;
            say(format_args!(
                "console: socat -,raw,echo=0 TCP:{}",
                socket.address()
            ));
            listeners.push(Listener::tcp(socket));
        }
        if let Some(address) = sockets.tcp_connect {
            let connector =
                TcpConnector::new(address).map_err(|e| format!("--tcp-connect: {e}"))?;
            listeners.push(Listener::connecting(connector));
        }
        if arguments.flow.newline_as_return {
            listeners = listeners
                .into_iter()
                .map(Listener::newline_as_return)
                .collect();
        }
        Ok(Self {
            listeners,
            text_log: text_log(&arguments.log)?,
            audit: AuditFile::open(arguments.machine.audit.as_deref())?,
            socket,
        })
    }

    /// One more way in.
    pub(crate) fn serve(&mut self, listener: Listener) {
        self.listeners.push(listener);
    }
}

fn unix_listeners(arguments: &SocketArguments, raw: &Path) -> Result<Vec<Listener>, String> {
    type Make = fn(UnixSocket) -> Listener;
    let wanted: [(&str, Option<&Path>, Make); 4] = [
        ("--socket", Some(raw), Listener::raw),
        (
            "--forcing-socket",
            arguments.forcing_socket.as_deref(),
            Listener::raw_forcing,
        ),
        (
            "--observer-socket",
            arguments.observer_socket.as_deref(),
            Listener::observers,
        ),
        (
            "--control-socket",
            arguments.control_socket.as_deref(),
            Listener::control,
        ),
    ];
    let mut taken = BTreeMap::new();
    let mut listeners = Vec::new();
    for (option, path, make) in wanted {
        let Some(path) = path else { continue };
        if let Some(first) = taken.insert(path, option) {
            let wrong = format_args!("this is the {first}");
            return Err(refusal::of(option, path, wrong, "choose another path"));
        }
        let socket = bind(arguments, path).map_err(|e| refusal::socket(option, path, &e))?;
        listeners.push(make(socket));
    }
    Ok(listeners)
}

fn bind(
    arguments: &SocketArguments,
    path: &Path,
) -> Result<UnixSocket, vm_console::transport::unix::BindError> {
    let peers = (!arguments.peers.is_empty()).then(|| Peers::Uids(arguments.peers.clone()));
    if let Some(name) = path.as_os_str().as_bytes().strip_prefix(b"@") {
        let socket = UnixSocket::bind_abstract(name)?;
        return Ok(match peers {
            None => socket,
            Some(peers) => socket.with_peers(peers),
        });
    }
    let default = BindOptions::default();
    let options = BindOptions {
        mode: arguments.socket_mode.unwrap_or(default.mode),
        peers: peers.unwrap_or(default.peers),
        owner: None,
    };
    options.bind(path)
}

fn text_log(arguments: &LogArguments) -> Result<Option<TextLog>, String> {
    let Some(path) = &arguments.text_log else {
        return Ok(None);
    };
    let opened = match arguments.text_limits() {
        None => TextLog::append_to(path),
        Some(limits) => TextLog::rotating(path, limits),
    };
    let text_log = opened.map_err(|e| refusal::text_log(path, &e))?;
    Ok(Some(if arguments.text_log_plain {
        text_log
    } else {
        text_log.with_times()
    }))
}
