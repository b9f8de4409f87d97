//! Reads logs that are mapped: as long as nothing is new, a look is one system call.

use std::collections::HashMap;
use std::time::Instant;

use vm_console::instance::InstanceId;
use vm_console::{BootLog, GapPolicy, Read, Start};

use super::model::{Model, Newest};

/// So many of the newest bytes are read at a look. More than that between two looks is a flood, of
/// which only these are searched.
pub(super) const SEARCHED: usize = 16 << 10;

/// The logs of the consoles that have one in a file.
#[derive(Debug, Default)]
pub(super) struct Looks {
    logs: HashMap<InstanceId, BootLog>,
}

impl Looks {
    pub(super) fn clear(&mut self) {
        self.logs.clear();
    }

    pub(super) fn insert(&mut self, id: InstanceId, log: BootLog) {
        self.logs.insert(id, log);
    }

    /// Looks at all of them.
    pub(super) fn look(&self, model: &mut Model, now: Instant) {
        let visible: Vec<_> = model.visible().to_vec();
        for (id, log) in &self.logs {
            let Some(tile) = model.tiles.get(id) else {
                continue;
            };
            let is_visible = visible.contains(id);
            let is_done = !tile.entry.is_live && tile.output.rate.is_quiet();
            let is_read = tile.output.head.is_some() && !(is_visible && tile.output.is_stale());
            if is_done && is_read && tile.output.head != Some(0) || !tile.is_in_file() {
                continue;
            }
            // To touch what somebody has cut off the file would be the end of this program.
            if log.is_whole() {
                model.look(id, log.head(), is_visible, now, || Some(newest(log)));
            } else {
                model.cannot_look(id, "the file of its log was cut short".to_owned());
            }
        }
    }
}

/// The newest bytes of a log, without those before a gap.
fn newest(log: &BootLog) -> Newest {
    let start = Start::Newest(SEARCHED as u64);
    let mut cursor = log.cursor(start).with_gap_policy(GapPolicy::Silent);
    let mut bytes = vec![0; SEARCHED];
    let mut filled = 0;
    while filled < bytes.len() {
        let offset = cursor.offset();
        match cursor.read(&mut bytes[filled..]) {
            Read::Bytes(count) => {
                let is_whole = cursor.offset() == offset + count as u64;
                if !is_whole {
                    // The writer has come round meanwhile.
                    bytes.copy_within(filled..filled + count, 0);
                    filled = 0;
                }
                filled += count;
            }
            Read::Gap { .. } | Read::UpToDate | Read::Ended(_) => break,
        }
    }
    bytes.truncate(filled);
    Newest {
        bytes,
        end: cursor.offset(),
        epoch: log.epoch(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vm_console::LogConfig;

    #[test]
    fn the_newest_output_is_read_whatever_is_missing_before() {
        let config = LogConfig {
            tail: 4096,
            head: 1 << 20,
            ..LogConfig::default()
        };
        let (mut writer, log) = BootLog::in_memory(config).unwrap();
        assert_eq!(newest(&log).bytes, b"");
        writer.append(b"first");
        assert_eq!(newest(&log).bytes, b"first");
        writer.append(&vec![b'x'; 1 << 20]);
        writer.append(b"last");
        let newest = newest(&log);
        assert!(newest.bytes.ends_with(b"xlast"));
        assert_eq!(newest.end, log.head());
    }
}
