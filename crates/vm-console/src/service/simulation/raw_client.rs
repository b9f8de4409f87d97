//! What a client that is sent bytes makes of them.

use super::guest::printed;
use crate::log::GapPolicy;

/// Reads the guest's output with the service's notes in it, and notices when a byte is wrong.
#[derive(Debug)]
pub(super) struct RawReader {
    gaps: GapPolicy,
    /// The offset of the next byte, once it is known.
    pub(super) next: Option<u64>,
    /// Received and not understood yet.
    text: Vec<u8>,
    /// Where it is cannot be told any more.
    is_blind: bool,
    /// It was told that its session is over.
    pub(super) told_over: bool,
}

impl RawReader {
    pub(super) fn new(gaps: GapPolicy) -> Self {
        Self {
            gaps,
            next: None,
            text: Vec::new(),
            is_blind: false,
            told_over: false,
        }
    }

    pub(super) fn lose_place(&mut self) {
        self.is_blind = true;
    }

    pub(super) fn knows_place(&self) -> bool {
        self.next.is_some() && !self.is_blind
    }

    /// A session has begun, and shows output from here on.
    pub(super) fn begins_at(&mut self, offset: u64) {
        if self.next.is_none() {
            self.next = Some(offset);
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), String> {
        if self.is_blind {
            return Ok(());
        }
        self.text.extend_from_slice(bytes);
        let Some(mut next) = self.next else {
            return Ok(());
        };
        let mut done = 0;
        while let Some(first) = self.text.get(done).copied() {
            let rest = &self.text[done..];
            if first.is_ascii_alphabetic() {
                if first != printed(next) && makes_way(rest) {
                    // Without a notice before, if all others have sessions.
                    self.is_blind = true;
                    return Ok(());
                }
                if first != printed(next) {
                    if self.gaps == GapPolicy::Silent {
                        self.is_blind = true;
                        return Ok(());
                    }
                    let shown = String::from_utf8_lossy(&rest[..rest.len().min(20)]);
                    return Err(format!("byte {next} is shown wrong, from {shown:?} on"));
                }
                next += 1;
                done += 1;
                continue;
            }
            if rest.len() < 3 {
                break;
            }
            let (end, length): (&[u8], usize) = match rest {
                [b'\r', b'\n', b'[', ..] => (b"]\r\n", 3),
                [b'\r', b'\n', b'~', ..] => (b"this\r\n", 6),
                _ => {
                    let shown = String::from_utf8_lossy(&rest[..rest.len().min(20)]);
                    return Err(format!("a client is shown {shown:?} at {next}"));
                }
            };
            let Some(at) = rest.windows(length).position(|window| window == end) else {
                break;
            };
            let note = String::from_utf8_lossy(&rest[3..at]).into_owned();
            done += at + length;
            let missing = ["lost", "withheld", "dropped"]
                .into_iter()
                .find_map(|why| note.strip_suffix(why)?.strip_suffix(" bytes of output "));
            if let Some(missing) = missing {
                next += missing
                    .parse::<u64>()
                    .map_err(|error| format!("{note:?}: {error}"))?;
            }
            self.told_over |= note.contains("session over");
        }
        self.text.drain(..done);
        self.next = Some(next);
        Ok(())
    }
}

/// Whether a client that makes way for another is told so here. The first letters of that may look
/// like output.
fn makes_way(text: &[u8]) -> bool {
    let line = b"console ";
    (0..4).any(|skipped| {
        let line = &line[skipped..];
        let length = line.len().min(text.len());
        line[..length] == text[..length]
    })
}
