//! A terminal in raw mode, and its restoration.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::OFlags;
use rustix::termios::{OptionalActions, Termios};

/// A terminal in full raw mode. Dropping this puts the terminal back as it was: every setting, and
/// whether it blocks.
///
/// It is dropped on early returns and on panics that unwind too, but not at a signal. For that
/// there is the [`TerminalRestorer`], and [`Signals`](crate::signals::Signals) uses one.
#[derive(Debug)]
#[must_use = "the terminal is put back when this is dropped"]
pub struct Terminal {
    restorer: TerminalRestorer,
}

/// Puts a terminal back as it was. It can be cloned, called more than once, and used from any
/// thread.
///
/// While the process is a background job of a shell, no method changes anything. The terminal is
/// the shell's then, which has settings of its own, and the attempt would stop the process
/// (SIGTTOU).
#[derive(Clone, Debug)]
pub struct TerminalRestorer {
    shared: Arc<Mutex<Option<Saved>>>,
}

/// The settings of the terminal: those from before, and those in raw mode.
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
        // It fails if the terminal has hung up, which needs no settings.
        let _ = rustix::termios::tcsetattr(&self.terminal, OptionalActions::Now, &self.settings);
        let _ = rustix::fs::fcntl_setfl(&self.terminal, self.flags);
    }

    fn take_again(&self) {
        if self.is_in_background() {
            return;
        }
        // It fails if the terminal has hung up, and the next read shows that.
        let _ = rustix::termios::tcsetattr(&self.terminal, OptionalActions::Now, &self.raw);
    }

    /// Whether this is the controlling terminal, with another process group in the foreground.
    fn is_in_background(&self) -> bool {
        rustix::termios::tcgetpgrp(&self.terminal)
            .is_ok_and(|foreground| foreground != rustix::process::getpgrp())
    }
}

impl Terminal {
    /// Puts the terminal `fd` into raw mode: no echo, no line editing, no signals from keys, no
    /// translation of CR and LF either way, eight bits. Returns `None` if `fd` is no terminal.
    ///
    /// # Errors
    /// The terminal's settings cannot be read or changed, or no descriptor is left.
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

    /// A handle that can put the terminal back from any thread.
    #[must_use]
    pub fn restorer(&self) -> TerminalRestorer {
        self.restorer.clone()
    }
}

impl TerminalRestorer {
    /// Puts the terminal back as it was, for good: all later calls do nothing.
    pub fn restore(&self) {
        if let Some(saved) = self.saved().take() {
            saved.put_back();
        }
    }

    /// Puts the terminal back as it was until [`resume`](Self::resume), because the process is
    /// about to stop.
    pub fn suspend(&self) {
        if let Some(saved) = &*self.saved() {
            saved.put_back();
        }
    }

    /// Makes the terminal raw again after a stop, whatever settings a shell has given it meanwhile.
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
