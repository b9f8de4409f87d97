//! A client's identity: the name that it gives, and the credentials that the kernel gives.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use super::Transport;
pub use super::printable::printable;

/// Longest name of a client, in bytes. A longer one is cut at a character border.
pub const NAME_LIMIT: usize = 128;

/// The process at the other end of a unix socket, as the kernel says (`SO_PEERCRED`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// Effective user id when it connected.
    pub uid: u32,
    /// Effective group id when it connected.
    pub gid: u32,
    /// Process id when it connected; 0 if its process id namespace is not visible from here.
    pub pid: u32,
}

impl Credentials {
    /// The process at the other end of `socket`, if the kernel says.
    pub(super) fn of_peer(socket: impl AsFd) -> Option<Self> {
        let peer = rustix::net::sockopt::socket_peercred(socket).ok()?;
        Some(Self {
            uid: peer.uid.as_raw(),
            gid: peer.gid.as_raw(),
            pid: rustix::process::Pid::as_raw(Some(peer.pid)).unsigned_abs(),
        })
    }
}

/// A client's identity, as others see it and as audit events record it.
///
/// The client chooses its name freely, while the credentials come from the kernel.
/// [`Display`](fmt::Display) shows both, so a false name cannot hide the credentials. The name is
/// printed on other people's terminals, so it has no control or invisible characters.
///
/// ```
/// use vm_console::session::{Credentials, Identity, Transport};
///
/// let credentials = Credentials { uid: 1000, gid: 1000, pid: 42 };
/// let who = Identity::new(Transport::Control, "ada\x1b[2J").with_credentials(credentials);
/// assert_eq!(who.to_string(), "ada?[2J (uid 1000, pid 42, control socket)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    name: String,
    credentials: Option<Credentials>,
    address: Option<SocketAddr>,
    transport: Transport,
}

impl Identity {
    /// The identity of a client of `transport` with this name, which may be empty, and without
    /// credentials.
    ///
    /// Control, format, invisible, private and unassigned characters become `?`. So does a
    /// combining mark after four others or at the start. Spaces of other widths become plain ones.
    /// A name of more than [`NAME_LIMIT`] bytes is cut.
    #[must_use]
    pub fn new(transport: Transport, name: &str) -> Self {
        Self {
            name: printable(name, NAME_LIMIT),
            credentials: None,
            address: None,
            transport,
        }
    }

    /// The same identity with these credentials.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// The same identity with the address that the client comes from.
    #[must_use]
    pub fn with_address(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// The client's name; empty if it gave none.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The client's credentials; `None` if its transport has none.
    #[must_use]
    pub fn credentials(&self) -> Option<Credentials> {
        self.credentials
    }

    /// The address that the client comes from, as the kernel says; `None` if its transport has no
    /// addresses. Another host may forge it.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The client's way to the console.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.transport
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            credentials,
            address,
            transport,
        } = self;
        let mut known = Vec::new();
        known.extend(credentials.map(|c| format!("uid {}", c.uid)));
        known.extend(address.map(|address| address.to_string()));
        known.extend(credentials.map(|c| format!("pid {}", c.pid)));
        known.push(transport.to_string());
        // Without a name, the first thing that is known stands in its place.
        let name = if name.is_empty() {
            known.remove(0)
        } else {
            name.clone()
        };
        f.write_str(&name)?;
        if known.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", known.join(", "))
    }
}
