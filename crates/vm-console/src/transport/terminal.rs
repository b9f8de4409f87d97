//! A terminal in raw mode, and the way back from it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::OFlags;
use rustix::termios::{OptionalActions, Termios};

/// A terminal in full raw mode, put back as it was when this is dropped: every setting, and whether
/// it blocks.
///
/// It is a guard and not a switch: dropping also happens on early returns and on panics that
/// unwind. No drop happens at a signal; there a [`TerminalRestorer`] is needed, and
/// [`Signals`](crate::signals::Signals) is a ready use of one.
#[derive(Debug)]
#[must_use = "the terminal is put back when this is dropped"]
pub struct Terminal {
    restorer: TerminalRestorer,
}

/// Puts a terminal back; can be cloned, called more than once, and used from any thread.
///
/// All of it is for the process that has the terminal. A background job of a shell changes nothing:
/// the terminal is then the shell's, which has settings of its own, and the attempt would stop the
/// process (SIGTTOU).
#[derive(Clone, Debug)]
pub struct TerminalRestorer {
    shared: Arc<Mutex<Option<Saved>>>,
}

/// What the terminal was like, and what it is like while it is ours.
#[derive(Debug)]
struct Saved {
    terminal: OwnedFd,
    settings: Termios,
    raw: Termios,
    flags: OFlags,
}

impl Saved {
    fn put_back(&self) {
        if self.is_in_background() {
            return;
        }
        // A terminal that hung up needs nothing put back.
        let _ = rustix::termios::tcsetattr(&self.terminal, OptionalActions::Now, &self.settings);
        let _ = rustix::fs::fcntl_setfl(&self.terminal, self.flags);
    }

    fn take_again(&self) {
        if self.is_in_background() {
            return;
        }
        // A terminal that hung up cannot be raw, and the next read says so.
        let _ = rustix::termios::tcsetattr(&self.terminal, OptionalActions::Now, &self.raw);
    }

    /// Whether our controlling terminal has other processes in the foreground.
    fn is_in_background(&self) -> bool {
        rustix::termios::tcgetpgrp(&self.terminal)
            .is_ok_and(|foreground| foreground != rustix::process::getpgrp())
    }
}

impl Terminal {
    /// Puts the terminal that `fd` refers to into raw mode: no echo, no lines, no signals from
    /// keys, no translation of CR and LF either way, eight bits. `None` if it is no terminal.
    ///
    /// # Errors
    /// The terminal refuses.
    pub fn raw(fd: impl AsFd) -> io::Result<Option<Self>> {
        if !rustix::termios::isatty(&fd) {
            return Ok(None);
        }
        let terminal = rustix::io::fcntl_dupfd_cloexec(&fd, 3)?;
        let settings = rustix::termios::tcgetattr(&terminal)?;
        let flags = rustix::fs::fcntl_getfl(&terminal)?;
        let mut raw = settings.clone();
        raw.make_raw();
        rustix::termios::tcsetattr(&terminal, OptionalActions::Flush, &raw)?;
        let saved = Saved {
            terminal,
            settings,
            raw,
            flags,
        };
        Ok(Some(Self {
            restorer: TerminalRestorer {
                shared: Arc::new(Mutex::new(Some(saved))),
            },
        }))
    }

    /// Something that can put the terminal back from elsewhere.
    #[must_use]
    pub fn restorer(&self) -> TerminalRestorer {
        self.restorer.clone()
    }
}

impl TerminalRestorer {
    /// Puts the terminal back as it was, for good: later calls of anything here do nothing.
    pub fn restore(&self) {
        if let Some(saved) = self.saved().take() {
            saved.put_back();
        }
    }

    /// Puts the terminal back as it was until [`resume`](Self::resume): the process is about to
    /// stop.
    pub fn suspend(&self) {
        if let Some(saved) = &*self.saved() {
            saved.put_back();
        }
    }

    /// Makes the terminal raw again after a stop, whatever a shell has made of it meanwhile.
    pub fn resume(&self) {
        if let Some(saved) = &*self.saved() {
            saved.take_again();
        }
    }

    fn saved(&self) -> MutexGuard<'_, Option<Saved>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.restorer.restore();
    }
}
