//! The search for the beginning of a line, from the end of the log backwards.

use super::line_counts::newlines;
use super::reader::BootLog;

/// A search from the end of a log back to the beginning of a line, a segment at a time.
pub(super) struct LineSearch<'a> {
    log: &'a BootLog,
    /// The first offset from which nothing is missing.
    lowest: u64,
    /// Everything from this offset on has been searched.
    end: u64,
    /// Newlines still to be found.
    left: u64,
}

/// The result of a step.
pub(super) enum Step {
    /// The line begins here.
    Found(u64),
    /// There are fewer lines than asked for. This is the oldest byte that was searched.
    Fewer(u64),
    /// The search goes on. This many bytes were counted for the first time.
    Counted(u64),
}

/// Bytes copied and searched at a time.
const CHUNK: u64 = 16 << 10;

impl<'a> LineSearch<'a> {
    /// A search for the line that begins `count` lines before the write offset `written`.
    pub(super) fn new(log: &'a BootLog, written: u64, count: u64) -> Self {
        Self {
            log,
            lowest: log.newest_run(written),
            // The newline that ends the last line is not the beginning of another.
            end: written.saturating_sub(u64::from(count > 0)),
            left: count,
        }
    }

    /// Searches another segment, or takes its count from memory.
    pub(super) fn step(&mut self) -> Step {
        if self.left == 0 {
            return Step::Found(self.end);
        }
        if self.end <= self.lowest {
            return Step::Fewer(self.lowest);
        }
        let counts = self.log.line_counts();
        let index = (self.end - 1) / counts.segment();
        let begin = index * counts.segment();
        let is_whole = self.end == begin + counts.segment();
        if let Some(known) = counts.get(index).filter(|_| is_whole)
            && known < self.left
        {
            self.left -= known;
            self.end = begin;
            return Step::Counted(0);
        }
        let (before, whole_end) = (self.left, self.end);
        if let Some(step) = self.look_back_to(begin.max(self.lowest)) {
            return step;
        }
        if is_whole && begin >= self.lowest {
            counts.set(index, before - self.left);
            return Step::Counted(whole_end - begin);
        }
        Step::Counted(0)
    }

    /// Searches back to the offset `begin`; `None` if the line begins before it.
    fn look_back_to(&mut self, begin: u64) -> Option<Step> {
        let mut room = [0; CHUNK as usize];
        while self.end > begin {
            let from = self.end.saturating_sub(CHUNK).max(begin);
            let bytes = &mut room[..(self.end - from) as usize];
            if !self.log.fill(from, bytes) {
                // The writer has overtaken the search.
                return Some(Step::Fewer(self.end));
            }
            let found = newlines(bytes);
            if found >= self.left {
                let mut ends = bytes
                    .iter()
                    .enumerate()
                    .rev()
                    .filter(|&(_, &byte)| byte == b'\n');
                let last = ends.nth((self.left - 1) as usize);
                return last.map(|(at, _)| Step::Found(from + at as u64 + 1));
            }
            self.left -= found;
            self.end = from;
        }
        None
    }
}
