//! Where a reader of a log begins.

use super::lines::{LineSearch, Step};
use super::reader::{BootLog, Fetch};

/// Where a reader of the log begins: a [`Cursor`](super::Cursor), a client at attach, a log read.
///
/// [`BootLog::locate`] says which offset that is, and whether it is what was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At the oldest byte that is kept.
    #[default]
    Oldest,
    /// So many bytes before the end, or at the oldest byte from which nothing is missing.
    Newest(u64),
    /// At this offset, kept or not; at the end if it was not written yet.
    Offset(u64),
    /// So many lines before the end, or at the oldest byte from which nothing is missing. An unfinished last line
    /// counts as a line.
    Lines(u64),
    /// At the first byte of this boot, or of the next one that is kept; at the end if there is none.
    Boot(u64),
    /// At the first byte of the boot that is running.
    ThisBoot,
    /// At the end: nothing of what was printed before.
    Now,
}

/// Where a [`Start`] is in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// The offset at which a cursor with this start begins.
    pub offset: u64,
    /// Whether that is what was asked for.
    pub fit: Fit,
}

/// Whether reading at a [`Located`] offset gives what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It does, from the first byte.
    Exact,
    /// The first byte asked for is not kept any more.
    ///
    /// - [`Offset`](Start::Offset): the offset is the one asked for, and a cursor there tells how much is gone.
    /// - [`Newest`](Start::Newest), [`Lines`](Start::Lines): fewer are left than were asked for.
    /// - [`Boot`](Start::Boot): it printed nothing, or was too long ago to be in the table of
    ///   [boots](BootLog::boots); reading begins with a later boot. Or it is in the table and its first byte is
    ///   gone, which can be only where no [`head`](super::LogConfig::head) is kept; a cursor tells how much is gone.
    Gone,
    /// It was not written yet: an offset beyond the end, or a boot that has not begun. Reading begins at the end.
    NotYet,
}

impl Located {
    fn new(offset: u64, fit: Fit) -> Self {
        Self { offset, fit }
    }
}

impl BootLog {
    /// A budget for [`locate_within`](Self::locate_within) that suits a thread which serves others too: 512 KiB, which
    /// take some 150 µs to look through.
    pub const LOOKUP_BUDGET: u64 = 512 << 10;

    /// Where `start` is, and whether that is what was asked for. A cursor with this start begins there.
    ///
    /// The first search for [`Lines`](Start::Lines) may look through the whole log; see
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

    /// As [`locate`](Self::locate), but looks through at most some `budget` bytes (one block more, which is 16 KiB in a
    /// log of up to 1 GiB). `None` if that was not enough: ask again later.
    ///
    /// Only [`Lines`](Start::Lines) needs to look through bytes. Newlines once counted are remembered for this handle
    /// and all its clones, so a search that is asked for again goes on where it ended, and each byte of a log is looked
    /// through about once, however many ask. The next search costs a look at each block's count and at less than three
    /// blocks' bytes: some 25 µs in a log of 64 MiB.
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

    /// Where any start but [`Lines`](Start::Lines) is.
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

/// What a search for lines has found, once it has.
fn found(step: &Step) -> Option<Located> {
    match *step {
        Step::Found(offset) => Some(Located::new(offset, Fit::Exact)),
        // All that was ever written is what was asked for, however few lines that are.
        Step::Fewer(0) => Some(Located::new(0, Fit::Exact)),
        Step::Fewer(offset) => Some(Located::new(offset, Fit::Gone)),
        Step::Counted(_) => None,
    }
}
