//! The bytes of an image; the table is with [`LogImage`].

use super::config::LogConfig;
use super::error::LogError;
use super::id::LogId;
use super::image::{BootImage, LogImage, rule_holds};
use super::layout::{LINE_TIME_RECORDS, MARK_RECORDS, check_sum};

const MAGIC: u64 = u64::from_le_bytes(*b"VMLOGIMG");
const VERSION: u64 = 2;
/// Has no identity; everything else is the same.
const VERSION_WITHOUT_ID: u64 = 1;

impl LogImage {
    /// The image as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut words = vec![MAGIC, VERSION, self.written, self.epoch];
        words.extend(
            [
                self.boots.len(),
                self.marks.len(),
                self.line_times.len(),
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
        words.extend(self.marks.iter().chain(&self.line_times).flatten());
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
    /// [`Damaged`](LogError::Damaged), or [`Inconsistent`](LogError::Inconsistent) with the rule
    /// that is broken.
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
        let [
            written,
            epoch,
            boots,
            marks,
            line_times,
            tail,
            marks_written,
        ] = rest.array().ok_or(cut(72))?;
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
            (
                marks,
                MARK_RECORDS.capacity,
                "an image holds at most 232 marks",
            ),
            (
                line_times,
                LINE_TIME_RECORDS.capacity,
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
        let fixed = begin + boots * 32 + (marks + line_times) * 24;
        let boots: Vec<[u64; 4]> = rest.arrays(boots).ok_or(cut(fixed))?;
        let marks: Vec<[u64; 3]> = rest.arrays(marks).ok_or(cut(fixed))?;
        let line_times: Vec<[u64; 3]> = rest.arrays(line_times).ok_or(cut(fixed))?;
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
            written,
            epoch,
            marks_written,
            boots: boots.collect(),
            marks,
            line_times,
            tail: take(tail),
        };
        image.check()?;
        Ok(image)
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

    fn arrays<const N: usize>(&mut self, count: u64) -> Option<Vec<[u64; N]>> {
        (0..count).map(|_| self.array()).collect()
    }
}
