//! Who a client is: the name it goes by, and what the kernel vouches for.

use std::fmt;

use super::Transport;
pub(crate) use super::printable::printable;

/// Longest name kept, in bytes. A longer one is cut at a character border.
pub const NAME_LIMIT: usize = 128;

/// What the kernel says about the process at the other end of a unix socket (`SO_PEERCRED`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// Effective user id when it connected.
    pub uid: u32,
    /// Effective group id when it connected.
    pub gid: u32,
    /// Process id when it connected; 0 if the process is in a namespace we cannot see.
    pub pid: u32,
}

/// Who a client is, as shown to others and as recorded for audit.
///
/// The name is a claim; the credentials are a fact. [`Display`](fmt::Display) shows both, so that a
/// claim never hides a fact. The name is printed on other people's terminals, so it holds no
/// control character and nothing invisible.
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
    transport: Transport,
}

impl Identity {
    /// A client of `transport` that goes by `name`, which may be empty.
    ///
    /// Control, format, invisible, private and unassigned characters become `?`, and so does a
    /// combining mark after four others; spaces of other widths become plain ones. What is longer
    /// than [`NAME_LIMIT`] bytes is cut.
    #[must_use]
    pub fn new(transport: Transport, name: &str) -> Self {
        Self {
            name: printable(name, NAME_LIMIT),
            credentials: None,
            transport,
        }
    }

    /// The same client, vouched for by the kernel.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// The name it goes by; empty if it gave none.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the kernel says about it, where the transport can tell.
    #[must_use]
    pub fn credentials(&self) -> Option<Credentials> {
        self.credentials
    }

    /// How it reached the console.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.transport
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name.as_str(), self.credentials) {
            ("", None) => write!(f, "{}", self.transport),
            ("", Some(c)) => write!(f, "uid {} (pid {}, {})", c.uid, c.pid, self.transport),
            (name, None) => write!(f, "{name} ({})", self.transport),
            (name, Some(c)) => write!(
                f,
                "{name} (uid {}, pid {}, {})",
                c.uid, c.pid, self.transport
            ),
        }
    }
}
