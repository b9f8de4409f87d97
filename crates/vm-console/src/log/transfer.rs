//! A log's content as an image: taken out of one log, put into another.

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
    /// Everything that the log keeps now.
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
        // The writer knows all kinds that it writes. A mark of another kind is damaged, or of a
        // newer version; the image is without it.
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

    /// An image of what the log has come to, without any of the bytes, marks and times that it keeps.
    pub(crate) fn export_place(&self) -> LogImage {
        let log = self.log();
        LogImage {
            id: log.id(),
            written: self.head(),
            epoch: self.epoch(),
            marks_written: log.marks_written(),
            boots: Vec::new(),
            marks: Vec::new(),
            line_times: Vec::new(),
            tail: Vec::new(),
        }
    }

    /// Whether this is the log that the image was taken from, at the image's place or further on.
    pub(crate) fn has_come_to(&self, image: &LogImage) -> bool {
        image.id.is_some()
            && image.id == self.log().id()
            && image.written <= self.head()
            && image.epoch <= self.epoch()
    }

    /// Takes over an image: the identity becomes that of the image, and offsets, epochs and marks
    /// go on where it ended. If this log is too small for all of it, the oldest bytes count as
    /// overwritten. The log must be new.
    ///
    /// Readers see an empty log until everything is there, and then all of it at once.
    ///
    /// If the process is killed meanwhile, a log in a file is unusable, and refused when it is
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
        // This floor is not valid, so the file of a process that is killed now will be refused.
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

/// The boots of `image`, for a log with heads of `head_bytes`. The last is the current one.
fn adopted_boots(image: &LogImage, head_bytes: u64) -> Vec<AdoptedBoot<'_>> {
    let mut boots: Vec<_> = image
        .boots
        .iter()
        .map(|boot| adopted(boot, head_bytes))
        .collect();
    if boots.last().is_none_or(|last| last.epoch != image.epoch) {
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
    let kept = &boot.bytes[..fitting(boot.bytes.len(), head_bytes)];
    // If the boot wrote more than its head in the image, this head is complete, even if there is
    // room.
    let limit = if boot.open {
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
    /// The bytes between two offsets. All must be kept, and nobody may write meanwhile.
    fn copy_of(&self, start: u64, end: u64) -> Vec<u8> {
        let mut bytes = vec![0; (end - start) as usize];
        let whole = self.fill(start, &mut bytes);
        debug_assert!(whole, "the writer's borrow excludes appends");
        bytes
    }
}
