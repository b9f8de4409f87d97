//! The first and the last line of a boot.

use vm_console::printable;
use vm_console::protocol::BootInfo;

use crate::source::{LogSource, Piece, SourceError};

/// The first and the last line that hold any text, fit to be printed. Empty if there is none in the
/// bytes that are searched for it, or if they are gone.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) first: String,
    pub(super) last: String,
}

/// Bytes searched at each end of a boot.
const SEARCHED: u64 = 4096;
/// Longest line, in bytes.
const LINE: usize = 120;

impl Lines {
    pub(super) fn of(source: &mut dyn LogSource, boot: &BootInfo) -> Result<Self, SourceError> {
        let end = boot.end.min(boot.start.saturating_add(SEARCHED));
        let first = read(source, boot.start, end)?;
        let begin = boot.end.saturating_sub(SEARCHED).max(boot.start);
        let last = read(source, begin, boot.end)?;
        Ok(Self {
            first: first.before_gap().find_map(text).unwrap_or_default(),
            last: last.after_gap().rev().find_map(text).unwrap_or_default(),
        })
    }
}

/// What is left of the bytes between two offsets.
#[derive(Debug, Default)]
struct Left {
    bytes: Vec<u8>,
    /// Where in `bytes` others are gone: first and last.
    gaps: Option<(usize, usize)>,
}

impl Left {
    fn before_gap(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        let end = self.gaps.map_or(self.bytes.len(), |(first, _)| first);
        lines(&self.bytes[..end])
    }

    fn after_gap(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        let begin = self.gaps.map_or(0, |(_, last)| last);
        lines(&self.bytes[begin..])
    }
}

fn read(source: &mut dyn LogSource, begin: u64, end: u64) -> Result<Left, SourceError> {
    let (mut left, mut at) = (Left::default(), begin);
    while at < end {
        let filled = left.bytes.len();
        left.bytes.resize(filled + (end - at) as usize, 0);
        let piece = source.read(at, &mut left.bytes[filled..])?;
        let count = match piece {
            Piece::Bytes(count) => count,
            Piece::Lost { .. } | Piece::End => 0,
        };
        left.bytes.truncate(filled + count);
        at += count as u64;
        match piece {
            Piece::Bytes(_) => {}
            Piece::Lost { to } => {
                let first = left.gaps.map_or(filled, |(first, _)| first);
                left.gaps = Some((first, filled));
                at = to;
            }
            Piece::End => break,
        }
    }
    Ok(left)
}

fn lines(bytes: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    bytes.split(|byte| matches!(byte, b'\n' | b'\r'))
}

/// The text of a line, without colours and cursor movements; `None` if it has none.
fn text(line: &[u8]) -> Option<String> {
    let text = anstream::adapter::strip_bytes(line).into_vec();
    let text = String::from_utf8_lossy(&text).replace('\t', " ");
    let text = text.trim();
    (!text.is_empty()).then(|| printable(text, LINE))
}

#[cfg(test)]
mod tests {
    use super::{lines, text};

    #[test]
    fn a_line_is_text() {
        let bytes =
            b"\x1b[2J\x1b[1;1H\r\n\x1b[32mSeaBIOS\x1b[0m (version 1)\r\n\n  login:\t\x1b[6n";
        let lines: Vec<_> = lines(bytes).filter_map(text).collect();
        assert_eq!(lines, ["SeaBIOS (version 1)", "login:"]);
    }
}
