//! The table of system calls. `tests/sandbox_measured.rs` holds it against `strace`.

use super::{Made, Part, SystemCall, Thread};
use crate::transport::Transport;

const UNIX: Part = Part::Transport(Transport::Unix);
const CONTROL: Part = Part::Transport(Transport::Control);
const PASSED: Part = Part::Transport(Transport::Passed);
const PTY: Part = Part::Transport(Transport::Pty);
const STDIO: Part = Part::Transport(Transport::Stdio);
const TCP: Part = Part::Transport(Transport::Tcp);

const ALWAYS: &[Part] = &[Part::Core];
const PASSING: &[Part] = &[Part::HelperThreads];
const STARTING_THREADS: &[Part] = &[Part::HelperThreads, PASSED];
const ROTATION: &[Part] = &[Part::Rotation];
const SOCKETS: &[Part] = &[UNIX, CONTROL, PASSED, TCP];
const LISTENERS: &[Part] = &[UNIX, CONTROL];
const PTYS: &[Part] = &[PTY];

const HEAP: &str = "depends on the heap's history";
const CLOCK: &str = "only where user space cannot read the host's clock by itself";
const SPIN: &str = "only if another thread is half way through the same step";
const SIGNAL: &str = "only if a signal that the owner catches comes to this thread";
const CHECKED: &str = "only in builds with debug assertions, before a descriptor is closed";

/// Every system call of this crate's threads.
///
/// Not in it: what the owner calls itself (it binds, opens a log, adds a console), what its
/// callbacks and its logger do, and what a panic does.
pub const SYSTEM_CALLS: &[SystemCall] = &[
    on_service("epoll_wait", ALWAYS, "waits for events").or(&["epoll_pwait"]),
    on_service("epoll_ctl", ALWAYS, "watches descriptors"),
    on_service(
        "read",
        ALWAYS,
        "eventfds, the timer; bytes from a pty or file",
    ),
    on_service("write", ALWAYS, "eventfds; bytes to a pty or file"),
    on_service("futex", ALWAYS, "locks of ports; wakes callers of handles"),
    on_service("close", ALWAYS, "clients, listeners, consoles"),
    on_service("flock", ALWAYS, "gives back the lock of a log in a file"),
    on_service("munmap", ALWAYS, "logs; the end of a thread; the heap"),
    on_service("rt_sigprocmask", ALWAYS, "the end of the thread"),
    on_service("sigaltstack", ALWAYS, "the end of the thread"),
    on_service("madvise", ALWAYS, "the end of the thread; the heap").with_gnu(),
    on_service("exit", ALWAYS, "the end of the thread"),
    on_service(
        "timerfd_settime",
        ALWAYS,
        "the alarm for all time limits, for text logs and for the port's time",
    ),
    on_service("accept4", &[UNIX, CONTROL, TCP], "accepts clients"),
    on_service("recvmsg", SOCKETS, "bytes, and descriptors that come along"),
    on_service("sendto", SOCKETS, "bytes"),
    on_service("shutdown", SOCKETS, "ends an output; closes a listener"),
    on_service(
        "getsockopt",
        SOCKETS,
        "credentials; the kind of a socket; its buffer",
    ),
    on_service(
        "setsockopt",
        SOCKETS,
        "room for last words; bytes out of band; no linger time",
    ),
    on_service(
        "newfstatat",
        LISTENERS,
        "whether the socket's file is still its own",
    ),
    on_service("unlinkat", LISTENERS, "removes the socket's file"),
    on_service(
        "open",
        PTYS,
        "the next pty, after a client was disconnected",
    )
    .or(&["openat"]),
    on_service(
        "ioctl",
        &[UNIX, CONTROL, PTY],
        "whether bytes wait; settings of the next pty",
    ),
    on_service(
        "fcntl",
        PTYS,
        "makes the next pty non-blocking; hands out its master",
    ),
    on_service("inotify_init1", PTYS, "watches the next pty's slave"),
    on_service("inotify_add_watch", PTYS, "watches the next pty's slave"),
    on_service(
        "ppoll",
        &[STDIO, PASSED, PTY, TCP],
        "whether the other end is closed, has room, or has answered",
    ),
    on_service("socket", &[TCP], "connects out"),
    on_service("connect", &[TCP], "connects out"),
    on_service(
        "getsockname",
        &[TCP],
        "whether a socket is connected to itself",
    ),
    on_service("getpeername", &[TCP], "the client's address"),
    on_service("statx", PTYS, "whether the symlink may be replaced").or(&["lstat", "newfstatat"]),
    on_service("getpid", PTYS, "the new symlink's name until it is renamed"),
    on_service("symlink", PTYS, "leads to the next pty").or(&["symlinkat"]),
    on_service("rename", PTYS, "replaces the symlink").or(&["renameat", "renameat2"]),
    on_service("readlink", PTYS, "whether the symlink is still its own").or(&["readlinkat"]),
    on_service("unlink", PTYS, "removes symlink and lock file").or(&["unlinkat"]),
    on_service(
        "getpeername",
        PASSING,
        "whether a passed socket is connected",
    ),
    on_service("eventfd2", PASSING, "tells when bytes were received"),
    on_service("clone3", STARTING_THREADS, "starts it").or(&["clone"]),
    on_service("mmap", STARTING_THREADS, "its stack"),
    on_service("mprotect", STARTING_THREADS, "its stack's guard page"),
    on_service("mmap", ALWAYS, "the heap grows").rare(HEAP),
    on_service("mremap", ALWAYS, "the heap grows").rare(HEAP),
    on_service("brk", ALWAYS, "the heap grows or shrinks").rare(HEAP),
    on_service("mprotect", ALWAYS, "the heap grows").rare(HEAP),
    on_service("fcntl", ALWAYS, "looks whether it is open").rare(CHECKED),
    on_service("sched_yield", ALWAYS, "a channel").rare(SPIN),
    on_service("clock_gettime", ALWAYS, "the time").rare(CLOCK),
    on_service("rt_sigreturn", ALWAYS, "returns from a handler").rare(SIGNAL),
    on_log("set_robust_list", "the start of the thread").with_gnu(),
    on_log("rseq", "the start of the thread").with_gnu(),
    on_log("rt_sigprocmask", "the start and the end of the thread"),
    on_log("gettid", "the start of the thread"),
    on_log(
        "sched_getaffinity",
        "the start of the thread: where its stack is",
    )
    .with_gnu(),
    on_log("prctl", "the start of the thread: its name"),
    on_log("sigaltstack", "the start and the end of the thread"),
    on_log("mmap", "the start of the thread; the heap"),
    on_log("mprotect", "the start of the thread; the heap"),
    on_log("munmap", "the end of the thread; the heap"),
    on_log("sched_yield", "before it waits for the next warning"),
    on_log("futex", "waits for the next warning"),
    on_log("madvise", "the end of the thread; the heap").with_gnu(),
    on_log("exit", "the end of the thread"),
    on_log("mremap", "the heap grows").rare(HEAP),
    on_log("brk", "the heap grows or shrinks").rare(HEAP),
    on_log("rt_sigreturn", "returns from a handler").rare(SIGNAL),
    on_close("set_robust_list", "the start of the thread").with_gnu(),
    on_close("rseq", "the start of the thread").with_gnu(),
    on_close("rt_sigprocmask", "the start and the end of the thread"),
    on_close("gettid", "the start of the thread"),
    on_close(
        "sched_getaffinity",
        "the start of the thread: where its stack is",
    )
    .with_gnu(),
    on_close("prctl", "the start of the thread: its name"),
    on_close("sigaltstack", "the start and the end of the thread"),
    on_close("mmap", "the start of the thread; the heap"),
    on_close("mprotect", "the start of the thread; the heap"),
    on_close("munmap", "the end of the thread; the heap"),
    on_close("close", "a descriptor"),
    on_close("setsockopt", "no linger time"),
    on_close("futex", "the lock of what waits").rare(SPIN),
    on_close("madvise", "the end of the thread; the heap").with_gnu(),
    on_close("exit", "the end of the thread"),
    on_close("fcntl", "looks whether it is open").rare(CHECKED),
    on_close("mremap", "the heap grows").rare(HEAP),
    on_close("brk", "the heap grows or shrinks").rare(HEAP),
    on_close("rt_sigreturn", "returns from a handler").rare(SIGNAL),
    on_receive("set_robust_list", "the start of the thread").with_gnu(),
    on_receive("rseq", "the start of the thread").with_gnu(),
    on_receive("rt_sigprocmask", "the start and the end of the thread"),
    on_receive("gettid", "the start of the thread"),
    on_receive(
        "sched_getaffinity",
        "the start of the thread: where its stack is",
    )
    .with_gnu(),
    on_receive("prctl", "the start of the thread: its name"),
    on_receive("sigaltstack", "the start and the end of the thread"),
    on_receive("mmap", "the start of the thread; the heap; another's stack"),
    on_receive(
        "mprotect",
        "the start of the thread; the heap; another's stack",
    ),
    on_receive("munmap", "the end of the thread; the heap"),
    on_receive("setsockopt", "bytes out of band"),
    on_receive("futex", "waits until something is asked for"),
    on_receive("ppoll", "waits until bytes come"),
    on_receive("recvmsg", "bytes, and descriptors that come along"),
    on_receive("clone3", "starts a thread that closes descriptors").or(&["clone"]),
    on_receive("write", "tells that bytes were received"),
    on_receive("close", "the socket, once its session is over"),
    on_receive("madvise", "the end of the thread; the heap").with_gnu(),
    on_receive("exit", "the end of the thread"),
    on_receive("fcntl", "looks whether it is open").rare(CHECKED),
    on_receive("mremap", "the heap grows").rare(HEAP),
    on_receive("brk", "the heap grows or shrinks").rare(HEAP),
    on_receive("rt_sigreturn", "returns from a handler").rare(SIGNAL),
    on_text("set_robust_list", ALWAYS, "the start of the thread").with_gnu(),
    on_text("rseq", ALWAYS, "the start of the thread").with_gnu(),
    on_text(
        "rt_sigprocmask",
        ALWAYS,
        "the start and the end of the thread",
    ),
    on_text("gettid", ALWAYS, "the start of the thread"),
    on_text(
        "sched_getaffinity",
        ALWAYS,
        "the start of the thread: where its stack is",
    )
    .with_gnu(),
    on_text("prctl", ALWAYS, "the start of the thread: its name"),
    on_text("sigaltstack", ALWAYS, "the start and the end of the thread"),
    on_text("mmap", ALWAYS, "the start of the thread; the heap"),
    on_text("mprotect", ALWAYS, "the start of the thread; the heap"),
    on_text("munmap", ALWAYS, "the end of the thread; the heap"),
    on_text(
        "futex",
        ALWAYS,
        "waits for output; wakes who waits for its end",
    ),
    on_text("write", ALWAYS, "the file"),
    on_text("close", ALWAYS, "the file"),
    on_text(
        "fstat",
        ROTATION,
        "the file's length, and whether it has its name still",
    )
    .or(&["statx"]),
    on_text("newfstatat", ROTATION, "which numbers are free"),
    on_text("renameat", ROTATION, "a full file gets a number").or(&["renameat2"]),
    on_text("unlinkat", ROTATION, "a full file goes if none is kept"),
    on_text("openat", ROTATION, "the next file"),
    on_text("madvise", ALWAYS, "the end of the thread; the heap").with_gnu(),
    on_text("exit", ALWAYS, "the end of the thread"),
    on_text("fcntl", ALWAYS, "looks whether it is open").rare(CHECKED),
    on_text("mremap", ALWAYS, "the heap grows").rare(HEAP),
    on_text("brk", ALWAYS, "the heap grows or shrinks").rare(HEAP),
    on_text("sched_yield", ALWAYS, "a channel").rare(SPIN),
    on_text("clock_gettime", ALWAYS, "the time").rare(CLOCK),
    on_text("rt_sigreturn", ALWAYS, "returns from a handler").rare(SIGNAL),
    on_guest("write", "rings the doorbell; an interrupt by eventfd"),
    on_guest("futex", "waits for the port's lock"),
    on_guest("mmap", "the queue of input grows").rare(HEAP),
    on_guest("mremap", "the queue of input grows").rare(HEAP),
    on_guest("munmap", "the queue of input shrinks").rare(HEAP),
    on_guest("madvise", "the queue of input shrinks").rare(HEAP),
    on_guest("mprotect", "the queue of input grows").rare(HEAP),
    on_guest("brk", "the queue of input grows or shrinks").rare(HEAP),
    on_guest("clock_gettime", "the time of a boot or a power change").rare(CLOCK),
    on_guest("rt_sigreturn", "returns from a handler").rare(SIGNAL),
];

const fn on(
    thread: Thread,
    name: &'static str,
    parts: &'static [Part],
    purpose: &'static str,
) -> SystemCall {
    SystemCall {
        name,
        elsewhere: &[],
        thread,
        parts,
        purpose,
        made: Made::Always,
    }
}

const fn on_service(
    name: &'static str,
    parts: &'static [Part],
    purpose: &'static str,
) -> SystemCall {
    on(Thread::Service, name, parts, purpose)
}

const fn on_log(name: &'static str, purpose: &'static str) -> SystemCall {
    on(Thread::Log, name, ALWAYS, purpose)
}

const fn on_close(name: &'static str, purpose: &'static str) -> SystemCall {
    on(Thread::Close, name, ALWAYS, purpose)
}

const fn on_receive(name: &'static str, purpose: &'static str) -> SystemCall {
    on(Thread::Receive, name, ALWAYS, purpose)
}

const fn on_text(name: &'static str, parts: &'static [Part], purpose: &'static str) -> SystemCall {
    on(Thread::Text, name, parts, purpose)
}

const fn on_guest(name: &'static str, purpose: &'static str) -> SystemCall {
    on(Thread::Guest, name, ALWAYS, purpose)
}

impl SystemCall {
    const fn rare(mut self, why: &'static str) -> Self {
        self.made = Made::Rarely(why);
        self
    }

    const fn with_gnu(mut self) -> Self {
        self.made = Made::WithGnu;
        self
    }

    const fn or(mut self, names: &'static [&'static str]) -> Self {
        self.elsewhere = names;
        self
    }
}
