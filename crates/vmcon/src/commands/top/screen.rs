//! The terminal while all of it is drawn on, and how it comes back.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::thread;
use std::time::Duration;

use crossterm::cursor::{Hide, Show};
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen};
use ratatui::Frame;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::{Position, Rect};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use vm_console::transport::terminal::{Terminal, TerminalRestorer};

use crate::failure::{Code, Failure};
use crate::job::stop_until_in_foreground;
use crate::output::{Stop, terminal_is_dumb};

/// One frame, and more.
const BUFFER: usize = 64 << 10;
/// A closed terminal comes with a signal, which has its say first.
const SIGNAL: Duration = Duration::from_millis(1500);

/// A terminal in raw mode that shows its alternate screen. Both end when this is dropped, and when
/// the program panics.
#[derive(Debug)]
pub(super) struct Screen {
    /// Taken when this is dropped.
    drawing: Option<Drawing>,
    /// Drop puts it back.
    raw: Terminal,
}

type Drawing = ratatui::Terminal<CrosstermBackend<BufWriter<Stdout>>>;

impl Screen {
    /// # Errors
    /// Standard input and output are not both a terminal, or it cannot be drawn on.
    pub(super) fn enter() -> Result<Self, Stop> {
        let refused = |text| Stop::from(Failure::new(Code::Usage, text));
        let no_terminal = "top draws on a terminal, and this is none; see `vmcon ls`";
        if !io::stdout().is_terminal() {
            return Err(refused(no_terminal));
        }
        if terminal_is_dumb() {
            return Err(refused(
                "top draws all over the terminal, which one with TERM=dumb cannot; see `vmcon ls`",
            ));
        }
        let raw = Terminal::raw(io::stdin())?.ok_or_else(|| refused(no_terminal))?;
        leave_at_panic(raw.restorer());
        // From here on its drop leaves again.
        let mut screen = Self { drawing: None, raw };
        show()?;
        end_when_closed()?;
        let writer = BufWriter::with_capacity(BUFFER, io::stdout());
        screen.drawing = Some(ratatui::Terminal::new(CrosstermBackend::new(writer))?);
        Ok(screen)
    }

    /// Puts the terminal back from any thread.
    pub(super) fn restorer(&self) -> TerminalRestorer {
        self.raw.restorer()
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Result<(), Stop> {
        if let Some(drawing) = &mut self.drawing {
            drawing.draw(draw)?;
        }
        Ok(())
    }

    /// Rings the terminal's bell.
    pub(super) fn ring() -> Result<(), Stop> {
        let mut out = io::stdout();
        out.write_all(b"\x07")?;
        Ok(out.flush()?)
    }

    /// Shows what was there before, in the terminal's own mode, until [`resume`](Self::resume).
    pub(super) fn suspend(&self) {
        // It fails if the terminal is closed.
        let _ = hide();
        self.raw.restorer().suspend();
    }

    /// Takes the terminal again, whatever was done to it meanwhile. All of it is drawn next time.
    pub(super) fn resume(&mut self) -> Result<(), Stop> {
        self.raw.restorer().resume();
        show()?;
        if let Some(drawing) = &mut self.drawing {
            // Its `clear` would ask the terminal where the cursor is, and wait for an answer.
            let size = drawing.size()?;
            drawing.resize(Rect::from((Position::ORIGIN, size)))?;
        }
        Ok(())
    }

    /// Stops the program, as a job of its shell, until that has it in the foreground again.
    pub(super) fn stop(&mut self) -> Result<(), Stop> {
        self.suspend();
        stop_until_in_foreground();
        self.resume()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.suspend();
        // Its own drop would write to standard error, and panic if that is gone as well.
        std::mem::forget(self.drawing.take());
    }
}

fn show() -> io::Result<()> {
    execute!(io::stdout(), EnterAlternateScreen, Hide)
}

fn hide() -> io::Result<()> {
    execute!(io::stdout(), LeaveAlternateScreen, Show)
}

/// Ends the program when its terminal is closed: there is nothing to put back. The thread that
/// waits for keys cannot do it, because it does not return from a terminal that has hung up.
fn end_when_closed() -> io::Result<()> {
    let wait = || {
        let stdin = io::stdin();
        let mut hang_up = [PollFd::new(&stdin, PollFlags::empty())];
        // It is interrupted by signals. Other errors are those of a descriptor that is not open.
        while poll(&mut hang_up, None) == Err(Errno::INTR) {}
        thread::sleep(SIGNAL);
        std::process::exit(0);
    };
    let thread = thread::Builder::new().name("hang-up".to_owned());
    thread.spawn(wait).map(drop)
}

/// Makes a panic of any thread put the terminal back before its message is written, and end the
/// program.
fn leave_at_panic(restorer: TerminalRestorer) {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let _ = hide();
        restorer.restore();
        report(info);
        std::process::exit(101);
    }));
}
