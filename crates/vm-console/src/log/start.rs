//! Where a reader of a log begins.

use super::reader::BootLog;

/// Where a reader of the log begins: a [`Cursor`](super::Cursor), a client at attach, a log read.
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

pub(super) fn resolve(log: &BootLog, start: Start) -> u64 {
    let head = log.head();
    match start {
        Start::Oldest => log.oldest().min(head),
        Start::Newest(count) => head.saturating_sub(count).max(log.newest_run(head)),
        Start::Offset(offset) => offset.min(head),
        Start::Lines(count) => log.newest_lines(head, count),
        Start::ThisBoot => resolve(log, Start::Boot(log.epoch())),
        Start::Boot(epoch) => {
            let table = log.boot_table(head);
            table
                .entries()
                .iter()
                .find(|entry| entry.epoch >= epoch)
                .map_or(head, |entry| entry.start)
        }
        Start::Now => head,
    }
}
