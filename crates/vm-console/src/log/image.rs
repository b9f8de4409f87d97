//! A log as a value: to move it to another host beside the device's snapshot.

use super::error::LogError;
use super::id::LogId;
use super::layout::{MAX_EPOCH, MAX_OFFSET};

/// Everything that a log keeps, independent of its sizes and of where it is stored.
///
/// As bytes ([`to_bytes`](Self::to_bytes)) it consists of little-endian 64-bit words, then the kept
/// bytes themselves, then a check sum:
///
/// | words | what |
/// |---|---|
/// | 2 | `VMLOGIMG`, version (2) |
/// | 2 | write offset, epoch |
/// | 4 | numbers of boots, marks, line times; length of the tail |
/// | 1 | marks ever written |
/// | 2 | [identity](LogId), low half first; 0: none. Version 1 does not have these two words |
/// | 4 each | boots: epoch, first offset, length of the head, 1 if the head may still grow |
/// | 3 each | marks: offset, nanoseconds since 1970, epoch << 8 \| kind |
/// | 3 each | line times: offset after the line, nanoseconds since 1970, 0 |
/// | bytes | the heads in the order of the boots, then the tail |
/// | 1 | FNV-1a of everything before |
///
/// ```
/// use vm_console::{BootLog, LogConfig, LogImage};
///
/// let (mut writer, _) = BootLog::in_memory(LogConfig::default())?;
/// writer.append(b"sent on one host");
/// let bytes = writer.export().to_bytes();
///
/// let (mut writer, log) = BootLog::in_memory(LogConfig::default())?;
/// writer.restore(&LogImage::from_bytes(&bytes)?)?;
/// writer.append(b", and on another");
/// assert_eq!(log.read_at(0, 100).bytes, b"sent on one host, and on another");
/// # Ok::<(), vm_console::LogError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogImage {
    pub(super) id: Option<LogId>,
    pub(super) written: u64,
    pub(super) epoch: u64,
    pub(super) marks_written: u64,
    pub(super) boots: Vec<BootImage>,
    pub(super) marks: Vec<[u64; 3]>,
    pub(super) line_times: Vec<[u64; 3]>,
    pub(super) tail: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BootImage {
    pub(super) epoch: u64,
    pub(super) start: u64,
    pub(super) bytes: Vec<u8>,
    /// The boot goes on, and wrote no more than `bytes` so far.
    pub(super) open: bool,
}

impl LogImage {
    /// The write offset: the first byte written after this image is restored has it. Clients resume
    /// there.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.written
    }

    /// The epoch.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The identity of the log, which goes with it; `None` in an image of an older version.
    #[must_use]
    pub fn id(&self) -> Option<LogId> {
        self.id
    }

    /// The same image without an identity. Use it for a second guest that begins as a copy of the
    /// first: the two logs differ from then on, so the second must keep the identity of its own.
    #[must_use]
    pub fn without_id(self) -> Self {
        Self { id: None, ..self }
    }

    /// Checks every field against the others.
    pub(super) fn check(&self) -> Result<(), LogError> {
        rule_holds(
            self.written <= MAX_OFFSET,
            "the write offset must not exceed 2^62",
            self.written,
        )?;
        rule_holds(
            self.epoch < MAX_EPOCH,
            "the boot count must be below 2^56",
            self.epoch,
        )?;
        let tail = self.tail.len() as u64;
        rule_holds(
            tail <= self.written,
            "the tail must not be longer than what was written",
            tail,
        )?;
        let marks = self.marks.len() as u64;
        rule_holds(
            marks <= self.marks_written,
            "no more marks may be kept than were written",
            marks,
        )?;
        let ends = self
            .boots
            .iter()
            .skip(1)
            .map(|next| (next.epoch, next.start));
        for (boot, (next_epoch, next_start)) in self
            .boots
            .iter()
            .zip(ends.chain([(self.epoch + 1, self.written)]))
        {
            rule_holds(
                boot.epoch < next_epoch,
                "boots must be in order, up to the epoch",
                boot.epoch,
            )?;
            // Nothing bounds the offset yet, so it is not added to.
            rule_holds(
                boot.start <= next_start,
                "boots must begin in their order",
                boot.start,
            )?;
            let len = boot.bytes.len() as u64;
            rule_holds(
                len <= next_start - boot.start,
                "the head of a boot must end before the next boot",
                len,
            )?;
            let may_grow = boot.epoch == self.epoch && boot.start + len == self.written;
            rule_holds(
                may_grow || !boot.open,
                "only the last head may still grow, and only if it holds all of its boot",
                boot.epoch,
            )?;
        }
        for offsets in [&self.marks, &self.line_times] {
            let mut last = 0;
            for &[offset, ..] in offsets {
                rule_holds(
                    (last..=self.written).contains(&offset),
                    "marks and line times must be in order",
                    offset,
                )?;
                last = offset;
            }
        }
        for mark in &self.marks {
            rule_holds(
                mark[2] >> 8 <= self.epoch,
                "no mark may be above the epoch",
                mark[2] >> 8,
            )?;
        }
        Ok(())
    }
}

pub(super) fn rule_holds(holds: bool, rule: &'static str, value: u64) -> Result<(), LogError> {
    if holds {
        Ok(())
    } else {
        Err(LogError::Inconsistent { rule, value })
    }
}
