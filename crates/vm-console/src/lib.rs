//! One exclusive serial client and a boot log, for virtual machine monitors.
//!
//! What a guest prints goes into a bounded [log](BootLog) first; clients come second, and each is only a cursor into
//! that log. Therefore a slow client cannot stall the guest, what is replayed at attach and what is printed live meet
//! without a seam, and a client that misses output can be told exactly how much. At most one client may type:
//! a [session] is exclusive, can be taken by force, and ends by itself when nobody uses it.
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
//! let console = service.add(console, port.clone(), vec![Listener::raw(UnixSocket::bind(&path)?)]);
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
//! # Parts
//!
//! | module | what |
//! |---|---|
//! | [`log`] | the boot log: offsets, cursors, marks; in memory or in a file that outlives the VMM |
//! | [`session`] | who may type: a state machine without clock or socket |
//! | [`service`] | one event loop for many consoles |
//! | [`transport`] | unix sockets, pty, the owner's terminal |
//! | [`protocol`], [`client`] | the control socket's frames, and a client for them |
//! | [`replay_guard`], [`escape`] | pure filters, for whoever writes a client |
//! | [`signals`] | a terminal put back at every signal, for programs without signal handling of their own |
//! | [`audit`] | every transition, as an event |
//!
//! # What can be lost, and where it is counted
//!
//! | what | when | told by |
//! |---|---|---|
//! | output, to a cursor | it is overwritten before the client reads it | a note, a gap frame, or the session's end, as [`ConsoleConfig::gaps`] says; [`output_lost`](CounterValues::output_lost), [`observed_lost`](CounterValues::observed_lost) |
//! | output, to anybody | it is older than the log's sizes | [`Accounting::overwritten`], and `start` in each log read |
//! | input that was typed and not yet taken | its session ends otherwise than by the client's own closing, or the next one begins | [`input_discarded`](CounterValues::input_discarded) |
//! | terminal queries | they are replayed to a terminal | [`guarded`](CounterValues::guarded); the log keeps them |
//! | audit events | nobody receives them | [`audit_lost`](CounterValues::audit_lost) |
//!
//! Input is never dropped because the guest is slow: 4096 characters wait in the line, as many in the service, and the
//! rest stays in the kernel's socket buffer until the sender has to wait.
//!
//! # Threats
//!
//! | from | threat | answer |
//! |---|---|---|
//! | guest | prints without end | the log is a ring; clients lose, and are told; no allocation, no lock but the port's |
//! | guest | prints terminal queries, to have an operator's terminal type an answer later | taken out of replays |
//! | guest | never reads its input | the queue is bounded, and the sender waits |
//! | guest | resets in a loop | a flag, not a queue; boot heads are kept for a bounded number of boots |
//! | client | never reads, is stopped, is killed | it is only a cursor: nobody waits for it, its session ends in bounded time |
//! | client | sends frames that are cut, oversized or senseless | a bounded decoder, a defined answer, then the door |
//! | client | asks and does not read the answers | it is not read from until it does |
//! | client | opens connections without end | a bound for each console; descriptors that run out pause the listener |
//! | client | passes a descriptor that blocks | only stream sockets are taken, and every call on them says not to wait |
//! | client | gives a name with control characters, or somebody else's | they are replaced; the kernel's word stands beside the name |
//! | other users | connect | mode 0600 from the first moment; `SO_PEERCRED` for abstract sockets |
//! | next user | inherits a shell, or input half typed by the last | [`ConsoleConfig::carrier`]; input is dropped between sessions |
//!
//! What the 16 characters of the chip's receive FIFO hold is the guest's already: a takeover cannot take it back.
//! An [`Authorizer`](session::Authorizer) and a [`PowerControl`] run on the service's thread and are trusted.

pub mod audit;
pub mod client;
mod console;
mod counters;
#[cfg(test)]
mod doorbell_model;
pub mod escape;
mod line;
pub mod log;
mod migration;
mod port;
pub mod protocol;
mod rate;
pub mod replay_guard;
pub mod service;
mod serving;
pub mod session;
pub mod signals;
pub mod transport;
mod when;

pub use crate::log::{
    Accounting, Boot, BootLog, Cursor, End, Excerpt, Fit, GapPolicy, Located, LogConfig, LogError,
    LogId, LogImage, LogWriter, Mark, MarkKind, Read, Start, StreamFiles, StreamLimits, TimedLines,
    UnixTime,
};
pub use console::{Console, ConsoleConfig, PowerControl};
pub use counters::CounterValues;
pub use line::{ConsoleLine, INPUT_LIMIT, Input};
pub use migration::{ConsoleImage, ImageError};
pub use port::GuestPort;
pub use rate::RateLimit;
