//! Finding the line that is so many lines before the end.

use super::line_counts::newlines;
use super::reader::BootLog;

/// A search from the end of a log back to the beginning of a line, a block at a time.
pub(super) struct LineSearch<'a> {
    log: &'a BootLog,
    /// The first offset from which nothing is missing.
    lowest: u64,
    /// What is at and after this offset was looked through.
    end: u64,
    /// Newlines still to be found.
    left: u64,
}

/// What a step of the search came to.
pub(super) enum Step {
    /// The line begins here.
    Found(u64),
    /// There are fewer lines than asked for; the oldest byte that was looked through is here.
    Fewer(u64),
    /// So many bytes were counted that nobody had counted before, and are remembered.
    Counted(u64),
}

/// Bytes copied and looked through at a time.
const CHUNK: u64 = 16 << 10;

impl<'a> LineSearch<'a> {
    /// For the line `count` lines before `written`, the write offset.
    pub(super) fn new(log: &'a BootLog, written: u64, count: u64) -> Self {
        Self {
            log,
            lowest: log.newest_run(written),
            // The newline that ends the last line is not the beginning of another.
            end: written.saturating_sub(u64::from(count > 0)),
            left: count,
        }
    }

    /// Looks through another block, or takes its count from memory.
    pub(super) fn step(&mut self) -> Step {
        if self.left == 0 {
            return Step::Found(self.end);
        }
        if self.end <= self.lowest {
            return Step::Fewer(self.lowest);
        }
        let counts = self.log.line_counts();
        let index = (self.end - 1) / counts.block();
        let begin = index * counts.block();
        let is_whole = self.end == begin + counts.block();
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

    /// Looks through everything down to `begin`; `None` if more lines are wanted.
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
