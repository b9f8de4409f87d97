//! The guest's output, and the farewell that comes after it.

use std::sync::Arc;
use std::time::Duration;

use crate::log::MarkKind;
use crate::protocol::{ServerFrame, SessionEnd};
use crate::service::client::{Client, Farewell, Leaving, Part, Sent};
use crate::service::core::Core;
use crate::session::EndReason;
use crate::transport::stream::Stream;

use super::{Hold, Hosted};

/// Rounds of sending and arming the doorbell before others get their turn.
const ROUNDS_A_TURN: usize = 4;
/// While output flows it is looked for at this interval, and the doorbell stays unarmed: a ring is a system call on the
/// vCPU's thread, and wakes this one for a byte or two. What follows a silence rings and is sent at once. Shorter than
/// anybody sees, and each look at a busy console costs a write to its client, whatever it finds.
const OUTPUT_INTERVAL: Duration = Duration::from_millis(4);

impl Hosted {
    /// Sends to every client what it can take; then, if some have seen everything, asks to be woken for more.
    pub(super) fn send(&mut self, core: &mut Core) {
        for _ in 0..ROUNDS_A_TURN {
            let mut seen: Option<u64> = None;
            self.each_client(core, |hosted, client, core| {
                if let Some(offset) = hosted.send_to(client, core) {
                    seen = Some(seen.map_or(offset, |seen| seen.min(offset)));
                }
            });
            let Some(seen) = seen else { return };
            if std::mem::take(&mut self.output_flows) {
                self.look_again = Some(next_look(core.now()));
            }
            if self.look_again.is_some() {
                return;
            }
            if self.bell_armed && self.console.log.head() == seen {
                return;
            }
            self.bell_armed = self.line(|line| line.arm(seen));
            if self.bell_armed {
                return;
            }
        }
        // Output comes faster than it can be waited for. Whoever would have waited is behind, and is served again when
        // others have had their turn.
        for client in self.clients.values_mut() {
            client.behind |= client.has_session() && client.quiet_until.is_none();
        }
    }

    /// The offset that the client has seen, if it has seen everything and waits for more.
    pub(super) fn send_to(&mut self, client: &mut Client, core: &mut Core) -> Option<u64> {
        if client.gone || client.behind || client.quiet_until.is_some() {
            return None;
        }
        self.frames(client, core);
        let counters = Arc::clone(&self.console.counters);
        let now = core.now();
        let before = client.resume_offset();
        let sent = client.send(now, &mut core.scratch, &counters);
        if client.resume_offset() != before {
            self.output_flows = true;
            if let Some(lease) = client.lease() {
                self.session.output(now, lease);
            }
        }
        self.hold_for(client, &sent);
        match sent {
            Sent::All | Sent::Throttled => {}
            Sent::Behind => client.behind = true,
            Sent::GapForbidden => {
                self.line(|line| line.mark(MarkKind::Gap));
                self.finish(client, EndReason::TooSlow, core);
            }
            Sent::Failed(reason) => self.finish(client, reason, core),
        }
        self.say_goodbye(client, core);
        // Frames that had to wait for room for their answers go on in the next turn.
        client.behind |= client.has_frame_to_do();
        let waits =
            client.has_session() && !client.gone && !client.behind && client.quiet_until.is_none();
        waits.then(|| client.resume_offset())
    }

    /// Lossless mode: lets output go only so far beyond what the holder has taken.
    pub(super) fn hold_for(&mut self, client: &Client, sent: &Sent) {
        if self.console.config.lossless.is_none() || client.lease().is_none() {
            return;
        }
        match (self.hold, sent) {
            (Hold::GivenUp, Sent::All) => self.hold = Hold::Ready,
            (Hold::GivenUp, _) => return,
            _ => {}
        }
        let limit = client
            .resume_offset()
            .saturating_add(self.console.config.lossless_window);
        if !self.line(|line| line.hold_output_at(Some(limit))) {
            self.hold = Hold::Ready;
        }
    }

    /// Once a leaving client has seen what it was to see, tells it why it leaves.
    pub(super) fn say_goodbye(&mut self, client: &mut Client, core: &mut Core) {
        if let Part::Leaving(leaving) = &client.part
            && !client.has_pending()
            && client.has_seen(leaving.drain_to) != Some(false)
        {
            let leaving = leaving.clone();
            self.goodbye(client, leaving, core);
        }
        if matches!(client.part, Part::Closing { .. }) && !client.has_pending() {
            match client.stream {
                // Who shuts down waits for what was said to be taken, not for the others to close.
                Stream::Socket(_) if self.shutting_down => client.gone = true,
                Stream::Socket(_) => client.stream.finish_output(),
                // Nothing tells when the other side has seen it.
                Stream::File(_) | Stream::Files { .. } => client.gone = true,
            }
        }
    }

    pub(super) fn goodbye(&mut self, client: &mut Client, leaving: Leaving, core: &mut Core) {
        let resume = client.resume_offset();
        client.stop_showing(&self.console.counters);
        let closing = Part::Closing {
            until: leaving.until,
        };
        match leaving.farewell {
            Farewell::Line(line) => {
                client.say(&line);
                client.part = closing;
            }
            Farewell::Ended(reason) if client.is_control() => {
                let by = match &reason {
                    EndReason::TakenOver { by } => by.to_string(),
                    _ => String::new(),
                };
                client.answer(&ServerFrame::Ended(SessionEnd {
                    reason: reason.index() as u8,
                    resume,
                    epoch: self.console.log.epoch(),
                    by,
                    text: reason.to_string(),
                }));
                client.part = if client.closes_after {
                    closing
                } else {
                    Part::Guest
                };
            }
            Farewell::Ended(reason) => {
                if self.config().notices {
                    client.say(&format!(
                        "\r\n[console {}: session over: {reason}]\r\n",
                        self.name
                    ));
                }
                client.part = closing;
            }
        }
        let counters = Arc::clone(&self.console.counters);
        if let Sent::Behind = client.send(core.now(), &mut core.scratch, &counters) {
            client.behind = true;
        }
    }
}

/// The end of the interval that `now` lies in: busy consoles look at the same instants, at one wakeup for all.
fn next_look(now: Duration) -> Duration {
    let interval = OUTPUT_INTERVAL.as_nanos() as u64;
    Duration::from_nanos((now.as_nanos() as u64 / interval + 1).saturating_mul(interval))
}
