//! What is shown: the console's output on standard output and notices on standard error, in one
//! order, as fast as they are taken.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::sink::Sink;
use crate::output::Stop;

/// Bytes that may wait here. The service keeps the rest, and tells what it cannot keep.
const LIMIT: usize = 256 << 10;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Screen {
    out: Sink,
    err: Sink,
    items: VecDeque<Item>,
    waiting: usize,
    /// Nothing but output is shown.
    quiet: bool,
    /// The terminal is raw, so it does not make CR LF of LF.
    raw: bool,
    /// The last that was shown ended a line.
    at_line_start: bool,
}

#[derive(Debug)]
struct Item {
    to: To,
    bytes: Vec<u8>,
    written: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    Out,
    Err,
}

impl Screen {
    pub(super) fn new(quiet: bool) -> io::Result<Self> {
        Ok(Self {
            out: Sink::new(rustix::stdio::stdout())?,
            err: Sink::new(rustix::stdio::stderr())?,
            items: VecDeque::new(),
            waiting: 0,
            quiet,
            raw: false,
            at_line_start: true,
        })
    }

    pub(super) fn set_raw(&mut self) {
        self.raw = true;
    }

    /// Output of the console.
    pub(super) fn output(&mut self, bytes: Vec<u8>) {
        if let Some(last) = bytes.last() {
            self.at_line_start = *last == b'\n';
            self.put(To::Out, bytes);
        }
    }

    /// A line for the user, unless only output is wanted.
    pub(super) fn tell(&mut self, line: &str) {
        self.ask(&format!("{line}\n"));
    }

    /// A text for the user that begins on a line of its own.
    pub(super) fn ask(&mut self, text: &str) {
        let shares_line = self.out.is_terminal() && self.err.is_terminal();
        let begin = if shares_line && !self.at_line_start {
            "\n"
        } else {
            ""
        };
        self.echo(&format!("{begin}{text}"));
    }

    /// A text for the user that goes on where the last one ended.
    pub(super) fn echo(&mut self, text: &str) {
        if self.quiet || text.is_empty() {
            return;
        }
        self.at_line_start = text.ends_with('\n');
        let is_raw = self.raw && self.err.is_terminal();
        let text = if is_raw {
            text.replace('\n', "\r\n")
        } else {
            text.to_owned()
        };
        self.put(To::Err, text.into_bytes());
    }

    /// Whatever comes next begins on a line of its own.
    pub(super) fn end_line(&mut self) {
        if !self.at_line_start {
            self.echo("\n");
        }
    }

    fn put(&mut self, to: To, bytes: Vec<u8>) {
        self.waiting += bytes.len();
        match self.items.back_mut() {
            Some(last) if last.to == to && last.bytes.len() + bytes.len() <= LIMIT => {
                last.bytes.extend(bytes);
            }
            _ => self.items.push_back(Item {
                to,
                bytes,
                written: 0,
            }),
        }
    }

    /// Whether more may be put here.
    pub(super) fn has_room(&self) -> bool {
        self.waiting < LIMIT
    }

    /// The file that has to become ready before more can be written, if anything waits.
    pub(super) fn waits_for(&self) -> Option<BorrowedFd<'_>> {
        self.items.front().map(|item| self.sink(item.to).as_fd())
    }

    /// Standard output, to see whether its reader is gone.
    pub(super) fn out(&self) -> BorrowedFd<'_> {
        self.out.as_fd()
    }

    fn sink(&self, to: To) -> &Sink {
        match to {
            To::Out => &self.out,
            To::Err => &self.err,
        }
    }

    /// Writes what is taken without a wait.
    pub(super) fn flush(&mut self) -> Result<(), Stop> {
        while let Some(item) = self.items.front_mut() {
            let sink = match item.to {
                To::Out => &self.out,
                To::Err => &self.err,
            };
            let rest = item.bytes.len() - item.written;
            let count = match (sink.write(&item.bytes[item.written..]), item.to) {
                (Ok(count), _) => count,
                (Err(error), To::Out) => return Err(error.into()),
                // Nobody reads notices any more, which is no reason to stop.
                (Err(_), To::Err) => rest,
            };
            if count == 0 {
                break;
            }
            item.written += count;
            self.waiting -= count;
            if count == rest {
                self.items.pop_front();
            }
        }
        Ok(())
    }

    /// Writes all of it, for as long as the limit allows.
    pub(super) fn finish(&mut self, limit: Option<Duration>) -> Result<(), Stop> {
        let deadline = limit.map(|limit| Instant::now() + limit);
        loop {
            self.flush()?;
            let Some(fd) = self.waits_for() else {
                return Ok(());
            };
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(());
            }
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            // Interrupted or not, the next round finds out.
            let _ = poll(&mut [PollFd::new(&fd, PollFlags::OUT)], left.as_ref());
        }
    }
}
