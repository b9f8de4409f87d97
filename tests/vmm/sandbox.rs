//! Seccomp filters for the thread of the console and that of the guest, made from
//! `vm_console::sandbox`.
//!
//! `--sandbox` sets them. The other threads of this program have none.

use std::collections::BTreeSet;
use std::io;

use clap::ValueEnum;
use seccompiler::{BpfProgram, TargetArch};
use serde_json::json;
use vm_console::sandbox::{Thread, system_calls};

use crate::arguments::Arguments;

/// What becomes of a thread that makes another call than its filter allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Violation {
    /// SIGSYS, which ends this process at once: the terminal is not given back
    Trap,
    /// The call fails with EPERM
    Errno,
}

/// A thread with a filter of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Confined {
    /// The console's
    Service,
    /// The vCPU's, or that of the scripted guest
    Guest,
}

impl Confined {
    fn thread(self) -> Thread {
        match self {
            Self::Service => Thread::Service,
            Self::Guest => Thread::Guest,
        }
    }

    /// What this program does there besides.
    fn own_calls(self, arguments: &Arguments) -> Vec<&'static str> {
        let mut calls = ON_SIGNALS.to_vec();
        if self == Self::Guest {
            calls.extend(GUEST);
            if arguments.guest.kernel.is_some() {
                calls.extend(LOADING);
            }
        }
        calls
    }
}

/// A handler passes its signal on through a socket pair, and a thread that was stopped goes on.
const ON_SIGNALS: &[&str] = &["sendto", "rt_sigreturn", "restart_syscall"];

/// KVM, the timer of coalesced writes, and the end of the thread, which gives the machine back.
const GUEST: &[&str] = &[
    "close",
    "exit",
    "fcntl",
    "ioctl",
    "madvise",
    "munmap",
    "rt_sigprocmask",
    "sched_yield",
    "sigaltstack",
    "timerfd_settime",
];

/// A kernel is loaded again at each reset.
const LOADING: &[&str] = &["lseek", "open", "openat", "read", "statx"];

/// What a thread does before its work: nothing, without `--sandbox`.
pub(crate) struct Entry {
    filter: Option<BpfProgram>,
    trespasses: bool,
}

impl Entry {
    /// The entry of `whose` thread.
    pub(crate) fn prepare(whose: Confined, arguments: &Arguments) -> Result<Self, String> {
        let is_published = arguments.machine.name.is_some();
        let transports = arguments.sockets.transports(is_published);
        let compile = |violation| {
            let mut names = system_calls(whose.thread(), &transports);
            names.extend(whose.own_calls(arguments));
            compile(&names, violation).map_err(|e| format!("--sandbox: {e}"))
        };
        Ok(Self {
            filter: arguments.machine.sandbox.map(compile).transpose()?,
            trespasses: arguments.machine.trespass == Some(whose),
        })
    }

    /// To be run on that thread.
    pub(crate) fn enter(self) -> io::Result<()> {
        if let Some(filter) = self.filter {
            seccompiler::apply_filter(&filter).map_err(io::Error::other)?;
        }
        if self.trespasses {
            use rustix::net::{AddressFamily, SocketType};
            rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
        }
        Ok(())
    }
}

/// A filter that allows `names` alone.
fn compile(names: &BTreeSet<&str>, violation: Violation) -> Result<BpfProgram, String> {
    let rules: Vec<_> = names
        .iter()
        .map(|name| json!({ "syscall": name }))
        .collect();
    let mismatch = match violation {
        Violation::Trap => json!("trap"),
        Violation::Errno => json!({ "errno": rustix::io::Errno::PERM.raw_os_error() }),
    };
    let filters = json!({
        "thread": { "mismatch_action": mismatch, "match_action": "allow", "filter": rules },
    });
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| e.to_string())?;
    let mut filters = seccompiler::compile_from_json(filters.to_string().as_bytes(), arch)
        .map_err(|e| e.to_string())?;
    filters
        .remove("thread")
        .ok_or_else(|| "no filter".to_owned())
}
