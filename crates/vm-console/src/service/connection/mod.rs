//! One connection: who it is, what it speaks, what it is to the console, and how far it has got.
//!
//! | file | what |
//! |---|---|
//! | `standing` | what it is to the console, and whether its peer is there |
//! | `wire` | raw bytes or frames: the one place that knows the difference |
//! | `inbox` | what was typed and not passed on |
//! | `outbox`, `view`, `pace` | what is still to be sent: answers, the log, and how fast |
//! | `watch` | what its descriptors are watched for |
//!
//! Nothing here knows a console.

mod inbox;
#[cfg(any(test, fuzzing))]
mod inspection;
mod outbox;
mod pace;
mod standing;
mod view;
mod watch;
mod wire;

use std::os::fd::OwnedFd;
use std::time::Duration;

use crossbeam_channel::Sender;

use self::inbox::Inbox;
use self::outbox::Outbox;
use self::pace::Pace;
use self::standing::Standing;
use self::watch::{Watch, Watching};
use crate::drop_limit::Dropper;
use crate::rate::TokenBucket;
use crate::session::{EndReason, Identity};
use crate::transport::stream::Stream;

use super::command::{Caller, Outcome};
use super::kernel::{ConnectionId, Interest, Watched};
use super::turn::Turn;

#[cfg(any(test, fuzzing))]
pub(super) use self::inspection::ConnectionState;
pub(super) use self::outbox::{Pass, Sent};
pub(super) use self::standing::Role;
pub(super) use self::view::Show;
pub(super) use self::wire::{Framing, Wait, Wire};

pub(super) struct Connection {
    identity: Identity,
    stream: Box<dyn Stream>,
    pub(super) wire: Wire,
    pub(super) standing: Standing,
    pub(super) inbox: Inbox,
    pub(super) outbox: Outbox,
    watch: Watch,
    /// Who waits for the end of its session.
    outcome: Option<Sender<Outcome>>,
    /// The listener that serves nobody else as long as it is there.
    pub(super) slot: Option<usize>,
    /// The connection that its descriptor was passed on. It ends with that one: if both ends of a
    /// socket pair were passed, nobody else could end the session.
    pub(super) passed_by: Option<ConnectionId>,
    /// Whether the policy's limits hold for its session.
    pub(super) has_limits: bool,
    /// When it last asked for something, or came.
    pub(super) asked_at: Duration,
    /// Where the last answer to a wait for the log has ended.
    pub(super) follows_from: Option<u64>,
}

impl Connection {
    pub(super) fn new(
        identity: Identity,
        stream: Box<dyn Stream>,
        wire: Wire,
        bucket: Option<TokenBucket>,
        dropper: Option<Dropper>,
        now: Duration,
    ) -> Self {
        Self {
            identity,
            stream,
            wire,
            standing: Standing::default(),
            inbox: Inbox::new(),
            outbox: Outbox::new(Pace::new(bucket), dropper),
            watch: Watch::default(),
            outcome: None,
            slot: None,
            passed_by: None,
            has_limits: true,
            asked_at: now,
            follows_from: None,
        }
    }

    /// Whoever waits for the end of its session is told there.
    pub(super) fn report_to(&mut self, caller: Caller) {
        self.outcome = caller.into_sender();
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Goes by another name from now on.
    pub(super) fn rename(&mut self, identity: Identity) {
        self.identity = identity;
    }

    pub(super) fn stream(&mut self) -> &mut dyn Stream {
        &mut *self.stream
    }

    /// Queues something for it, in the form that it speaks.
    pub(super) fn tell(&mut self, put: impl FnOnce(Framing, &mut Vec<u8>)) {
        let framing = self.wire.framing();
        self.outbox.queue(|out| put(framing, out));
    }

    /// Whether it goes on when its session is over.
    pub(super) fn outlives_sessions(&self) -> bool {
        match self.wire.framing() {
            Framing::Raw { .. } => false,
            Framing::Control => true,
        }
    }

    pub(super) fn take_passed(&mut self) -> Option<OwnedFd> {
        self.stream.take_passed()
    }

    /// Its session is over, or was refused, and whoever waits for that is told.
    pub(super) fn report(&mut self, outcome: Outcome) {
        if let Some(sender) = self.outcome.take() {
            // Whoever asked may not care any more.
            let _ = sender.send(outcome);
        }
    }

    /// Its session is over. What is left of the output is still its own, unless the reason says
    /// otherwise; a peer that is gone needs no farewell.
    pub(super) fn end_session(&mut self, why: EndReason, head: u64, until: Duration) {
        self.report(Outcome::Ended(why.clone()));
        self.standing.end_session(why, head, until);
    }

    /// Why it leaves and by when, if it has been shown everything it was to be shown.
    pub(super) fn has_drained(&self) -> Option<(EndReason, Duration)> {
        match self.standing.role() {
            Role::Leaving {
                why,
                drain_to,
                until,
            } if !self.outbox.has_pending() && self.outbox.has_read_to(*drain_to) => {
                Some((why.clone(), *until))
            }
            _ => None,
        }
    }

    /// Says that nothing more comes, once all is said. Without a way to hear the peer's answer
    /// there is nothing to wait for.
    pub(super) fn finish_output(&mut self, waits_for_peer: bool) {
        if self.standing.is_closing()
            && !self.outbox.has_pending()
            && !(self.stream.finish_output() && waits_for_peer)
        {
            self.standing.go();
        }
    }

    /// Whether more of what it sends should be read: not while there is a request that has to be
    /// carried out first, nor if it is a raw client that has been told why it leaves.
    pub(super) fn listens(&self) -> bool {
        let is_wanted = !self.standing.is_leaving() || self.outlives_sessions();
        is_wanted
            && !self.wire.has_request()
            && self.inbox.is_open()
            && self.inbox.is_empty()
            && self.outbox.has_room_for_answers()
            && !self.standing.is_gone()
    }

    /// Whether reading may bring something now.
    pub(super) fn may_be_read(&self) -> bool {
        self.listens() && !self.stream.is_receiving()
    }

    /// Whether a request of it can be carried out: not while typed bytes before it wait for the
    /// guest, nor while it does not read the answers it has asked for, nor between the end of a
    /// session and the frame that tells it, nor while one waits for output.
    pub(super) fn has_request_to_do(&self) -> bool {
        self.wire.has_request()
            && self.wire.wait().is_none()
            && !self.standing.is_leaving()
            && self.inbox.is_empty()
            && self.outbox.has_room_for_answers()
            && !self.standing.is_gone()
    }

    /// Whether there is nothing to send to it now, nor anything to do for it. Two of those must not
    /// have each other wait for their turn for ever.
    pub(super) fn is_idle(&self) -> bool {
        self.outbox.has_sent_everything()
            && (!self.wire.has_request() || self.wire.wait().is_some())
            && !self.standing.is_leaving()
            && !self.standing.is_gone()
    }

    /// The offset that it has seen, if it waits for more output: `shown` in its session, or that at
    /// which a request waits.
    pub(super) fn has_seen(&self, shown: u64) -> Option<u64> {
        let shown = self.standing.has_session().then_some(shown);
        let asked = self.wire.wait().map(|wait| wait.from);
        shown.into_iter().chain(asked).min()
    }

    /// Its turn is over before it has begun. If it has something to do it has the next one;
    /// otherwise returns the offset that it has seen, if it waits for more output.
    pub(super) fn pass_over(&mut self, waits_for_peer: bool) -> Option<u64> {
        let is_idle = self.is_idle();
        if !is_idle {
            self.outbox.pace.wait_for_room();
        }
        let seen = self.has_seen(self.outbox.read_to());
        // One that is to close has nothing to send either, so no other turn comes.
        self.finish_output(waits_for_peer);
        seen.filter(|_| is_idle)
    }

    /// Its time to read is over: shows it nothing more, and makes room for the reason.
    pub(super) fn prepare_last_words(&mut self) {
        self.standing.stop_draining();
        self.stream.make_room();
    }

    /// Sends what there is, for one turn.
    pub(super) fn send(&mut self, pass: &mut Pass<'_>) -> Sent {
        let until = match self.standing.role() {
            Role::Leaving { drain_to, .. } => *drain_to,
            Role::Guest { .. } | Role::Holder(_) | Role::Observer { .. } => u64::MAX,
        };
        let framing = self.wire.framing();
        self.outbox.send(&mut *self.stream, framing, until, pass)
    }

    pub(super) fn on_time(&mut self, now: Duration) {
        if self.wire.wait().is_some_and(|wait| wait.until <= now) {
            self.wire.end_wait();
        }
        self.outbox.pace.on_time(now);
        self.standing.on_time(now);
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        [
            self.standing.next_deadline(),
            self.outbox.pace.next_deadline(),
            self.wire.wait().map(|wait| wait.until),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Watches for what it waits for. Whether it has something to do that nothing will tell.
    pub(super) fn watch(&mut self, what: Watched, turn: &mut Turn<'_>) -> bool {
        if self.standing.is_gone() {
            return false;
        }
        if self.standing.has_hung_up() {
            return self.watch_rest(what, turn);
        }
        let mut input = Interest {
            readable: self.listens(),
            writable: false,
        };
        let mut output = Interest {
            readable: input.readable && self.stream.output_tells_of_input(),
            writable: self.outbox.pace.is_behind(),
        };
        let descriptors = self.stream.descriptors();
        if descriptors.1.is_none() {
            // One descriptor for both ways.
            input.writable = std::mem::take(&mut output.writable);
        }
        let watching = self.watch.sync(descriptors, (input, output), what, turn);
        self.has_untold(watching)
    }

    /// Watches for what another thread still receives, after the peer has hung up.
    fn watch_rest(&mut self, what: Watched, turn: &mut Turn<'_>) -> bool {
        if !self.listens() || self.may_be_read() {
            self.unwatch(turn);
            return self.listens();
        }
        let input = (self.stream.descriptors().0, None);
        let interest = (Interest::READABLE, Interest::default());
        let watching = self.watch.sync(input, interest, what, turn);
        self.has_untold(watching)
    }

    /// Whether it has something to do that nothing will tell.
    fn has_untold(&mut self, watching: Watching) -> bool {
        if watching == Watching::Failed {
            self.standing.go();
        }
        watching == Watching::Untold
    }

    /// Whether one of its descriptors is always ready, so that nothing tells when to read or write.
    pub(super) fn is_always_ready(&self) -> bool {
        self.watch.is_always_ready()
    }

    /// Watches its input no more: its writer is gone, and that would be reported without end.
    pub(super) fn unwatch_input(&mut self, turn: &mut Turn<'_>) {
        self.watch.stop_input(self.stream.descriptors().0, turn);
    }

    /// Watches nothing of it any more: a hang-up is reported for as long as it is watched.
    pub(super) fn unwatch(&mut self, turn: &mut Turn<'_>) {
        self.watch.stop(self.stream.descriptors(), turn);
    }
}
