//! System calls and file rights, to write a sandbox from.
//!
//! This is data, not a filter: a VMM has a filter already, and adds these names to it. A test runs
//! each transport and each way a session can end under `strace`, and compares what it sees with
//! [`SYSTEM_CALLS`].
//!
//! ```
//! use vm_console::sandbox::{Thread, system_calls};
//! use vm_console::session::Transport;
//!
//! // For the filter of the service's thread in a VMM whose consoles have raw and control sockets.
//! let names = system_calls(Thread::Service, &[Transport::Unix, Transport::Control]);
//! assert!(names.contains("epoll_wait") && names.contains("recvmsg"));
//! assert!(!names.contains("inotify_init1"), "only a pty needs it");
//!
//! // For a vCPU's thread, beside `ioctl` and what else the VMM needs there.
//! assert!(system_calls(Thread::Guest, &[]).contains("write"));
//! ```
//!
//! The filter is set on the service's thread by
//! [`Service::spawn_with`](crate::service::Service::spawn_with).
//!
#![doc = include_str!("../../SANDBOX.md")]

mod landlock;
mod table;

use std::collections::BTreeSet;
use std::fmt;
use std::iter;

pub use self::landlock::{FILE_RIGHTS, FileRights, Moment};
pub use self::table::SYSTEM_CALLS;
use crate::transport::Transport;

/// A thread that makes system calls of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Thread {
    /// The service's, named `vm-console` unless the owner renames it.
    Service,
    /// `vm-console-log`, which writes the service's warnings. What the owner's logger needs comes
    /// on top.
    Log,
    /// `vm-console-close`, which closes descriptors.
    Close,
    /// `vm-console-recv`, which receives from a unix socket that its client shares.
    Receive,
    /// `vm-console-text`, which writes a text log. The owner starts it, so it inherits the filter of
    /// the owner's thread, and not of the service's.
    Text,
    /// A thread at an access to the port: a vCPU's. Methods of the port and of its line need the
    /// same.
    Guest,
}

impl Thread {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Service,
        Self::Log,
        Self::Close,
        Self::Receive,
        Self::Text,
        Self::Guest,
    ];

    /// Whether a filter on `self` also holds for `other`, because `self` starts it.
    fn passes_its_filter_to(self, other: Self) -> bool {
        match self {
            _ if self == other => true,
            Self::Service => matches!(other, Self::Log | Self::Close | Self::Receive),
            Self::Receive => other == Self::Close,
            Self::Log | Self::Close | Self::Text | Self::Guest => false,
        }
    }
}

impl fmt::Display for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Service => "service",
            Self::Log => "vm-console-log",
            Self::Close => "vm-console-close",
            Self::Receive => "vm-console-recv",
            Self::Text => "vm-console-text",
            Self::Guest => "vCPU",
        })
    }
}

/// What needs a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The thread itself, whatever its consoles have.
    Core,
    /// What goes with starting `vm-console-log`, `vm-console-close` and `vm-console-recv`: warnings,
    /// and descriptors that clients pass. Any console with a listener can cause it.
    HelperThreads,
    /// A text log that rotates.
    Rotation,
    /// Clients of this transport.
    Transport(Transport),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Core => f.write_str("all"),
            Self::HelperThreads => f.write_str("starting threads"),
            Self::Rotation => f.write_str("rotation"),
            Self::Transport(transport) => transport.fmt(f),
        }
    }
}

/// How often a system call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// In each run of the test.
    Always,
    /// In each run with the GNU C library, and never with musl.
    WithGnu,
    /// Not in each run, for this reason. A filter has to allow it all the same.
    Rarely(&'static str),
}

/// A system call that a thread makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SystemCall {
    /// Its name on x86_64 with the GNU C library, as `strace` and `seccompiler` spell it.
    pub name: &'static str,
    /// Names of the calls that take its place with musl or on aarch64.
    pub elsewhere: &'static [&'static str],
    /// The thread that makes it.
    pub thread: Thread,
    /// What needs it; never empty.
    pub parts: &'static [Part],
    /// What it is for.
    pub purpose: &'static str,
    /// Whether the test sees it in each of its runs.
    pub made: Made,
}

impl SystemCall {
    /// Whether `thread` needs it itself if its consoles have clients of these `transports`.
    #[must_use]
    pub fn is_needed(&self, thread: Thread, transports: &[Transport]) -> bool {
        self.thread == thread
            && self.parts.iter().any(|part| match part {
                Part::Core | Part::HelperThreads | Part::Rotation => true,
                Part::Transport(transport) => transports.contains(transport),
            })
    }

    /// All its names, those from [`elsewhere`](Self::elsewhere) last.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        iter::once(self.name).chain(self.elsewhere.iter().copied())
    }
}

/// The names that a filter on `thread` has to allow if its consoles have clients of these
/// `transports`, rare ones, and those of other C libraries and architectures among them.
///
/// A thread inherits the filter of the one that starts it. So the names for [`Thread::Service`]
/// hold those for the threads that it starts.
#[must_use]
pub fn system_calls(thread: Thread, transports: &[Transport]) -> BTreeSet<&'static str> {
    let threads = Thread::ALL.into_iter();
    let under_it: Vec<_> = threads
        .filter(|other| thread.passes_its_filter_to(*other))
        .collect();
    SYSTEM_CALLS
        .iter()
        .filter(|call| {
            under_it
                .iter()
                .any(|thread| call.is_needed(*thread, transports))
        })
        .flat_map(SystemCall::names)
        .collect()
}
