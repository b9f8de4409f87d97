//! The terminal, as long as the session has it.

use std::io;

use vm_console::signals::{Signals, die_by};
use vm_console::transport::terminal::Terminal as Raw;

use super::window::{Title, Window};

/// A terminal in raw mode with a window. Dropping it puts everything back; so do signals that end
/// the program, and those that stop it.
#[derive(Debug)]
pub(super) struct Terminal {
    raw: Raw,
    title: Option<Title>,
    window: Window,
}

impl Terminal {
    /// Takes the terminal at standard input; `None` if that is none.
    pub(super) fn take(title: Option<&str>) -> io::Result<Option<Self>> {
        // First, so that no signal comes in between.
        let signals = Signals::hold()?;
        let Some(raw) = Raw::raw(rustix::stdio::stdin())? else {
            return Ok(None);
        };
        let window = Window::new()?;
        let title = title.and_then(Title::set);
        let (restorer, shown) = (raw.restorer(), title.clone());
        signals.answer(Some(raw.restorer()), move |signal| {
            if let Some(title) = &shown {
                title.put_back();
            }
            restorer.restore();
            die_by(signal)
        })?;
        Ok(Some(Self { raw, title, window }))
    }

    pub(super) fn window(&self) -> &Window {
        &self.window
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(title) = &self.title {
            title.put_back();
        }
        self.raw.restorer().restore();
    }
}
