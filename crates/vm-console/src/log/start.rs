//! Where a reader of a log begins.

use super::lines::{LineSearch, Step};
use super::reader::{BootLog, Fetch};

/// Where a reader of the log begins: a [`Cursor`](super::Cursor), a client at attach, a log read.
///
/// [`BootLog::locate`] answers which offset that is, and whether it is the one asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At the oldest byte kept.
    #[default]
    Oldest,
    /// This many bytes before the end, or at the oldest byte from which nothing is missing.
    Newest(u64),
    /// At this offset, kept or not; at the end if the offset was not written yet.
    Offset(u64),
    /// This many lines before the end, or at the oldest byte from which nothing is missing. An
    /// unfinished last line counts as a line.
    Lines(u64),
    /// At the first byte of the boot with this epoch, or of the next boot whose head is kept; at
    /// the end if there is none.
    Boot(u64),
    /// At the first byte of the boot that is running.
    ThisBoot,
    /// At the end: only output that comes from now on.
    Now,
}

/// Where a [`Start`] is in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// The offset at which a cursor with this start begins.
    pub offset: u64,
    /// Whether it is the place asked for.
    pub fit: Fit,
}

/// Whether reading at a [`Located`] offset gives the output asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It does, from the first byte on.
    Exact,
    /// The first byte asked for is not kept any more.
    ///
    /// - [`Offset`](Start::Offset): the offset is the one asked for. A cursor there reports the
    ///   gap.
    /// - [`Newest`](Start::Newest), [`Lines`](Start::Lines): fewer are left than were asked for.
    /// - [`Boot`](Start::Boot): the boot printed nothing, or is too old to be among the
    ///   [boots](BootLog::boots). Reading begins with a later boot. If no heads are kept
    ///   ([`head`](super::LogConfig::head) is 0), the boot may be among them although its first
    ///   byte is gone; a cursor then begins there and reports the gap.
    Gone,
    /// It was not written yet: the offset is beyond the end, or the boot has not begun. Reading
    /// begins at the end.
    NotYet,
}

impl Located {
    fn new(offset: u64, fit: Fit) -> Self {
        Self { offset, fit }
    }
}

impl BootLog {
    /// A budget for [`locate_within`](Self::locate_within) on a thread that serves others too: 64
    /// KiB. They take some 20 µs to search.
    pub const LOOKUP_BUDGET: u64 = 64 << 10;

    /// The offset at which a cursor with this start begins, and whether it is the place asked for.
    ///
    /// The first search for [`Lines`](Start::Lines) may go through the whole log. To bound it, use
    /// [`locate_within`](Self::locate_within).
    ///
    /// ```
    /// use vm_console::{BootLog, Fit, LogConfig, MarkKind, Start, UnixTime};
    ///
    /// let (mut writer, log) = BootLog::in_memory(LogConfig { boots: 2, ..LogConfig::default() })?;
    /// for _ in 0..3 {
    ///     writer.begin_boot(MarkKind::Reset, UnixTime::default());
    ///     writer.append(b"a boot\n");
    /// }
    /// let first = log.locate(Start::Boot(1));
    /// assert_eq!((first.offset, first.fit), (7, Fit::Gone)); // this is where boot 2 begins
    /// let third = log.locate(Start::Boot(3));
    /// assert_eq!((third.offset, third.fit), (14, Fit::Exact));
    /// assert_eq!(log.locate(Start::Boot(4)).fit, Fit::NotYet);
    /// # Ok::<(), vm_console::LogError>(())
    /// ```
    #[must_use]
    pub fn locate(&self, start: Start) -> Located {
        let written = self.head();
        let Start::Lines(count) = start else {
            return self.place(start, written);
        };
        let mut search = LineSearch::new(self, written, count);
        loop {
            if let Some(located) = found(&search.step()) {
                return located;
            }
        }
    }

    /// As [`locate`](Self::locate), but searches no more than about `budget` bytes; `None` if that
    /// was not enough. Ask again later: the search then goes on where it ended.
    ///
    /// Only [`Lines`](Start::Lines) needs a search. It counts newlines by segments (16 KiB each in
    /// a log of up to 1 GiB) and remembers the counts for all handles of this log in the process.
    /// So each byte is searched about once, no matter how many callers ask. A call may exceed its
    /// budget by less than three segments: the newest, which is not full, the one in which the line
    /// is, and the one that crosses the limit. If all counts are known, a call takes some 25 µs in
    /// a log of 64 MiB.
    ///
    /// ```
    /// use vm_console::{BootLog, LogConfig, Start};
    ///
    /// let (mut writer, log) = BootLog::in_memory(LogConfig::default())?;
    /// writer.append(&[b'.'; 500_000]);
    /// assert_eq!(log.locate_within(Start::Lines(10), 100_000), None);
    /// // Other work; then, in a later turn:
    /// let mut turns = 0;
    /// let located = loop {
    ///     turns += 1;
    ///     if let Some(located) = log.locate_within(Start::Lines(10), 100_000) {
    ///         break located;
    ///     }
    /// };
    /// assert_eq!((located.offset, turns), (0, 4));
    /// # Ok::<(), vm_console::LogError>(())
    /// ```
    #[must_use]
    pub fn locate_within(&self, start: Start, budget: u64) -> Option<Located> {
        let written = self.head();
        let Start::Lines(count) = start else {
            return Some(self.place(start, written));
        };
        let mut search = LineSearch::new(self, written, count);
        let mut looked_through = 0;
        loop {
            let step = search.step();
            if let Step::Counted(bytes @ 1..) = step {
                looked_through += bytes;
                if looked_through >= budget {
                    return None;
                }
            }
            if let Some(located) = found(&step) {
                return Some(located);
            }
        }
    }

    /// The place of any start except [`Lines`](Start::Lines).
    fn place(&self, start: Start, written: u64) -> Located {
        match start {
            Start::Oldest => Located::new(self.oldest().min(written), Fit::Exact),
            Start::Newest(count) => {
                let wanted = written.saturating_sub(count);
                let run = self.newest_run(written);
                if wanted < run {
                    Located::new(run, Fit::Gone)
                } else {
                    Located::new(wanted, Fit::Exact)
                }
            }
            Start::Offset(offset) if offset > written => Located::new(written, Fit::NotYet),
            Start::Offset(offset) => Located::new(offset, self.fit_at(offset)),
            Start::ThisBoot => self.place(Start::Boot(self.epoch()), written),
            Start::Boot(epoch) => {
                let table = self.boot_table(written);
                match table.entries().iter().find(|entry| entry.epoch >= epoch) {
                    Some(entry) if entry.epoch == epoch => {
                        Located::new(entry.start, self.fit_at(entry.start))
                    }
                    Some(later) => Located::new(later.start, Fit::Gone),
                    None => Located::new(written, Fit::NotYet),
                }
            }
            Start::Now | Start::Lines(_) => Located::new(written, Fit::Exact),
        }
    }

    fn fit_at(&self, offset: u64) -> Fit {
        match self.fetch(offset, &mut [0]) {
            Fetch::GoneUntil(_) => Fit::Gone,
            // At the end of the log, the next byte written is the one asked for.
            Fetch::Bytes(_) | Fetch::NotYet | Fetch::Cut => Fit::Exact,
        }
    }
}

/// The place that a search for lines has found; `None` if it goes on.
fn found(step: &Step) -> Option<Located> {
    match *step {
        Step::Found(offset) => Some(Located::new(offset, Fit::Exact)),
        // There are fewer lines, but nothing is missing.
        Step::Fewer(0) => Some(Located::new(0, Fit::Exact)),
        Step::Fewer(offset) => Some(Located::new(offset, Fit::Gone)),
        Step::Counted(_) => None,
    }
}
