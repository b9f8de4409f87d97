//! The boot log: what a guest printed, bounded, with offsets that never start again, readable by many at any time.
//!
//! ```
//! use vm_console::{BootLog, LogConfig, MarkKind, Read, Start, UnixTime};
//!
//! // The writer belongs to the end of the serial line; the handle is for everybody else.
//! let (mut writer, log) = BootLog::in_memory(LogConfig::default())?;
//! writer.begin_boot(MarkKind::PowerOn, UnixTime::from_nanos(1_700_000_000_000_000_000));
//! writer.append(b"SeaBIOS (version 1.16.2)\r\n");
//!
//! let mut cursor = log.cursor(Start::Oldest);
//! let mut buf = [0; 4096];
//! assert_eq!(cursor.read(&mut buf), Read::Bytes(26));
//! assert_eq!(cursor.read(&mut buf), Read::UpToDate);
//! # Ok::<(), vm_console::LogError>(())
//! ```
//!
//! # What is kept
//! The newest [`tail`](LogConfig::tail) bytes, and the first [`head`](LogConfig::head) bytes of each of the last
//! [`boots`](LogConfig::boots) boots that printed anything. All else is overwritten, and can be told exactly:
//! `written = kept + overwritten` for the log ([`Accounting`]), `delivered + lost = read` for each [`Cursor`].
//! Offsets count bytes since the log was made, in 64 bits; they go on when a file is opened again and when a log
//! moves to another host ([`LogImage`]).
//!
//! An offset means something only in one log: each has a random [identity](LogId), which goes with it.
//!
//! Beside the bytes are [marks](Mark) (the newest [`BootLog::MARKS`]) and the times of lines (the newest 4096; see
//! [`TimedLines`]). Nothing that a guest does makes any of it grow.
//!
//! # What it costs
//! Appending a byte is a load and two stores, and a fence each 4096 bytes: no lock, no allocation, no system call. An
//! append that finds the [doorbell armed](LogWriter::arm) writes to an eventfd, once. The first `head` bytes of a
//! boot are stored twice. In memory, a page is touched when it is first written: a log with a mark and no output is one page.
//!
//! In a file a store costs the same, as long as the page is in memory and may be written. When the kernel has begun
//! to write a page to its disk, the next store to it is a page fault, and that may wait for the disk. Put the file on
//! a tmpfs (`/run`), where neither happens: it survives the VMM just as well, and only the host's end ends it.
//!
//! # The mapping
//! In memory and in a file alike: little-endian 64-bit words up to `heads`, each accessed atomically.
//!
//! | at | length | what |
//! |---|---|---|
//! | 0 | 8 | `VMBOOTLG` |
//! | 8 | 8 | version: 1 |
//! | 16 | 8 | length of the whole |
//! | 24 | 8 | `tail` |
//! | 32 | 8 | `head` |
//! | 40 | 8 | `boots` |
//! | 48 | 8 | FNV-1a, 64 bits, of the 48 bytes before |
//! | 64 | 8 | write offset: bytes ever written |
//! | 72 | 8 | reserved offset: up to where bytes may be overwritten by now; a multiple of 4096, at most 4096 ahead |
//! | 80 | 8 | floor: the ring holds nothing before it (0, but in a restored log) |
//! | 88 | 8 | boot count |
//! | 96 | 8 | indices of marks ever used |
//! | 104 | 8 | line times ever written |
//! | 112 | 16 | [identity](LogId), 0 in a log of a version that knew none |
//! | 128 | 8 | FNV-1a of these 16 bytes \| 1, stored after them; 0: there is no identity |
//! | 136 | 8 | indices of marks that were left out, so that an older mark keeps its place |
//! | 256 | 16 × 32 | boots, in any order: boot count + 1 (0: unused), first offset, most bytes kept of its head, 0 |
//! | 768 | 232 × 32 | marks: index + 1 (0: being rewritten), offset, nanoseconds since 1970, boot count << 8 \| [kind](MarkKind) |
//! | 8192 | 4096 × 32 | line times: index + 1, offset after the line, nanoseconds since 1970, 0 |
//! | 139264 | `boots` × H | heads: entry *n* of the boot table has its bytes at 139264 + *n* × H, H being `head` rounded up to 4096 |
//! | 139264 + `boots` × H | R | ring: offset *x* is at *x* mod R, R being `tail` rounded up to 4096, plus 8192 |
//!
//! Mark and line time *i* are at entry *i* mod 232 and *i* mod 4096.
//!
//! # Reading while it is written
//! Neither side waits. The writer moves the reserved offset before it overwrites, and the write offset after it has
//! written; a reader copies, then looks at the reserved offset, and drops the copy if what it copied may have been
//! overwritten: it finds itself at a gap then, and says how long it is. Boots, marks and times carry a number that is
//! zeroed first and set last, and is never used twice. The order of each access and the argument why it suffices are
//! in the source of the module `protocol`, which is checked with loom.
//!
//! # After SIGKILL
//! What [`append`](LogWriter::append) was given before it returned is in the file, as stores to a shared mapping
//! belong to the kernel as soon as they are made; of an append that was interrupted, a beginning may be. Nothing else
//! needs to be repaired: the next writer goes on at the write offset. The same does not hold if the *host* dies: the
//! kernel writes the pages to the disk when it likes, in any order, and [`LogError::Inconsistent`] or wrong bytes can
//! be the result.
//!
//! # A file that somebody cuts
//! A process that touches a page of a mapped file that has no block behind it is killed with SIGBUS. Against the two
//! ways to get there:
//!
//! - **Full disk:** all blocks are allocated when a log is made, and again when it is opened for writing, so a full
//!   disk is an error there ([`LogError::Io`]) and cannot happen later.
//! - **The file is cut** (`truncate`, `> ttyS0.log`) by somebody who may write it: the file has mode 0600, so that is its
//!   owner or root. Its length is checked when it is opened, and before each read of a read-only handle, whose cursor
//!   then [ends](End::FileCut). That leaves the instant between check and copy; and the writer does not check on
//!   each byte, which would be a system call. An owner who fears that asks [`BootLog::is_whole`] now and then,
//!   passes a sealed memfd to [`BootLog::in_file`], or keeps the log in memory.

mod boot_table;
mod checks;
mod config;
mod cursor;
mod error;
mod excerpt;
mod id;
mod image;
mod image_format;
mod layout;
mod line_counts;
mod lines;
mod log_file;
mod mark_table;
mod marks;
mod memory;
#[cfg(test)]
mod model;
mod protocol;
mod reader;
mod start;
mod storage;
mod stream_files;
mod time;
mod timed_lines;
mod transfer;
mod writer;

pub use config::LogConfig;
pub use cursor::{Cursor, End, GapPolicy, Read};
pub use error::LogError;
pub use excerpt::Excerpt;
pub use id::LogId;
pub use image::LogImage;
pub use marks::{Mark, MarkKind};
pub use reader::{Accounting, Boot, BootLog};
pub use start::{Fit, Located, Start};
pub use stream_files::{StreamFiles, StreamLimits};
pub use time::UnixTime;
pub use timed_lines::TimedLines;
pub use writer::LogWriter;
