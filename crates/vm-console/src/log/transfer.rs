//! Taking everything that a log keeps out of it, and putting it into a new one.

use std::sync::atomic::Ordering::Release;

use super::boot_table::Entry;
use super::error::LogError;
use super::id;
use super::image::{BootImage, LogImage};
use super::layout::{LINE_TIME_RECORDS, MARK_RECORDS, at, fitting};
use super::mark_table;
use super::marks::Mark;
use super::protocol::Cells;
use super::reader::BootLog;
use super::writer::{AdoptedBoot, LogWriter};

impl LogWriter {
    /// Everything that is kept, as of now.
    #[must_use]
    pub fn export(&self) -> LogImage {
        let log = self.log();
        let written = self.head();
        let table = log.boot_table(written);
        let boot = |entry: &Entry| BootImage {
            epoch: entry.epoch,
            start: entry.start,
            bytes: log.copy_of(entry.start, entry.head_end),
            open: entry.epoch == self.epoch() && entry.head_end == written,
        };
        let cells = log.cells();
        // A kind that this version does not know cannot be written by it; leave out what is damaged.
        let marks: Vec<_> = mark_table::kept(cells)
            .into_iter()
            .filter(|words| Mark::from_words(*words).is_some())
            .collect();
        LogImage {
            id: log.id(),
            written,
            epoch: self.epoch(),
            marks_written: log.marks_written().max(marks.len() as u64),
            boots: table.entries().iter().map(boot).collect(),
            marks,
            line_times: LINE_TIME_RECORDS
                .indices(cells)
                .filter_map(|index| LINE_TIME_RECORDS.get(cells, index))
                .collect(),
            tail: log.copy_of(log.ring_oldest(written), written),
        }
    }

    /// Takes over an image: identity, offsets, boot count and marks go on where it ended. What the sizes of this log have no
    /// room for is overwritten, as if it had been written here. The log must be new.
    ///
    /// Readers see a new log until all of it is there, and then the whole of it at once.
    ///
    /// If the process is killed meanwhile, a log in a file is left with a part of it, and refused when it is
    /// opened: make it anew.
    ///
    /// # Errors
    /// [`LogError::NotEmpty`] if anything was written to this log.
    pub fn restore(&mut self, image: &LogImage) -> Result<(), LogError> {
        let log = self.log();
        let cells = log.cells();
        let layout = cells.layout;
        if self.head() != 0 || self.epoch() != 0 || log.marks_written() != 0 {
            return Err(LogError::NotEmpty);
        }
        // No such floor is valid: what a killed process leaves is no log.
        cells.store(at::FLOOR, u64::MAX, Release);
        if let Some(id) = image.id {
            id::store(cells, id);
        }
        cells.store(at::MARKS_SKIPPED, 0, Release);
        for (records, fields, written) in [
            (MARK_RECORDS, &image.marks, image.marks_written),
            (
                LINE_TIME_RECORDS,
                &image.line_times,
                image.line_times.len() as u64,
            ),
        ] {
            cells.store(records.count, written - fields.len() as u64, Release);
            for fields in fields {
                records.push(cells, *fields);
            }
        }
        cells.store(at::EPOCH, image.epoch, Release);
        let boots = adopted_boots(image, layout.head_bytes);
        self.replace_boots(&boots[boots.len().saturating_sub(layout.boots as usize)..]);
        let len = image.tail.len();
        let tail = &image.tail[len - fitting(len, layout.tail)..];
        cells.store(at::FLOOR, image.written - tail.len() as u64, Release);
        self.publish(image.written, tail);
        Ok(())
    }
}

/// The boots of `image` for a log that keeps `head_bytes` of each; the last is the current one.
fn adopted_boots(image: &LogImage, head_bytes: u64) -> Vec<AdoptedBoot<'_>> {
    let mut boots: Vec<_> = image
        .boots
        .iter()
        .map(|boot| adopted(boot, head_bytes))
        .collect();
    if boots.last().is_none_or(|last| last.epoch != image.epoch) {
        // As at any new boot, one that wrote nothing makes room.
        boots.pop_if(|last| last.start == image.written);
        boots.push(AdoptedBoot {
            epoch: image.epoch,
            start: image.written,
            limit: head_bytes,
            kept: &[],
        });
    }
    boots
}

fn adopted(boot: &BootImage, head_bytes: u64) -> AdoptedBoot<'_> {
    let fits = boot.bytes.len() as u64 <= head_bytes;
    let kept = &boot.bytes[..fitting(boot.bytes.len(), head_bytes)];
    // The head of a boot that wrote more is complete, whatever room there is here.
    let limit = if boot.open && fits {
        head_bytes
    } else {
        kept.len() as u64
    };
    AdoptedBoot {
        epoch: boot.epoch,
        start: boot.start,
        limit,
        kept,
    }
}

impl BootLog {
    /// The bytes between two offsets, all of which are kept; only while nobody writes.
    fn copy_of(&self, start: u64, end: u64) -> Vec<u8> {
        let mut bytes = vec![0; (end - start) as usize];
        let whole = self.fill(start, &mut bytes);
        debug_assert!(whole, "the writer's borrow excludes appends");
        bytes
    }
}
