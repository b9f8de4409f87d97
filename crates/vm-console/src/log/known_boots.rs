//! Every boot that a log knows: from the heads it keeps, and from its marks.

use std::collections::BTreeMap;

use super::marks::MarkKind;
use super::reader::BootLog;
use super::time::UnixTime;

/// A boot, and how much of its output is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownBoot {
    /// Its number; 0 is what was printed before the first boot.
    pub epoch: u64,
    /// How it began, by [`PowerOn`](MarkKind::PowerOn) or [`Reset`](MarkKind::Reset), and when.
    /// `None` if its mark is not kept, and for 0.
    pub began: Option<(MarkKind, UnixTime)>,
    /// The offset of its first byte.
    pub start: u64,
    /// The offset at which the next known boot begins; the log's [head](BootLog::head) for the last
    /// one.
    pub end: u64,
    /// The offset of its first byte that can still be read; `end` if there is none.
    pub oldest: u64,
    /// How many of its bytes can still be read.
    pub kept: u64,
}

impl BootLog {
    /// Every boot that the log knows, oldest first: those whose heads are kept
    /// ([`boots`](Self::boots)), and those of which a mark is left. There are no more than both
    /// together, 16 and [`MARKS`](Self::MARKS).
    ///
    /// ```
    /// use vm_console::{BootLog, LogConfig, MarkKind, UnixTime};
    ///
    /// let sizes = LogConfig { tail: 4, head: 2, boots: 1 };
    /// let (mut writer, log) = BootLog::in_memory(sizes)?;
    /// for output in ["early", "later on"] {
    ///     writer.begin_boot(MarkKind::Reset, UnixTime::from_nanos(1));
    ///     writer.append(output.as_bytes());
    /// }
    /// let boots = log.known_boots();
    /// let spans: Vec<_> = boots.iter().map(|boot| (boot.start, boot.end)).collect();
    /// assert_eq!(spans, [(0, 5), (5, 13)]);
    /// // Of the second boot, "la" is kept as its head, and "r on" as the newest output.
    /// let left: Vec<_> = boots.iter().map(|boot| (boot.oldest, boot.kept)).collect();
    /// assert_eq!(left, [(5, 0), (5, 6)]);
    /// # Ok::<(), vm_console::LogError>(())
    /// ```
    #[must_use]
    pub fn known_boots(&self) -> Vec<KnownBoot> {
        let written = self.head();
        let ring = self.ring_oldest(written);
        let table = self.boot_table(written);
        let mut known = BTreeMap::new();
        for mark in self.marks() {
            let begins_boot = matches!(mark.kind, MarkKind::PowerOn | MarkKind::Reset);
            // A boot that has begun since is left to the next call.
            if begins_boot && mark.offset <= written {
                let boot = KnownBoot {
                    epoch: mark.epoch,
                    began: Some((mark.kind, mark.at)),
                    start: mark.offset,
                    end: written,
                    oldest: written,
                    kept: 0,
                };
                known.insert(mark.epoch, (boot, mark.offset));
            }
        }
        for entry in table.entries() {
            let boot = KnownBoot {
                epoch: entry.epoch,
                began: None,
                start: entry.start,
                end: written,
                oldest: written,
                kept: 0,
            };
            let (boot, head_end) = known.entry(entry.epoch).or_insert((boot, entry.start));
            (boot.start, *head_end) = (entry.start, entry.head_end);
        }
        let mut known: Vec<_> = known.into_values().collect();
        let mut next_start = written;
        for (boot, head_end) in known.iter_mut().rev() {
            // In a sound file, boots begin in the order of their epochs.
            boot.start = boot.start.min(next_start);
            boot.end = next_start;
            next_start = boot.start;
            let of_head = (boot.start, (*head_end).min(ring).min(boot.end));
            let of_ring = (boot.start.max(ring), boot.end);
            let runs = [of_head, of_ring];
            let mut left = runs.into_iter().filter(|(from, to)| from < to);
            boot.kept = left.clone().map(|(from, to)| to - from).sum();
            boot.oldest = left.next().map_or(boot.end, |(from, _)| from);
        }
        let mut known: Vec<_> = known.into_iter().map(|(boot, _)| boot).collect();
        // Before the first boot there is mostly nothing.
        known.retain(|boot| boot.epoch > 0 || boot.start < boot.end);
        known
    }
}
