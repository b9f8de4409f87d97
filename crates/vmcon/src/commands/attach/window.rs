//! The size of the terminal's window, and its title.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use signal_hook::consts::{SIGCONT, SIGWINCH};

use super::sink::Sink;
use crate::output::terminal_is_dumb;

/// Tells when the window changes its size.
#[derive(Debug)]
pub(super) struct Window {
    bell: UnixStream,
}

impl Window {
    pub(super) fn new() -> io::Result<Self> {
        let (bell, ringer) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        // A stopped program is not told.
        for signal in [SIGWINCH, SIGCONT] {
            signal_hook::low_level::pipe::register(signal, ringer.try_clone()?)?;
        }
        Ok(Self { bell })
    }

    /// Takes note of what was told.
    pub(super) fn clear(&self) {
        // One read suffices: signals during it ring again.
        let _ = rustix::io::read(&self.bell, &mut [0; 64]);
    }
}

/// Columns and rows.
pub(super) fn size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stdin()).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

impl AsFd for Window {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

/// A title of the window, until it is dropped or [put back](Title::put_back).
#[derive(Clone, Debug)]
pub(super) struct Title(Arc<Mutex<Option<Sink>>>);

impl Title {
    /// Sets the title, and lets the terminal keep the one before it on its stack. `None` if
    /// standard output is no terminal that knows titles.
    pub(super) fn set(text: &str) -> Option<Self> {
        let sink = Sink::new(rustix::stdio::stdout()).ok()?;
        if terminal_is_dumb() || !sink.is_terminal() {
            return None;
        }
        let text = format!("\x1b[22;2t\x1b]2;{text}\x07");
        // A terminal that takes nothing for now has no title, either.
        sink.write(text.as_bytes()).ok()?;
        Some(Self(Arc::new(Mutex::new(Some(sink)))))
    }

    /// Puts the title from before back, once.
    pub(super) fn put_back(&self) {
        let sink = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sink) = sink {
            let _ = sink.write(b"\x1b[23;2t");
        }
    }
}
