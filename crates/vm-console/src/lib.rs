//! One exclusive serial client and a boot log, for virtual machine monitors.
//!
//! A guest's output goes into a bounded [log](BootLog) first. Clients come second, and each is only
//! a cursor into that log. Therefore a slow client cannot stall the guest, replay and live output
//! meet without a seam, and a client that misses output can be told exactly how much. At most one
//! client may type: a [session] is exclusive, can be taken by force, and ends by itself when nobody
//! uses it.
//!
//! ```
//! use std::io::Read;
//! use std::os::unix::net::UnixStream;
//! use std::sync::{Arc, Mutex};
//! use vm_console::service::Service;
//! use vm_console::transport::{Listener, unix::UnixSocket};
//! use vm_console::{BootLog, Console, ConsoleConfig, LogConfig};
//! use vm_uart::SerialPort;
//!
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("vm-7.sock");
//! // One service for the process: one thread, however many guests.
//! let (service, thread) = Service::spawn()?;
//!
//! // For each guest a log, a console on it, and a port that ends in the console's line.
//! let (writer, log) = BootLog::in_memory(LogConfig::default())?;
//! let (line, console) = Console::new(ConsoleConfig::named("vm-7"), writer)?;
//! let port = Arc::new(Mutex::new(SerialPort::new((), line)));
//! let listener = Listener::raw(UnixSocket::bind(&path)?);
//! let console = service.add(console, port.clone(), vec![listener])?;
//!
//! // The guest prints, attached or not. Then somebody runs `socat -,raw,echo=0 UNIX:vm-7.sock`.
//! port.lock().unwrap().write_string(0, b"login: ");
//! let mut screen = [0; 7];
//! UnixStream::connect(&path)?.read_exact(&mut screen)?;
//! assert_eq!(&screen, b"login: ");
//!
//! service.shut_down();
//! thread.join().unwrap();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It runs on Linux: it is made of epoll, eventfd, timerfd and inotify.
//!
//! # Parts
//!
//! | module | what |
//! |---|---|
//! | [`log`] | the boot log, in memory or in a file that outlives the VMM |
//! | [`session`] | who may type: a state machine without clock or socket |
//! | [`service`] | one event loop for many consoles |
//! | [`transport`] | unix sockets, pty, TCP, the owner's terminal |
//! | [`protocol`], [`client`] | the control socket's frames, and a client for them |
//! | [`replay_guard`], [`escape`] | pure filters for clients |
//! | [`text_log`] | the output as a text file |
//! | [`audit`] | every transition, as an event |
#![cfg_attr(
    feature = "instance",
    doc = "| [`instance`] | where consoles are found on a host |"
)]
//! | [`sandbox`] | system calls and file rights, to write a seccomp filter from |
//!
//! # Words
//!
//! The [log](crate::log#words) has a list of its own.
//!
//! | word | meaning |
//! |---|---|
//! | line | the end of the serial line in the guest's port: [`ConsoleLine`] |
//! | console | one guest's rules, log, doorbell and counters: [`Console`] |
//! | doorbell | the eventfd with which the guest's side wakes the service |
//! | connection | a client as the service sees it, with or without a session |
//! | session | the time for which a client holds the console, and may type |
//! | holder | the one client that has the session: [`Holder`](session::Holder) |
//! | lease | the number of a session, never used twice: [`Lease`](session::Lease) |
//! | held | how a holder is described to others: [`Held`](protocol::Held) |
//! | observer | a client that only watches |
//! | takeover | a session that ends another, by force |
//! | hold | lossless mode keeps the guest's output back: [`ConsoleConfig::lossless`] |
//! | linger | the time to read what is left when a session is over: [`ConsoleConfig::linger`] |
//! | turn | the handling of one event by the service |
//!
//! # What can be lost, and where it is counted
//!
//! | what | when | told by |
//! |---|---|---|
//! | output to a client | it is overwritten first | [`gaps`]; [`output_lost`], [`observed_lost`] |
//! | output to a client | it is over a limit that drops | [`gaps`]; [`output_dropped`], and as above |
//! | output to a text log | it is overwritten first, or the disk fails at the end | a line in the file; [`text_lost`] |
//! | output to all clients | the log has no room for it | [`overwritten`]; each log read's start |
//! | input | its session is ended, or the next begins, before it is taken | [`input_discarded`] |
//! | input | it does not fit into the line when the console [moves](ConsoleImage) | [`input_discarded`] |
//! | sequences that make a terminal type | they are replayed | [`guarded`]; the log keeps them |
//! | audit events | nobody receives them, or a console exceeds its share | [`audit_lost`] |
//!
//! [`gaps`]: ConsoleConfig::gaps
//! [`overwritten`]: Accounting::overwritten
//! [`output_lost`]: CounterValues::output_lost
//! [`observed_lost`]: CounterValues::observed_lost
//! [`input_discarded`]: CounterValues::input_discarded
//! [`output_dropped`]: CounterValues::output_dropped
//! [`text_lost`]: CounterValues::text_lost
//! [`guarded`]: CounterValues::guarded
//! [`audit_lost`]: CounterValues::audit_lost
//!
//! Input is never dropped because the guest is slow. 4096 characters wait in the line, as many in
//! the service, and the rest stays in the kernel's socket buffer until the sender has to wait.
//!
//! # Types of other crates
//!
//! | crate | where its types are part of this interface |
//! |---|---|
//! | [`crossbeam_channel`] | [`audit`], [`outcome`], and the error of [`status`] |
//! | [`event_manager`] | [`Service`](service::Service) is a subscriber |
//! | [`vm_memory`] | the error of a mapping: [`LogError::Map`] |
//! | [`vmm_sys_util`] | the [doorbell](LogWriter::set_doorbell) of a log |
//! | `vm_uart` | [`GuestPort`] is implemented for its `SerialPort` |
//!
//! They are exported again from here, in the versions that fit.
//!
//! [`audit`]: service::ServiceHandle::audit
//! [`outcome`]: service::Attachment::outcome
//! [`status`]: service::ConsoleHandle::status
//!
//! # Threats
//!
#![doc = include_str!("../THREATS.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod audit;
pub mod client;
mod console;
mod counters;
#[cfg(test)]
mod doorbell_model;
mod drop_limit;
pub mod escape;
#[cfg(feature = "instance")]
pub mod instance;
mod line;
pub mod log;
mod lone_newline;
mod migration;
mod port;
pub mod protocol;
mod rate;
pub mod replay_guard;
pub mod sandbox;
pub mod service;
mod serving;
pub mod session;
pub mod signals;
pub mod text_log;
mod timer;
pub mod transport;
mod when;

pub use crossbeam_channel;
pub use event_manager;
pub use vm_memory;
#[cfg(feature = "vm-uart")]
pub use vm_uart;
pub use vmm_sys_util;

pub use crate::log::{
    Accounting, Boot, BootLog, Cursor, End, Excerpt, Fit, GapPolicy, KnownBoot, LineTime, Located,
    LogConfig, LogError, LogId, LogImage, LogWriter, Mark, MarkKind, Read, Start, StreamFiles,
    StreamLimits, TimedLines, UnixTime,
};
pub use console::{Console, ConsoleConfig, PowerControl};
pub use counters::CounterValues;
pub use drop_limit::DropLimit;
pub use line::{ConsoleLine, INPUT_LIMIT, Input};
pub use migration::{ConsoleImage, ImageError};
#[cfg(feature = "vm-uart")]
pub use port::ConsolePort;
pub use port::{ConsoleDevice, GuestPort};
pub use rate::RateLimit;
pub use transport::identity::printable;
