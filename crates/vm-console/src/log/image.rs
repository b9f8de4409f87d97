//! A log as a value: to move it to another host beside the device's snapshot.

use super::config::LogConfig;
use super::error::LogError;
use super::id::LogId;
use super::layout::{MARKS, MAX_EPOCH, MAX_OFFSET, STAMPS, check_sum};

const MAGIC: u64 = u64::from_le_bytes(*b"VMLOGIMG");
const VERSION: u64 = 2;
/// Has no identity; everything else is the same.
const VERSION_WITHOUT_ID: u64 = 1;

/// Everything that a log keeps, independent of its sizes and of where it is stored.
///
/// As bytes ([`to_bytes`](Self::to_bytes)) it is a sequence of little-endian 64-bit words, then the kept bytes
/// themselves, then a check sum:
///
/// | words | what |
/// |---|---|
/// | 2 | `VMLOGIMG`, version (2) |
/// | 2 | write offset, boot count |
/// | 4 | numbers of boots, marks, line times; length of the tail |
/// | 1 | marks ever written |
/// | 2 | [identity](LogId), low half first; 0: none. Version 1 does not have these two words |
/// | 4 each | boots: boot count, first offset, length of the head, 1 if the head may still grow |
/// | 3 each | marks: offset, nanoseconds since 1970, boot count << 8 \| kind |
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
    pub(super) head: u64,
    pub(super) epoch: u64,
    pub(super) marks_written: u64,
    pub(super) boots: Vec<BootImage>,
    pub(super) marks: Vec<[u64; 3]>,
    pub(super) stamps: Vec<[u64; 3]>,
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
    /// The offset of the first byte that will be written after this image is restored; tell it to clients.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.head
    }

    /// The boot count.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The identity of the log, which goes with it; `None` in an image of an older version.
    #[must_use]
    pub fn id(&self) -> Option<LogId> {
        self.id
    }

    /// The same image without an identity, for a second guest that begins as a copy of the first: the two
    /// logs differ from then on, so the log that this is restored into keeps its own identity.
    #[must_use]
    pub fn without_id(self) -> Self {
        Self { id: None, ..self }
    }

    /// The image as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut words = vec![MAGIC, VERSION, self.head, self.epoch];
        words.extend(
            [
                self.boots.len(),
                self.marks.len(),
                self.stamps.len(),
                self.tail.len(),
            ]
            .map(|len| len as u64),
        );
        words.push(self.marks_written);
        words.extend(LogId::to_words(self.id));
        for boot in &self.boots {
            words.extend([
                boot.epoch,
                boot.start,
                boot.bytes.len() as u64,
                u64::from(boot.open),
            ]);
        }
        words.extend(self.marks.iter().chain(&self.stamps).flatten());
        let mut bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
        self.boots.iter().for_each(|boot| bytes.extend(&boot.bytes));
        bytes.extend(&self.tail);
        let check = check_sum(&bytes);
        bytes.extend(check.to_le_bytes());
        bytes
    }

    /// The image that was written as these bytes.
    ///
    /// # Errors
    /// [`LogError::NotAnImage`], [`Version`](LogError::Version), [`CutShort`](LogError::CutShort),
    /// [`Damaged`](LogError::Damaged), or [`Inconsistent`](LogError::Inconsistent) with the rule that is broken.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LogError> {
        let len = bytes.len() as u64;
        let mut rest = Words(bytes);
        if rest.next() != Some(MAGIC) {
            return Err(LogError::NotAnImage);
        }
        let cut = |expected: u64| LogError::CutShort { len, expected };
        let version = rest.next().ok_or(cut(16))?;
        if ![VERSION, VERSION_WITHOUT_ID].contains(&version) {
            return Err(LogError::Version {
                found: version,
                known: VERSION,
            });
        }
        let [head, epoch, boots, marks, stamps, tail, marks_written] =
            rest.array().ok_or(cut(72))?;
        let (id, begin) = if version == VERSION_WITHOUT_ID {
            (None, 72)
        } else {
            (LogId::from_words(rest.array().ok_or(cut(88))?), 88)
        };
        for (count, limit, rule) in [
            (
                boots,
                LogConfig::MAX_BOOTS,
                "an image holds at most 16 boots",
            ),
            (marks, MARKS.capacity, "an image holds at most 232 marks"),
            (
                stamps,
                STAMPS.capacity,
                "an image holds at most 4096 line times",
            ),
            (
                tail,
                LogConfig::MAX_TAIL,
                "the tail of an image is at most 64 GiB",
            ),
        ] {
            rule_holds(count <= limit, rule, count)?;
        }
        // The counts are bounded, so these sums cannot overflow.
        let fixed = begin + boots * 32 + (marks + stamps) * 24;
        let boots: Vec<[u64; 4]> = (0..boots)
            .map(|_| rest.array())
            .collect::<Option<_>>()
            .ok_or(cut(fixed))?;
        let marks: Vec<[u64; 3]> = (0..marks)
            .map(|_| rest.array())
            .collect::<Option<_>>()
            .ok_or(cut(fixed))?;
        let stamps: Vec<[u64; 3]> = (0..stamps)
            .map(|_| rest.array())
            .collect::<Option<_>>()
            .ok_or(cut(fixed))?;
        for boot in &boots {
            rule_holds(
                boot[2] <= LogConfig::MAX_HEAD,
                "the head of a boot is at most 1 GiB",
                boot[2],
            )?;
        }
        let expected = fixed + boots.iter().map(|boot| boot[2]).sum::<u64>() + tail + 8;
        if len < expected {
            return Err(cut(expected));
        }
        rule_holds(len == expected, "nothing may follow the image", len)?;
        let (covered, check) = bytes.split_at(bytes.len() - 8);
        if Words(check).next() != Some(check_sum(covered)) {
            return Err(LogError::Damaged);
        }
        let mut kept = rest.0;
        let mut take = |count: u64| {
            kept.split_off(..count as usize)
                .unwrap_or_default()
                .to_vec()
        };
        let boots = boots
            .into_iter()
            .map(|[epoch, start, len, open]| BootImage {
                epoch,
                start,
                bytes: take(len),
                open: open != 0,
            });
        let image = Self {
            id,
            head,
            epoch,
            marks_written,
            boots: boots.collect(),
            marks,
            stamps,
            tail: take(tail),
        };
        image.check()?;
        Ok(image)
    }

    fn check(&self) -> Result<(), LogError> {
        rule_holds(
            self.head <= MAX_OFFSET,
            "the write offset must not exceed 2^62",
            self.head,
        )?;
        rule_holds(
            self.epoch < MAX_EPOCH,
            "the boot count must be below 2^56",
            self.epoch,
        )?;
        let tail = self.tail.len() as u64;
        rule_holds(
            tail <= self.head,
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
            .zip(ends.chain([(self.epoch + 1, self.head)]))
        {
            rule_holds(
                boot.epoch < next_epoch,
                "boots must be in order, up to the boot count",
                boot.epoch,
            )?;
            // Not a sum: the offset is any number yet.
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
            let may_grow = boot.epoch == self.epoch && boot.start + len == self.head;
            rule_holds(
                may_grow || !boot.open,
                "only the head of the last boot may still grow, and only if it is all that was written",
                boot.epoch,
            )?;
        }
        for offsets in [&self.marks, &self.stamps] {
            let mut last = 0;
            for &[offset, ..] in offsets {
                rule_holds(
                    (last..=self.head).contains(&offset),
                    "marks and line times must be in order",
                    offset,
                )?;
                last = offset;
            }
        }
        for mark in &self.marks {
            rule_holds(
                mark[2] >> 8 <= self.epoch,
                "no mark may be above the boot count",
                mark[2] >> 8,
            )?;
        }
        Ok(())
    }
}

fn rule_holds(holds: bool, rule: &'static str, value: u64) -> Result<(), LogError> {
    if holds {
        Ok(())
    } else {
        Err(LogError::Inconsistent { rule, value })
    }
}

/// Little-endian words from the front of a slice.
struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn next(&mut self) -> Option<u64> {
        let (word, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*word))
    }

    fn array<const N: usize>(&mut self) -> Option<[u64; N]> {
        let mut words = [0; N];
        for word in &mut words {
            *word = self.next()?;
        }
        Some(words)
    }
}
