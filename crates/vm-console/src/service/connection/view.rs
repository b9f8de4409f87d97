//! One connection's sight of the log: a cursor, the replay before it, and what is counted of both.

use crate::counters::Counters;
use crate::log::{BootLog, Cursor, End, GapPolicy, Read, Start};
use crate::replay_guard::ReplayGuard;

/// How a connection is shown the log.
#[derive(Clone, Copy, Debug)]
pub(in crate::service) struct Show {
    pub(in crate::service) start: Start,
    pub(in crate::service) gaps: GapPolicy,
    /// Terminal queries are taken out of what was printed before.
    pub(in crate::service) guarded: bool,
    /// Counted as an observer's.
    pub(in crate::service) observer: bool,
}

#[derive(Debug)]
pub(super) struct View {
    cursor: Cursor,
    /// Where live output began.
    live_from: u64,
    guard: Option<ReplayGuard>,
    /// All output before this offset was taken by the kernel.
    delivered_to: u64,
    /// What of it the counters have: delivered, lost.
    counted: (u64, u64),
    observer: bool,
    gaps: GapPolicy,
    replay_is_over: bool,
}

/// What there is to show next.
pub(super) enum Next {
    /// So many bytes were copied, from this offset on.
    Output {
        offset: u64,
        len: usize,
    },
    Gap {
        from: u64,
        to: u64,
    },
    /// Output that is over a limit.
    Dropped {
        from: u64,
        to: u64,
    },
    /// Output that may not be seen any more.
    Withheld {
        from: u64,
        to: u64,
    },
    UpToDate,
    Ended(End),
}

impl View {
    pub(super) fn new(log: &BootLog, show: Show) -> Self {
        let head = log.head();
        let cursor = log
            .cursor(show.start)
            .with_gap_policy(cursor_policy(show.gaps));
        let start = cursor.offset();
        // The guest may have printed between the two.
        let live_from = head.max(start);
        Self {
            guard: (show.guarded && start < live_from).then(ReplayGuard::default),
            cursor,
            live_from,
            delivered_to: start,
            counted: (0, 0),
            observer: show.observer,
            gaps: show.gaps,
            replay_is_over: false,
        }
    }

    /// Whether raw clients are told of gaps.
    pub(super) fn notes_gaps(&self) -> bool {
        self.gaps != GapPolicy::Silent
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn started_at(&self) -> Option<u64> {
        // Behind a replay that was left out it is another cursor.
        (!self.replay_is_over).then(|| self.cursor.started_at())
    }

    pub(super) fn live_from(&self) -> u64 {
        self.live_from
    }

    pub(super) fn delivered_to(&self) -> u64 {
        self.delivered_to
    }

    pub(super) fn offset(&self) -> u64 {
        self.cursor.offset()
    }

    pub(super) fn is_replay(&self, offset: u64) -> bool {
        offset < self.live_from
    }

    pub(super) fn is_up_to_date(&self) -> bool {
        self.cursor.behind() == 0
    }

    /// As [`is_up_to_date`](Self::is_up_to_date), and the guard holds nothing back.
    pub(super) fn has_shown_everything(&self) -> bool {
        self.is_up_to_date() && self.guard.is_none()
    }

    /// Bytes written since it attached and not read for it yet.
    pub(super) fn behind(&self) -> u64 {
        let written = self.cursor.log().head().saturating_sub(self.live_from);
        written.min(self.cursor.behind())
    }

    /// The kernel has taken output before this offset.
    pub(super) fn delivered(&mut self, to: u64) {
        self.delivered_to = to;
    }

    /// The kernel has taken all that was read so far.
    pub(super) fn all_delivered(&mut self, counters: &Counters) {
        self.delivered_to = self.cursor.offset();
        self.count(counters);
    }

    /// Reads on, but not beyond `until`, nor across the border between replay and live output.
    pub(super) fn read(&mut self, until: u64, buffer: &mut [u8]) -> Next {
        let offset = self.cursor.offset();
        if self.replay_is_over && self.is_replay(offset) {
            return self.skip_replay();
        }
        let border = if self.is_replay(offset) {
            self.live_from.min(until)
        } else {
            until
        };
        let room = usize::try_from(border.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = buffer.len().min(room);
        if len == 0 {
            return Next::UpToDate;
        }
        match self.cursor.read(&mut buffer[..len]) {
            Read::Bytes(len) => Next::Output { offset, len },
            Read::Gap { from, to } => {
                if let Some(guard) = &mut self.guard {
                    guard.interrupt();
                }
                Next::Gap { from, to }
            }
            Read::UpToDate => Next::UpToDate,
            Read::Ended(end) => Next::Ended(end),
        }
    }

    /// Jumps over output, which counts as missed. Returns what that is.
    pub(super) fn skip(&mut self, bytes: u64) -> Next {
        let from = self.cursor.offset();
        self.cursor.skip(bytes);
        let to = self.cursor.offset();
        Next::Dropped { from, to }
    }

    /// Bytes before `until` that wait to be read.
    pub(super) fn waiting(&self, until: u64) -> u64 {
        let end = until.min(self.cursor.log().head());
        end.saturating_sub(self.cursor.offset())
    }

    /// What takes out of a replay what may not be shown, while there is one.
    pub(super) fn guard(&mut self) -> Option<&mut ReplayGuard> {
        self.guard.as_mut()
    }

    /// Ends the replay once it has come to live output, and gives out what the guard held back.
    pub(super) fn finish_replay(&mut self, counters: &Counters) -> Option<Vec<u8>> {
        if self.is_replay(self.cursor.offset()) {
            return None;
        }
        let mut guard = self.guard.take()?;
        let mut held = Vec::new();
        guard.finish(&mut held);
        counters.guarded.add(guard.removed());
        Some(held)
    }

    /// Shows live output only, from the next read on.
    pub(super) fn stop_replay(&mut self) {
        self.replay_is_over = true;
    }

    /// Jumps over what is left of the replay; everything before was delivered and counted.
    fn skip_replay(&mut self) -> Next {
        let (from, to) = (self.cursor.offset(), self.live_from);
        let log = self.cursor.log().clone();
        let policy = cursor_policy(self.gaps);
        self.cursor = log.cursor(Start::Offset(to)).with_gap_policy(policy);
        self.counted = (0, 0);
        self.delivered_to = to;
        if let Some(guard) = &mut self.guard {
            guard.interrupt();
        }
        Next::Withheld { from, to }
    }

    /// Counts what is not counted yet.
    pub(super) fn finish(mut self, counters: &Counters) {
        self.count(counters);
        if let Some(guard) = &self.guard {
            counters.guarded.add(guard.removed());
        }
    }

    fn count(&mut self, counters: &Counters) {
        let lost = self.cursor.lost();
        let delivered = self
            .delivered_to
            .saturating_sub(self.cursor.started_at())
            .saturating_sub(lost);
        let seen = delivered.saturating_sub(self.counted.0);
        let missed = lost - self.counted.1;
        self.counted = (delivered.max(self.counted.0), lost);
        if self.observer {
            counters.observed.add(seen);
            counters.observed_lost.add(missed);
        } else {
            counters.output_delivered.add(seen);
            counters.output_lost.add(missed);
        }
    }
}

/// Gaps are never silent in here: a read that jumped over one could begin or end elsewhere than it
/// seems, in replay or in live output.
fn cursor_policy(gaps: GapPolicy) -> GapPolicy {
    match gaps {
        GapPolicy::Note | GapPolicy::Silent => GapPolicy::Note,
        GapPolicy::Disconnect => GapPolicy::Disconnect,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::LogConfig;

    const UNGUARDED: Show = Show {
        start: Start::Oldest,
        gaps: GapPolicy::Note,
        guarded: false,
        observer: false,
    };

    #[test]
    fn what_the_guard_holds_back_is_still_to_be_shown() {
        let (mut writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
        // The beginning of a sequence that may become a question to the terminal.
        writer.append(b"login: \x1b[");
        let show = Show {
            guarded: true,
            ..UNGUARDED
        };
        let mut view = View::new(&log, show);
        let (mut buffer, mut shown) = ([0; 100], Vec::new());
        assert!(!view.has_shown_everything());
        assert!(matches!(
            view.read(u64::MAX, &mut buffer),
            Next::Output { offset: 0, len: 9 }
        ));
        view.guard().unwrap().filter(&buffer[..9], &mut shown);
        assert!(view.is_up_to_date());
        assert!(!view.has_shown_everything());
        let counters = Counters::default();
        let held = view.finish_replay(&counters).unwrap();
        shown.extend(held);
        assert!(view.has_shown_everything());
        assert_eq!(shown, b"login: \x1b[");
        writer.append(b"c");
        assert!(!view.has_shown_everything());
    }

    #[test]
    fn only_what_the_peer_has_taken_counts_as_delivered() {
        let (mut writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
        writer.append(&[b'.'; 100]);
        for taken in [0, 60, 100] {
            let mut view = View::new(&log, UNGUARDED);
            assert!(matches!(
                view.read(u64::MAX, &mut [0; 100]),
                Next::Output { len: 100, .. }
            ));
            view.delivered(taken);
            assert_eq!(view.delivered_to(), taken);
            let counters = Counters::default();
            view.finish(&counters);
            assert_eq!(counters.values().output_delivered, taken);
        }
    }
}
