//! How output that comes later is noticed: by the doorbell, or by looking again.
//!
//! While output flows it is looked for at an interval, and the doorbell stays unarmed: a ring is a
//! system call on the vCPU's thread, and wakes this one for a byte or two. Output that follows a
//! silence rings and is sent at once.

use std::time::Duration;

use super::timed_port::TimedPort;

/// From one look to the next while much flows, or somebody types and waits for the echo.
const INTERVAL: Duration = Duration::from_millis(4);

/// The same for a little output that nobody's key has caused, in a log that holds far more than
/// comes in this time. It is two frames of a usual display. Each look costs a write to a client,
/// whatever it finds, so a thousand slow consoles keep the thread busy by their looks.
const SLOW_INTERVAL: Duration = Duration::from_millis(32);

/// The same while nobody waits for output, and only its time is of interest.
const REST: Duration = Duration::from_secs(1);

/// From this many bytes between two looks on, it is much.
const MUCH: u64 = 4096;

/// The smallest tail of a log that is looked at slowly: 8 MB/s fill it from one look to the next.
const LARGE_TAIL: u64 = 256 << 10;

/// How long after a key output may be the answer to it.
const ANSWER: Duration = Duration::from_millis(100);

/// How long a doorbell goes unheard that could not be watched.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Flow {
    /// The doorbell will ring for the next output.
    bell_armed: bool,
    /// Bytes of output that have moved since the last time that all waited for more; 0 if none.
    moved: u64,
    has_large_tail: bool,
    /// Output may be the answer to a key until then.
    answer_until: Duration,
    /// The next look, in place of the doorbell.
    look_again: Option<Duration>,
    /// The next look if nobody waits for output by then.
    rest_until: Option<Duration>,
    /// The write offset when nobody had waited for output last.
    rested_at: Option<u64>,
    /// When to try again to watch the doorbell, if that failed.
    watch_at: Option<Duration>,
}

impl Flow {
    /// Of the output of a log that keeps `tail` bytes.
    pub(super) fn new(tail: u64) -> Self {
        Self {
            bell_armed: false,
            moved: 0,
            has_large_tail: tail >= LARGE_TAIL,
            answer_until: Duration::ZERO,
            look_again: None,
            rest_until: None,
            rested_at: None,
            watch_at: None,
        }
    }

    /// The doorbell rang, and does not ring again by itself.
    pub(super) fn rang(&mut self) {
        self.bell_armed = false;
    }

    /// `count` bytes of output were sent to somebody.
    pub(super) fn moved(&mut self, count: u64) {
        self.moved = self.moved.saturating_add(count);
    }

    /// `count` bytes of output were given to somebody who may ask for what follows at once. That
    /// waits for the next look, so that it is not asked for byte by byte.
    pub(super) fn answered(&mut self, now: Duration, count: u64) {
        if count > 0 && self.look_again.is_none() {
            self.look_again = Some(next_look(now, self.interval(now, count)));
        }
    }

    /// Whether output that has come is looked for at a later moment.
    pub(super) fn looks_again(&self) -> bool {
        self.look_again.is_some()
    }

    /// Somebody types, and wants to see the answer.
    pub(super) fn typed(&mut self, now: Duration) {
        self.answer_until = now.saturating_add(ANSWER);
        let soon = next_look(now, INTERVAL);
        self.look_again = self.look_again.map(|at| at.min(soon));
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
        self.rest_until = None;
        match std::mem::take(&mut self.moved) {
            0 => {}
            moved => self.look_again = Some(next_look(now, self.interval(now, moved))),
        }
        if self.look_again.is_some() || self.bell_armed && head == seen {
            return true;
        }
        self.bell_armed = port.line(now, |line| line.arm(seen));
        self.bell_armed
    }

    /// Nobody waits for output. That some has come is noticed all the same: by the doorbell, or
    /// while it flows by a look now and then.
    pub(super) fn rest(&mut self, head: u64, now: Duration, port: &mut TimedPort) {
        if self.look_again.is_some() || self.rest_until.is_some() || self.bell_armed {
            return;
        }
        let flows = self
            .rested_at
            .replace(head)
            .is_some_and(|last| last != head);
        self.bell_armed = !flows && port.line(now, |line| line.arm(head));
        if !self.bell_armed {
            self.rest_until = Some(next_look(now, REST));
        }
    }

    /// How long to wait for the next look, if `moved` bytes have moved since the last.
    fn interval(&self, now: Duration, moved: u64) -> Duration {
        if moved >= MUCH || now < self.answer_until || !self.has_large_tail {
            INTERVAL
        } else {
            SLOW_INTERVAL
        }
    }

    pub(super) fn on_time(&mut self, now: Duration) {
        for at in [&mut self.look_again, &mut self.rest_until] {
            at.take_if(|at| *at <= now);
        }
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
        [self.look_again, self.rest_until, self.watch_at]
            .into_iter()
            .flatten()
            .min()
    }
}

/// The end of the interval that `now` lies in: busy consoles look at the same instants, at one
/// wakeup for all.
fn next_look(now: Duration, interval: Duration) -> Duration {
    let interval = interval.as_nanos() as u64;
    Duration::from_nanos((now.as_nanos() as u64 / interval + 1).saturating_mul(interval))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::service::guest_port::Port;
    use crate::{BootLog, Console, ConsoleConfig, LogConfig};

    const NOW: Duration = Duration::from_secs(1);

    /// A console, and its line in a port.
    fn console() -> (Console, TimedPort) {
        let (writer, _) = BootLog::in_memory(LogConfig::default()).unwrap();
        let (line, console) = Console::new(ConsoleConfig::named("vm"), writer).unwrap();
        (
            console,
            TimedPort::new(Port::new(Arc::new(Mutex::new(line)))),
        )
    }

    fn print(port: &mut TimedPort, output: &[u8]) {
        port.line(NOW, |line| line.transmit(output));
    }

    fn has_rung(console: &Console) -> bool {
        console.bell.read().is_ok()
    }

    #[test]
    fn output_after_a_silence_rings_and_while_it_flows_it_is_looked_for() {
        let (console, mut port) = console();
        let mut flow = Flow::new(LARGE_TAIL);
        assert!(flow.wait(0, 0, NOW, &mut port));
        // An armed bell serves all that have seen as much.
        assert!(flow.wait(0, 0, NOW, &mut port));
        assert_eq!(flow.next_deadline(), None);
        assert!(!has_rung(&console));
        print(&mut port, b"one");
        assert!(has_rung(&console));
        flow.rang();

        // Three bytes were sent. The next are looked for, and do not ring.
        flow.moved(3);
        assert!(flow.wait(3, 3, NOW, &mut port));
        assert!(flow.next_deadline().is_some_and(|at| at > NOW));
        print(&mut port, b"two");
        assert!(!has_rung(&console));

        // Nothing has moved since: the bell again, and not if more is there already.
        flow.on_time(NOW + SLOW_INTERVAL);
        assert_eq!(flow.next_deadline(), None);
        assert!(!flow.wait(3, 6, NOW, &mut port));
        assert!(flow.wait(6, 6, NOW, &mut port));
        print(&mut port, b"three");
        assert!(has_rung(&console));
        // It was armed, but for those who have seen everything.
        assert!(!flow.wait(6, 11, NOW, &mut port));
    }

    #[test]
    fn a_doorbell_that_could_not_be_watched_is_tried_again_once() {
        let mut flow = Flow::new(LARGE_TAIL);
        assert!(!flow.wants_to_watch(NOW));
        flow.could_not_watch(NOW);
        assert_eq!(flow.next_deadline(), Some(NOW + RETRY));
        assert!(!flow.wants_to_watch(NOW));
        assert!(flow.wants_to_watch(NOW + RETRY));
        assert!(!flow.wants_to_watch(NOW + RETRY));
        assert_eq!(flow.next_deadline(), None);
    }

    #[test]
    fn a_slow_flow_is_looked_at_less_often_unless_somebody_types() {
        let mut flow = Flow::new(LARGE_TAIL);
        assert_eq!(flow.interval(NOW, 1), SLOW_INTERVAL);
        assert_eq!(flow.interval(NOW, MUCH - 1), SLOW_INTERVAL);
        assert_eq!(flow.interval(NOW, MUCH), INTERVAL);
        flow.typed(NOW);
        assert_eq!(flow.interval(NOW, 1), INTERVAL);
        assert_eq!(flow.interval(NOW + ANSWER, 1), SLOW_INTERVAL);
        let flow = Flow::new(LARGE_TAIL - 1);
        assert_eq!(flow.interval(NOW, 1), INTERVAL);
    }

    #[test]
    fn a_key_brings_the_next_look_forward_and_causes_none() {
        let mut flow = Flow::new(LARGE_TAIL);
        flow.typed(NOW);
        assert_eq!(flow.next_deadline(), None);
        let slow = next_look(NOW, SLOW_INTERVAL);
        for ago in (0..8).map(|looks| looks * INTERVAL) {
            flow.look_again = Some(slow);
            flow.typed(slow.saturating_sub(ago + Duration::from_nanos(1)));
            assert_eq!(flow.next_deadline(), Some(slow.saturating_sub(ago)));
        }
    }

    #[test]
    fn fast_and_slow_consoles_look_at_the_same_instants() {
        for milliseconds in 0..100 {
            let slow = next_look(Duration::from_millis(milliseconds), SLOW_INTERVAL);
            let before = slow.saturating_sub(Duration::from_nanos(1));
            assert_eq!(next_look(before, INTERVAL), slow);
        }
    }
}
