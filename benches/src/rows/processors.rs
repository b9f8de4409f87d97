//! Which thread runs on which processor.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Client and guest run on one processor and the event loop on another, for ours and for the bare
/// hop. The scheduler alone would move the bare loop, which does nothing else, to the client's
/// processor, where waking it costs nothing.
pub(super) const CLIENT: usize = 0;
pub(super) const EVENT_LOOP: usize = 1;

/// Keeps this thread, and the threads it starts, on one processor. Returns the processors it was
/// allowed before.
pub(super) fn move_to(processor: usize) -> Option<CpuSet> {
    let before = sched_getaffinity(None).ok();
    let mut set = CpuSet::new();
    set.set(processor);
    // Refused if there are fewer processors; then the scheduler places both in the same way.
    let _ = sched_setaffinity(None, &set);
    before
}

pub(super) fn move_back(before: Option<CpuSet>) {
    if let Some(before) = before {
        let _ = sched_setaffinity(None, &before);
    }
}
