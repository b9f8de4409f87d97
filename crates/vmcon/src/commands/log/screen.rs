//! Where output of a guest is shown: a terminal, a pipe or a file.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use vm_console::replay_guard::ReplayGuard;

use crate::output::{Stop, notice};
use crate::text::style::Style;

/// Standard output, for bytes of a guest.
pub(super) struct Screen {
    out: BufWriter<File>,
    /// At a terminal, unless exact bytes are wanted.
    guard: Option<ReplayGuard>,
    shown: Vec<u8>,
    /// How a notice within the text looks.
    style: Style,
    /// Whether the last byte that was shown ended a line.
    at_line_start: bool,
    may_be_styled: bool,
    quiet: bool,
}

/// Plain text and a visible cursor, whatever the guest has left.
pub(super) const RESET: &[u8] = b"\x1b[0m\x1b[?25h";

/// Bytes that are gathered before they are written.
const GATHERED: usize = 64 << 10;

impl Screen {
    /// `exact`: a terminal gets all bytes, too, and questions to it among them. `quiet`: there are
    /// no notices. `style` is that of notices within the text.
    pub(super) fn new(exact: bool, quiet: bool, style: Style) -> Result<Self, Stop> {
        let out = io::stdout();
        let is_terminal = out.is_terminal();
        Ok(Self {
            // Not through the line buffer of standard output, which writes each line by itself.
            out: BufWriter::with_capacity(GATHERED, out.as_fd().try_clone_to_owned()?.into()),
            guard: (is_terminal && !exact).then(ReplayGuard::default),
            shown: Vec::new(),
            style,
            at_line_start: true,
            may_be_styled: false,
            quiet,
        })
    }

    /// Whether it is a terminal that is not to get all bytes.
    pub(super) fn is_guarded(&self) -> bool {
        self.guard.is_some()
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let shown = match &mut self.guard {
            None => bytes,
            Some(guard) => {
                self.shown.clear();
                guard.filter(bytes, &mut self.shown);
                self.may_be_styled |= self.shown.contains(&0x1b);
                &self.shown
            }
        };
        if let Some(last) = shown.last() {
            self.at_line_start = *last == b'\n';
        }
        Ok(self.out.write_all(shown)?)
    }

    /// What follows was not printed right after what was written: a sequence does not go on in it.
    pub(super) fn interrupt(&mut self) {
        if let Some(guard) = &mut self.guard {
            guard.interrupt();
        }
    }

    /// Tells that bytes are missing here.
    pub(super) fn lost(&mut self, count: u64) -> Result<(), Stop> {
        self.interrupt();
        self.note(&format!("{count} bytes lost"))
    }

    /// Tells something about the place here: within the text at a terminal, else on standard error.
    pub(super) fn note(&mut self, text: &str) -> Result<(), Stop> {
        if self.quiet {
            return Ok(());
        }
        if !self.is_guarded() {
            self.flush()?;
            notice(format_args!("[{text}]\n"));
            return Ok(());
        }
        let line = if self.at_line_start { "" } else { "\n" };
        let (begin, end) = self.style.codes();
        self.at_line_start = true;
        writeln!(self.out, "{line}{begin}[{text}]{end}")?;
        Ok(())
    }

    /// Everything so far is to be seen now.
    pub(super) fn flush(&mut self) -> Result<(), Stop> {
        Ok(self.out.flush()?)
    }

    /// Fails if nobody will read what comes, which nothing that is written would tell for now.
    pub(super) fn check_reader(&self) -> Result<(), Stop> {
        let mut fds = [PollFd::new(self.out.get_ref(), PollFlags::empty())];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // If this fails, the next write tells as well.
        let _ = poll(&mut fds, Some(&at_once));
        if fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) {
            return Err(Stop::OutputGone);
        }
        Ok(())
    }

    /// The end. A terminal is left as a guest should have left it.
    pub(super) fn finish(&mut self) -> Result<(), Stop> {
        if let Some(guard) = &mut self.guard {
            self.shown.clear();
            guard.finish(&mut self.shown);
            self.out.write_all(&self.shown)?;
        }
        if self.may_be_styled {
            self.out.write_all(RESET)?;
        }
        self.flush()
    }
}
