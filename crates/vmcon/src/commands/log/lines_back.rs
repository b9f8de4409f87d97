//! The beginning of a line, searched from an offset backwards.

use crate::source::{LogSource, Piece, SourceError};

/// Where a search came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Back {
    /// The line begins here.
    Found(u64),
    /// There are fewer lines: the search has come to its lowest offset.
    Fewer(u64),
    /// The bytes before this offset are gone.
    Gone(u64),
}

impl Back {
    pub(super) fn offset(self) -> u64 {
        match self {
            Self::Found(offset) | Self::Fewer(offset) | Self::Gone(offset) => offset,
        }
    }
}

/// Bytes read at a time.
const BLOCK: u64 = 64 << 10;

/// Searches the beginning of the `count` lines before the offset `end`, and not before `lowest`. An
/// unfinished last line counts as a line.
pub(super) fn lines_back(
    source: &mut dyn LogSource,
    lowest: u64,
    end: u64,
    count: u64,
) -> Result<Back, SourceError> {
    if count == 0 {
        return Ok(Back::Found(end));
    }
    let mut left = count;
    // The newline that ends the last line is not the beginning of another.
    let mut end = end.saturating_sub(1);
    let mut block = Vec::new();
    while end > lowest {
        let from = end.saturating_sub(BLOCK).max(lowest);
        let kept = fill(source, from, end, &mut block)?;
        for (at, _) in block
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, byte)| **byte == b'\n')
        {
            left -= 1;
            if left == 0 {
                return Ok(Back::Found(kept + at as u64 + 1));
            }
        }
        if kept > from {
            return Ok(Back::Gone(kept));
        }
        end = from;
    }
    Ok(Back::Fewer(lowest))
}

/// Puts the bytes between two offsets into `block`; or the last of them, if some are gone. Returns
/// where they begin.
fn fill(
    source: &mut dyn LogSource,
    from: u64,
    end: u64,
    block: &mut Vec<u8>,
) -> Result<u64, SourceError> {
    let (mut begin, mut at) = (from, from);
    block.clear();
    while at < end {
        let filled = block.len();
        block.resize(filled + (end - at) as usize, 0);
        match source.read(at, &mut block[filled..])? {
            Piece::Bytes(count) => {
                block.truncate(filled + count);
                at += count as u64;
            }
            Piece::Lost { to } => {
                block.clear();
                at = to.min(end);
                begin = at;
            }
            Piece::End => {
                block.clear();
                return Ok(end);
            }
        }
    }
    Ok(begin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::FileSource;
    use vm_console::{BootLog, LogConfig};

    fn searched(config: LogConfig, text: &[u8], lowest: u64, count: u64) -> Back {
        let (mut writer, log) = BootLog::in_memory(config).unwrap();
        writer.append(text);
        lines_back(&mut FileSource::new(log), lowest, text.len() as u64, count).unwrap()
    }

    #[test]
    fn an_unfinished_line_counts() {
        let config = LogConfig::default();
        assert_eq!(searched(config, b"one\ntwo\nlogin: ", 0, 1), Back::Found(8));
        assert_eq!(searched(config, b"one\ntwo\nlogin: ", 0, 2), Back::Found(4));
        assert_eq!(searched(config, b"one\ntwo\n", 0, 1), Back::Found(4));
        assert_eq!(searched(config, b"one\ntwo\n", 0, 2), Back::Fewer(0));
        assert_eq!(searched(config, b"one\ntwo\n", 0, 0), Back::Found(8));
        assert_eq!(searched(config, b"one\ntwo\n", 2, 5), Back::Fewer(2));
        assert_eq!(searched(config, b"", 0, 5), Back::Fewer(0));
    }

    #[test]
    fn blocks_meet_without_a_seam() {
        let text: Vec<u8> = (0..20_000)
            .flat_map(|n| format!("line {n}\n").into_bytes())
            .collect();
        for count in [1, 9_999, 10_000, 10_001, 19_999] {
            let back = searched(LogConfig::default(), &text, 0, count);
            let rest = &text[back.offset() as usize..];
            assert_eq!(
                rest.split_inclusive(|byte| *byte == b'\n').count() as u64,
                count
            );
            assert!(rest.starts_with(b"line "));
        }
    }

    #[test]
    fn a_gap_ends_the_search() {
        let config = LogConfig {
            tail: 5,
            head: 0,
            ..LogConfig::default()
        };
        assert_eq!(searched(config, b"one\ntwo\nx\ny\n", 0, 9), Back::Gone(7));
        assert_eq!(searched(config, b"one\ntwo\nx\ny\n", 0, 2), Back::Found(8));
    }
}
