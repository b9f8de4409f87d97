//! Copies a log to a text file, a chunk at a time. It knows neither threads nor time.

use std::io;

use super::file::Append;
use crate::log::line_text::{LineText, Times};
use crate::log::{Cursor, LogError, Read};

/// Bytes of text written at a time.
const CHUNK: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Copier<F> {
    text: LineText,
    file: F,
    /// Read and not written yet: `waiting[done..]`.
    waiting: Vec<u8>,
    done: usize,
    /// The offset of the log up to which `waiting` was read. It is written once that is empty.
    written_until: u64,
    /// Bytes before that which were overwritten before they were read.
    lost: u64,
}

impl<F: Append> Copier<F> {
    pub(super) fn new(cursor: Cursor, times: Times, file: F) -> Self {
        Self {
            written_until: cursor.offset(),
            text: LineText::new(cursor, times),
            file,
            waiting: Vec::new(),
            done: 0,
            lost: 0,
        }
    }

    /// Writes all that was printed before this call, and returns even if the guest is faster than
    /// the disk. After an error, the next call goes on.
    pub(super) fn copy(&mut self) -> Result<(), LogError> {
        let head = self.cursor().log().head();
        loop {
            self.flush()?;
            if self.cursor().offset() >= head {
                // While nothing is printed it holds no memory.
                self.waiting = Vec::new();
                return Ok(());
            }
            self.read(head)?;
        }
    }

    /// Reads up to `head`, but no more than a chunk.
    fn read(&mut self, head: u64) -> Result<(), LogError> {
        while self.cursor().offset() < head && self.waiting.len() < CHUNK {
            match self.text.read(&mut self.waiting) {
                Read::Bytes(_) => {}
                Read::Gap { from, to } => {
                    let note = format!("[{} bytes of output lost]", to - from);
                    self.text.add_line(&note, &mut self.waiting);
                }
                Read::UpToDate => break,
                Read::Ended(_) => {
                    let cut = io::Error::from(io::ErrorKind::UnexpectedEof);
                    return Err(LogError::io("read its file, which was cut short", cut));
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), LogError> {
        while self.done < self.waiting.len() {
            self.done += self.file.append(&self.waiting[self.done..])?;
        }
        self.waiting.clear();
        self.done = 0;
        self.written_until = self.cursor().offset();
        self.lost = self.cursor().lost();
        Ok(())
    }

    pub(super) fn cursor(&self) -> &Cursor {
        self.text.cursor()
    }

    /// The offset of the log up to which all is in the file, or told there as lost. A chunk that is
    /// written in part does not count.
    pub(super) fn written_until(&self) -> u64 {
        self.written_until
    }

    /// Bytes that were printed and are not in the file, nor told there. A chunk that is written in
    /// part counts as if it were not.
    pub(super) fn unwritten(&self) -> u64 {
        self.cursor().log().head() - self.written_until
    }

    /// Bytes that are told as lost in the file, because they were overwritten before they were
    /// read.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::log::{BootLog, LogConfig, Start, UnixTime};

    /// A disk that takes so much of the next writes, or fails.
    #[derive(Default)]
    struct Disk {
        content: Vec<u8>,
        takes: Vec<Option<usize>>,
    }

    impl Append for Disk {
        fn append(&mut self, bytes: &[u8]) -> Result<usize, LogError> {
            match self.takes.pop() {
                Some(None) => {
                    let full = io::Error::from(io::ErrorKind::StorageFull);
                    Err(LogError::io("write", full))
                }
                Some(Some(most)) => {
                    let taken = bytes.len().min(most.max(1));
                    self.content.extend(&bytes[..taken]);
                    Ok(taken)
                }
                None => {
                    self.content.extend(bytes);
                    Ok(bytes.len())
                }
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Print(usize),
        Copy(Vec<Option<usize>>),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let taken = prop::option::weighted(0.7, 1usize..9000);
        prop::collection::vec(
            prop_oneof![
                (1usize..12_000).prop_map(Step::Print),
                prop::collection::vec(taken, 0..4).prop_map(Step::Copy),
            ],
            1..30,
        )
    }

    /// The byte printed at an offset: lines of 1 to 61 letters, never a bracket.
    fn printed(offset: u64) -> u8 {
        let letter = b'a' + (offset % 23) as u8;
        if offset.is_multiple_of(61) || offset.is_multiple_of(97) {
            b'\n'
        } else {
            letter
        }
    }

    /// The number of bytes that a line tells as lost, if it does.
    fn note(line: &str) -> Option<u64> {
        let count = line.strip_prefix('[')?;
        count.strip_suffix(" bytes of output lost]\n")?.parse().ok()
    }

    /// Where `line` ends if it was printed at one of these offsets.
    fn ends_of(line: &str, begins: &[u64]) -> Vec<u64> {
        let fits = |begin: u64| {
            line.bytes()
                .zip(begin..)
                .all(|(byte, at)| byte == printed(at))
        };
        let begins = begins.iter().filter(|&&begin| fits(begin));
        begins.map(|begin| begin + line.len() as u64).collect()
    }

    fn clock() -> UnixTime {
        UnixTime::from_nanos(1_700_000_000_250_000_000)
    }

    const TIME: &str = "[2023-11-14T22:13:20.250Z] ";

    proptest! {
        /// Bytes in the file and bytes told as lost are all that was printed, in their places;
        /// whatever fails, and whenever it is overwritten.
        #[test]
        fn what_is_in_the_file_and_what_is_told_as_lost_is_what_was_printed(
            steps in steps(), timed in any::<bool>(),
        ) {
            let config = LogConfig { tail: 8192, head: 0, ..LogConfig::default() };
            let (mut writer, log) = BootLog::in_memory(config).unwrap();
            let times = if timed { Times::Clock(clock) } else { Times::Omitted };
            let cursor = log.cursor(Start::Oldest);
            let mut copier = Copier::new(cursor, times, Disk::default());
            let mut failures = 0;
            for step in steps {
                match step {
                    Step::Print(count) => {
                        let from = log.head();
                        let bytes: Vec<u8> = (from..from + count as u64).map(printed).collect();
                        writer.append(&bytes);
                    }
                    Step::Copy(takes) => {
                        copier.file.takes = takes;
                        failures += u32::from(copier.copy().is_err());
                    }
                }
            }
            copier.file.takes.clear();
            copier.copy().unwrap();
            prop_assert_eq!(copier.written_until(), log.head());
            prop_assert!(copier.waiting.capacity() == 0);

            let all_lost = copier.lost();
            let text = String::from_utf8(copier.file.content).unwrap();
            let lines: Vec<_> = text
                .split_inclusive('\n')
                .map(|line| if timed { line.strip_prefix(TIME).expect("a time") } else { line })
                .collect();
            // The offsets at which a line may begin: the end of one before a note may be printed,
            // or made for the note.
            let (mut begins, mut lost) = (vec![0], 0);
            for (n, line) in lines.iter().enumerate() {
                if let Some(count) = note(line) {
                    for offset in &mut begins {
                        *offset += count;
                    }
                    lost += count;
                    continue;
                }
                let mut ends = ends_of(line, &begins);
                if lines.get(n + 1).is_some_and(|next| note(next).is_some()) {
                    ends.extend(ends_of(&line[..line.len() - 1], &begins));
                }
                prop_assert!(!ends.is_empty(), "line {} was never printed: {:?}", n, line);
                begins = ends;
            }
            prop_assert!(begins.contains(&log.head()));
            prop_assert_eq!(lost, all_lost);
            prop_assert!(failures <= 30);
        }
    }
}
