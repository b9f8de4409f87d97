//! Output with the time before each line.

use super::line_times::ShownTimes;
use super::screen::Screen;
use crate::output::Stop;
use crate::source::LogSource;

/// Puts times before lines. It goes by the log alone, not by how its bytes come in pieces, so that
/// a file and a socket give the same text.
pub(super) struct TimedText {
    times: ShownTimes,
    /// The beginning of a line whose end has not come. Nothing of it is shown.
    held: Vec<u8>,
    /// Where `held` ends.
    at: u64,
    /// The beginning of the line is shown.
    within_line: bool,
}

/// A longer line gets the time of its first bytes.
const LONG_LINE: usize = 64 << 10;

impl TimedText {
    pub(super) fn new(times: ShownTimes, at: u64) -> Self {
        Self {
            times,
            held: Vec::new(),
            at,
            within_line: false,
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8], screen: &mut Screen) -> Result<(), Stop> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let is_whole = piece.ends_with(b"\n");
            let mut rest = piece;
            while !rest.is_empty() {
                let room = if self.within_line {
                    rest.len()
                } else {
                    LONG_LINE - self.held.len()
                };
                let (now, later) = rest.split_at(room.min(rest.len()));
                rest = later;
                self.at += now.len() as u64;
                if self.within_line {
                    screen.write(now)?;
                } else if self.held.is_empty() && is_whole && rest.is_empty() {
                    self.begin_line(screen)?;
                    screen.write(now)?;
                } else {
                    self.held.extend_from_slice(now);
                    if self.held.len() == LONG_LINE || is_whole && rest.is_empty() {
                        self.show_held(screen)?;
                    }
                }
            }
            if is_whole {
                self.within_line = false;
            }
        }
        Ok(())
    }

    /// Bytes are missing here, or another boot begins: the line is over.
    pub(super) fn break_line(&mut self, next: u64, screen: &mut Screen) -> Result<(), Stop> {
        self.show_held(screen)?;
        if std::mem::take(&mut self.within_line) {
            screen.write(b"\n")?;
        }
        self.at = next;
        Ok(())
    }

    /// Nothing more comes for now: what there is of a line is shown.
    pub(super) fn show_held(&mut self, screen: &mut Screen) -> Result<(), Stop> {
        if !self.held.is_empty() {
            self.begin_line(screen)?;
            screen.write(&self.held)?;
            self.held.clear();
            self.within_line = true;
        }
        Ok(())
    }

    /// Takes over times that have become known since.
    pub(super) fn refresh(&mut self, source: &mut dyn LogSource) -> Result<(), Stop> {
        self.times
            .refresh(source)
            .map_err(crate::failure::Failure::from)?;
        Ok(())
    }

    fn begin_line(&mut self, screen: &mut Screen) -> Result<(), Stop> {
        let at = self.times.at(self.at);
        screen.write(at.as_bytes())?;
        screen.write(b" ")
    }
}
