//! What a connection still has to be sent. It knows a stream and a log, and no console.

mod sending;

pub(in crate::service) use self::sending::{Pass, Sent};

use super::pace::Pace;
use super::view::{Show, View};
use crate::counters::Counters;
use crate::drop_limit::Dropper;
use crate::log::BootLog;
use crate::service::turn::CHUNK;

/// Bytes of answers that may wait before no more requests are carried out.
const ANSWERS: usize = CHUNK;

#[derive(Debug)]
pub(in crate::service) struct Outbox {
    pending: Vec<u8>,
    sent: usize,
    view: Option<View>,
    /// The newest boot that is to be told, and where it begins. One and not a queue: a guest may
    /// reset in a loop.
    boot: Option<(u64, u64)>,
    pub(in crate::service) pace: Pace,
    dropper: Option<Dropper>,
}

impl Outbox {
    pub(super) fn new(pace: Pace, dropper: Option<Dropper>) -> Self {
        Self {
            pending: Vec::new(),
            sent: 0,
            view: None,
            boot: None,
            pace,
            dropper,
        }
    }

    /// Begins to show the log. Returns where that starts, and where live output begins.
    pub(in crate::service) fn show(&mut self, log: &BootLog, show: Show) -> (u64, u64) {
        let view = View::new(log, show);
        let from = (view.delivered_to(), view.live_from());
        self.view = Some(view);
        from
    }

    pub(in crate::service) fn stop_showing(&mut self, counters: &Counters) {
        if let Some(view) = self.view.take() {
            view.finish(counters);
        }
        self.boot = None;
    }

    /// Leaves out what is left of the replay.
    pub(in crate::service) fn stop_replay(&mut self) {
        if let Some(view) = &mut self.view {
            view.stop_replay();
        }
    }

    /// The offset of the first byte of output that the kernel has not taken.
    pub(in crate::service) fn resume_offset(&self) -> u64 {
        self.view.as_ref().map_or(0, View::delivered_to)
    }

    /// Whether everything before `offset` was read for it; also if it is shown nothing at all.
    pub(in crate::service) fn has_read_to(&self, offset: u64) -> bool {
        self.view
            .as_ref()
            .is_none_or(|view| view.offset() >= offset)
    }

    /// The offset of the first byte of output that was not read for it.
    pub(in crate::service) fn read_to(&self) -> u64 {
        self.view.as_ref().map_or(0, View::offset)
    }

    /// Whether the kernel has taken all that there is.
    pub(super) fn has_sent_everything(&self) -> bool {
        let is_shown_all = self.view.as_ref().is_none_or(View::has_shown_everything);
        is_shown_all && !self.has_pending() && self.boot.is_none()
    }

    /// Bytes written since it attached and not read for it yet.
    pub(in crate::service) fn bytes_behind(&self) -> u64 {
        self.view.as_ref().map_or(0, View::behind)
    }

    /// Bytes of output before `head` that the kernel has not taken, and whether it is still shown
    /// what was printed before it came.
    pub(in crate::service) fn lag(&self, head: u64) -> (u64, bool) {
        self.view.as_ref().map_or((0, false), |view| {
            let shown = view.delivered_to();
            (head.saturating_sub(shown), view.is_replay(shown))
        })
    }

    /// Queues bytes: text for a raw connection, frames for another.
    pub(in crate::service) fn queue(&mut self, put: impl FnOnce(&mut Vec<u8>)) {
        put(&mut self.pending);
    }

    /// Drops what was queued: nobody is there to read it.
    pub(in crate::service) fn discard(&mut self) {
        self.pending = Vec::new();
        self.sent = 0;
    }

    pub(in crate::service) fn tell_boot(&mut self, epoch: u64, begins: u64) {
        self.boot = Some((epoch, begins));
    }

    pub(in crate::service) fn has_pending(&self) -> bool {
        self.sent < self.pending.len()
    }

    /// Whether an answer may be queued, or the peer has to read those before it first.
    pub(in crate::service) fn has_room_for_answers(&self) -> bool {
        self.pending.len() - self.sent < ANSWERS
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn memory(&self) -> usize {
        self.pending.capacity()
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn shown_from(&self) -> Option<u64> {
        self.view.as_ref().and_then(View::started_at)
    }
}
