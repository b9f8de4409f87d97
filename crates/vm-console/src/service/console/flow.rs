//! How output that comes later is noticed: by the doorbell, or by looking again.
//!
//! While output flows it is looked for at an interval, and the doorbell stays unarmed: a ring is a
//! system call on the vCPU's thread, and wakes this one for a byte or two. Output that follows a
//! silence rings and is sent at once.

use std::time::Duration;

use super::timed_port::TimedPort;

/// Shorter than anybody sees. Each look at a busy console costs a write to its client, whatever it
/// finds.
const INTERVAL: Duration = Duration::from_millis(4);

/// How long a doorbell goes unheard that could not be watched.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Flow {
    /// The doorbell will ring for the next output.
    bell_armed: bool,
    /// Output has moved since the last time that all waited for more.
    flows: bool,
    /// The next look, in place of the doorbell.
    look_again: Option<Duration>,
    /// When to try again to watch the doorbell, if that failed.
    watch_at: Option<Duration>,
}

impl Flow {
    /// The doorbell rang, and does not ring again by itself.
    pub(super) fn rang(&mut self) {
        self.bell_armed = false;
    }

    /// Output was sent to somebody.
    pub(super) fn moved(&mut self) {
        self.flows = true;
    }

    /// Somebody has seen everything before `seen` and waits for more: sees to it that more is
    /// noticed. Whether that is done; if not, there is more already.
    pub(super) fn wait(
        &mut self,
        seen: u64,
        head: u64,
        now: Duration,
        port: &mut TimedPort,
    ) -> bool {
        if std::mem::take(&mut self.flows) {
            self.look_again = Some(next_look(now));
        }
        if self.look_again.is_some() || self.bell_armed && head == seen {
            return true;
        }
        self.bell_armed = port.line(now, |line| line.arm(seen));
        self.bell_armed
    }

    pub(super) fn on_time(&mut self, now: Duration) {
        self.look_again.take_if(|at| *at <= now);
    }

    /// Watching the doorbell failed, and is tried again a little later.
    pub(super) fn could_not_watch(&mut self, now: Duration) {
        self.watch_at = Some(now.saturating_add(RETRY));
    }

    /// Whether it is time to try again to watch the doorbell.
    pub(super) fn wants_to_watch(&mut self, now: Duration) -> bool {
        self.watch_at.take_if(|at| *at <= now).is_some()
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        [self.look_again, self.watch_at].into_iter().flatten().min()
    }
}

/// The end of the interval that `now` lies in: busy consoles look at the same instants, at one
/// wakeup for all.
fn next_look(now: Duration) -> Duration {
    let interval = INTERVAL.as_nanos() as u64;
    Duration::from_nanos((now.as_nanos() as u64 / interval + 1).saturating_mul(interval))
}
