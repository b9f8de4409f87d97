//! The boot log: a guest's output in bounded memory, with offsets that never start again.
//!
//! There is one writer. Any number of readers read at any time and never disturb it or each other.
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
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | offset | number of a byte, counted in 64 bits since the log was made |
//! | write offset | offset of the next byte, and number of bytes written: [`BootLog::head`] |
//! | tail | the newest bytes, which are always kept: [`LogConfig::tail`] |
//! | boot | the output from one start or reset of the machine to the next |
//! | epoch | number of a boot: how often the machine was started by then; 0 before its first |
//! | head | the first bytes of a boot, kept when the tail has moved on: [`LogConfig::head`] |
//! | mark | an event with its offset, epoch and time: [`Mark`] |
//! | line time | when a line ended: [`TimedLines`] |
//! | cursor | one reader's place: [`Cursor`] |
//! | gap | bytes that were overwritten before a cursor came to them |
//! | identity | 128 random bits that tell one log from another: [`LogId`] |
//! | image | everything that a log keeps, as a value that can move to another host: [`LogImage`] |
//! | ring | the memory that holds the tail; a little larger than it |
//! | reserved offset | bytes before it, less the ring's size, may be overwritten at any moment |
//! | floor | the ring of a restored log holds nothing before this offset |
//! | seal | a word that is 0 while its writer changes what it guards |
//! | segment | the unit in which readers count newlines |
//!
//! # What is kept
//! The newest [`tail`](LogConfig::tail) bytes, and the first [`head`](LogConfig::head) bytes of
//! each of the last [`boots`](LogConfig::boots) boots that printed anything. All other bytes are
//! overwritten, and their number is exact: `written = kept + overwritten` for the log
//! ([`Accounting`]), `delivered + lost = read` for each [`Cursor`]. Offsets go on when a file is
//! opened again and when a log moves to another host ([`LogImage`]).
//!
//! An offset means something only in one log. Each log has a random [identity](LogId), which goes
//! with it.
//!
//! Beside the bytes there are [marks](Mark), at most [`BootLog::MARKS`], and the newest 4096
//! [line times](TimedLines). Nothing that a guest does makes any of it grow.
//!
//! # What it costs
//! Appending a byte is a load and two stores, and a fence each 4096 bytes: no lock, no allocation,
//! no system call. An append that finds the [doorbell armed](LogWriter::arm) writes to an eventfd,
//! once. The head of a boot is stored twice, in its own place and in the ring. In memory, a page is
//! touched when it is first written: a log with a mark and no output takes one page.
//!
//! In a file a store costs the same, as long as the page is in memory and may be written. When the
//! kernel has begun to write a page to its disk, the next store to this page is a page fault, which
//! may wait for the disk. Put the file on a tmpfs (`/run`), which has no disk. It survives the VMM
//! just as well, and is lost only with the host.
//!
//! # The mapping
//! It is the same in memory and in a file: little-endian 64-bit words up to the heads, each
//! accessed atomically.
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
//! | 64 | 8 | write offset |
//! | 72 | 8 | reserved offset, a multiple of 4096, at most 4096 after the write offset |
//! | 80 | 8 | floor; 0 unless the log was restored |
//! | 88 | 8 | epoch |
//! | 96 | 8 | indices of marks ever used |
//! | 104 | 8 | line times ever written |
//! | 112 | 16 | identity; 0 in a log of a version that knew none |
//! | 128 | 8 | FNV-1a of these 16 bytes, \| 1; stored after them; 0: there is no identity |
//! | 136 | 8 | indices of marks that were left out, so that an older mark keeps its place |
//! | 256 | 16 × 32 | boots, in any order |
//! | 768 | 232 × 32 | marks |
//! | 8192 | 4096 × 32 | line times |
//! | 139264 | `boots` × H | heads, H being `head` rounded up to 4096 |
//! | 139264 + `boots` × H | R | ring, R being `tail` rounded up to 4096, plus 8192 |
//!
//! An entry of a table is four words:
//!
//! | table | words |
//! |---|---|
//! | boots | epoch + 1 (0: unused), first offset, most bytes kept of its head, 0 |
//! | marks | index + 1 (0: being rewritten), offset, time, epoch << 8 \| [kind](MarkKind) |
//! | line times | index + 1 (0: being rewritten), offset after the line, time, 0 |
//!
//! Times are nanoseconds since 1970. Entry *n* of the boots has its head at 139264 + *n* × H, the
//! mark with index *i* is at entry *i* mod 232, the line time *i* at entry *i* mod 4096, and the
//! byte at offset *x* is at *x* mod R in the ring.
//!
//! # Reading while it is written
//! Neither side waits. The writer moves the reserved offset before it overwrites, and the write
//! offset after it has written. A reader copies first. Then it looks at the reserved offset, and
//! drops the copy if any of these bytes may have been overwritten; it is at a gap then, and tells
//! how long the gap is. Boots, marks and line times carry a number that is zeroed first, set last
//! and never used twice. The source of the module `protocol` gives the order of each access and the
//! reason why it suffices; loom checks it.
//!
//! # After SIGKILL
//! The file holds all bytes of each [`append`](LogWriter::append) that has returned, because a
//! store to a shared mapping belongs to the kernel at once. Of an append that was interrupted, it
//! may hold a beginning. Nothing needs to be repaired: the next writer goes on at the write offset.
//!
//! This does not hold if the *host* dies. The kernel writes pages to the disk when it likes and in
//! any order, so the file may be refused ([`LogError::Inconsistent`]) or hold wrong bytes.
//!
//! # A file that somebody cuts
//! A process is killed with SIGBUS if it touches a page of a mapped file that has no block behind
//! it. There are two ways to get there:
//!
//! - **Full disk:** all blocks are allocated when a log is made, and again when it is opened for
//!   writing. So a full disk is an error at that time ([`LogError::Io`]) and cannot happen later.
//! - **The file is cut** (`truncate`, `> ttyS0.log`) by somebody who may write it. The file has
//!   mode 0600, so this can only be its owner or root. The length is checked when the file is
//!   opened, and before each read of a read-only handle, whose cursor then [ends](End::FileCut).
//!   The instant between the check and the copy remains. The writer does not check on each byte,
//!   which would be a system call. An owner who fears a cut asks [`BootLog::is_whole`] now and
//!   then, passes a sealed memfd to [`BootLog::in_file`], or keeps the log in memory.

mod boot_table;
mod checks;
mod config;
mod cursor;
mod error;
mod excerpt;
pub(crate) mod folder;
mod id;
mod image;
mod image_format;
mod known_boots;
mod layout;
mod line_counts;
pub(crate) mod line_text;
mod lines;
mod log_file;
mod mark_table;
mod marks;
mod memory;
#[cfg(test)]
mod model;
pub(crate) mod numbered_files;
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
pub use known_boots::KnownBoot;
pub(crate) use layout::check_sum;
pub use marks::{Mark, MarkKind};
pub use reader::{Accounting, Boot, BootLog};
pub use start::{Fit, Located, Start};
pub use stream_files::{StreamFiles, StreamLimits};
pub use time::UnixTime;
pub use timed_lines::{LineTime, TimedLines};
pub use writer::LogWriter;
