//! One client: what it was sent, what it still has to be sent, what it has typed.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crossbeam_channel::Sender;
use event_manager::EventSet;

use super::core::CHUNK;
use super::handle::Outcome;
use crate::counters::Counters;
use crate::escape::Escape;
use crate::line::Input;
use crate::log::{BootLog, Cursor, End, GapPolicy, Read, Start};
use crate::protocol::{Decoder, ServerFrame, output_frame};
use crate::rate::TokenBucket;
use crate::replay_guard::ReplayGuard;
use crate::session::{EndReason, Identity, Lease};
use crate::transport::stream::Stream;

/// Bytes sent to one client before others get their turn.
const TURN: usize = 4 * CHUNK;

/// Answers that may wait for a client before it is read from again.
const ANSWERS: usize = CHUNK;

/// What a client speaks.
#[derive(Debug)]
pub(super) enum Wire {
    Raw {
        escape: Option<Escape>,
    },
    Control {
        decoder: Decoder,
        passed: Option<OwnedFd>,
    },
}

/// What a client is to the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Connected to a control socket, no session.
    Guest,
    Holder(Lease),
    Observer,
    /// Its session is over, and it is told so.
    Leaving(Leaving),
    /// Everything is said; waits for it to close.
    Closing {
        until: Duration,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leaving {
    /// Output before this offset is still shown.
    pub(super) drain_to: u64,
    pub(super) until: Duration,
    pub(super) farewell: Farewell,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Farewell {
    Line(String),
    Ended(EndReason),
}

/// How a turn of sending ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// Everything there is.
    All,
    /// The client takes no more for now, or its turn is over.
    Behind,
    /// Its rate limit says to wait.
    Throttled,
    /// Its log has a gap, and the policy forbids one.
    GapForbidden,
    /// It is gone, or the log is.
    Failed(EndReason),
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "independent conditions of two directions"
)]
pub(super) struct Client {
    pub(super) identity: Identity,
    pub(super) stream: Stream,
    pub(super) wire: Wire,
    pub(super) part: Part,
    pub(super) listener: Option<usize>,
    pub(super) outcome: Option<Sender<Outcome>>,
    /// Closes once it has no session; a control connection otherwise goes on.
    pub(super) closes_after: bool,

    view: Option<View>,
    pending: Vec<u8>,
    sent: usize,
    /// The newest boot that it is to be told of, and where that begins. One, not a queue: a guest may reset in a loop.
    pub(super) boot: Option<(u64, u64)>,
    pub(super) behind: bool,
    bucket: Option<TokenBucket>,
    pub(super) quiet_until: Option<Duration>,

    /// Typed, but not taken by the line's queue yet.
    pub(super) typed: VecDeque<Input>,
    pub(super) input_open: bool,
    /// The peer is gone; until when what it typed is still passed on.
    pub(super) hung_up: Option<Duration>,
    pub(super) gone: bool,

    /// What is watched now; `None` if the descriptor cannot be (or is not) watched.
    pub(super) watched: Option<EventSet>,
    pub(super) watched_output: Option<EventSet>,
    /// Descriptors that are always ready cannot be watched; they are served in every round.
    pub(super) always_ready: bool,
}

/// A client's sight of the log.
struct View {
    cursor: Cursor,
    /// Where live output began.
    live_from: u64,
    guard: Option<ReplayGuard>,
    /// All output before this offset was taken by the kernel.
    delivered_to: u64,
    counted: (u64, u64),
    observer: bool,
}

impl Client {
    pub(super) fn new(
        identity: Identity,
        stream: Stream,
        wire: Wire,
        bucket: Option<TokenBucket>,
    ) -> Self {
        Self {
            identity,
            stream,
            wire,
            part: Part::Guest,
            listener: None,
            outcome: None,
            closes_after: false,
            view: None,
            pending: Vec::new(),
            sent: 0,
            boot: None,
            behind: false,
            bucket,
            quiet_until: None,
            typed: VecDeque::new(),
            input_open: true,
            hung_up: None,
            gone: false,
            watched: None,
            watched_output: None,
            always_ready: false,
        }
    }

    pub(super) fn is_control(&self) -> bool {
        matches!(self.wire, Wire::Control { .. })
    }

    pub(super) fn lease(&self) -> Option<Lease> {
        match self.part {
            Part::Holder(lease) => Some(lease),
            _ => None,
        }
    }

    pub(super) fn has_session(&self) -> bool {
        matches!(self.part, Part::Holder(_) | Part::Observer)
    }

    /// Begins to show the log. Returns where replay starts.
    pub(super) fn show(
        &mut self,
        log: &BootLog,
        replay: Start,
        gaps: GapPolicy,
        guarded: bool,
        observer: bool,
    ) -> u64 {
        let live_from = log.head();
        let cursor = log.cursor(replay).with_gap_policy(gaps);
        let start = cursor.offset();
        let guard = (guarded && start < live_from).then(ReplayGuard::default);
        self.view = Some(View {
            cursor,
            live_from,
            guard,
            delivered_to: start,
            counted: (0, 0),
            observer,
        });
        start
    }

    pub(super) fn live_from(&self) -> u64 {
        self.view.as_ref().map_or(0, |view| view.live_from)
    }

    /// The offset of the first byte of output that the kernel has not taken.
    pub(super) fn resume_offset(&self) -> u64 {
        self.view.as_ref().map_or(0, |view| view.delivered_to)
    }

    /// Whether it has seen everything before `head`.
    pub(super) fn has_seen(&self, head: u64) -> Option<bool> {
        self.view.as_ref().map(|view| view.cursor.offset() >= head)
    }

    /// Bytes written since it attached and not yet read for it.
    pub(super) fn bytes_behind(&self) -> u64 {
        self.view.as_ref().map_or(0, |view| {
            let written = view.cursor.log().head().saturating_sub(view.live_from);
            written.min(view.cursor.behind())
        })
    }

    pub(super) fn stop_showing(&mut self, counters: &Counters) {
        if let Some(view) = &mut self.view {
            view.count(counters);
            if let Some(guard) = &view.guard {
                counters.guarded.add(guard.removed());
            }
        }
        self.view = None;
        self.boot = None;
    }

    /// Queues a frame. Only for control connections.
    pub(super) fn answer(&mut self, frame: &ServerFrame) {
        frame.encode(&mut self.pending);
    }

    /// Queues text. Only for raw connections.
    pub(super) fn say(&mut self, text: &str) {
        self.pending.extend_from_slice(text.as_bytes());
    }

    pub(super) fn has_pending(&self) -> bool {
        self.sent < self.pending.len()
    }

    /// Whether more of its input should be read.
    pub(super) fn listens(&self) -> bool {
        let wanted = match self.part {
            Part::Guest | Part::Observer | Part::Holder(_) | Part::Closing { .. } => true,
            Part::Leaving(_) => self.is_control(),
        };
        wanted
            && self.input_open
            && self.typed.is_empty()
            && self.pending.len() - self.sent < ANSWERS
            && !self.gone
    }

    /// Whether a frame of it can be carried out: not while typed bytes before it wait for the guest, nor while it does
    /// not read the answers it has asked for.
    pub(super) fn has_frame_to_do(&self) -> bool {
        let Wire::Control { decoder, .. } = &self.wire else {
            return false;
        };
        decoder.has_frame()
            && self.typed.is_empty()
            && self.pending.len() - self.sent < ANSWERS
            && !self.gone
    }

    /// Sends what there is: first what is pending, then the log, for one turn.
    pub(super) fn send(&mut self, now: Duration, scratch: &mut [u8], counters: &Counters) -> Sent {
        let mut turn = TURN;
        loop {
            if self.has_pending() {
                match self.send_pending(now, &mut turn, counters) {
                    Ok(None) => {}
                    Ok(Some(stop)) => return stop,
                    Err(error) => return Sent::Failed(failure(&error)),
                }
            }
            if self.hung_up.is_some() {
                return Sent::All;
            }
            if let Some((epoch, offset)) = self.boot.take() {
                self.answer(&ServerFrame::Boot { epoch, offset });
                continue;
            }
            let control = self.is_control();
            let last = match &self.part {
                Part::Leaving(leaving) => leaving.drain_to,
                _ => u64::MAX,
            };
            let Some(view) = &mut self.view else {
                return Sent::All;
            };
            let offset = view.cursor.offset();
            view.delivered_to = offset;
            view.count(counters);
            if view.guard.is_some()
                && offset >= view.live_from
                && let Some(mut guard) = view.guard.take()
            {
                let held = self.pending.len();
                guard.finish(&mut self.pending);
                counters.guarded.add(guard.removed());
                if control && self.pending.len() > held {
                    let bytes = self.pending.split_off(held);
                    output_frame(&mut self.pending, true, offset, offset, &bytes);
                }
                continue;
            }
            if turn == 0 {
                return if view.cursor.behind() > 0 {
                    Sent::Behind
                } else {
                    Sent::All
                };
            }
            let border = if offset < view.live_from {
                view.live_from.min(last)
            } else {
                last
            };
            let mut want = usize::try_from(border.saturating_sub(offset))
                .unwrap_or(usize::MAX)
                .min(scratch.len())
                .min(turn);
            if want == 0 {
                return Sent::All;
            }
            if let Some(bucket) = &mut self.bucket {
                let allowance = bucket.allowance(now);
                if allowance == 0 && view.cursor.behind() > 0 {
                    self.quiet_until = Some(bucket.ready_at());
                    counters.throttled.add(1);
                    return Sent::Throttled;
                }
                want = want.min(allowance.max(1));
            }
            match view.cursor.read(&mut scratch[..want]) {
                Read::Bytes(n) => {
                    turn = turn.saturating_sub(n);
                    if let Some(stop) = self.forward(offset, &scratch[..n]) {
                        return stop;
                    }
                }
                Read::Gap { from, to } => {
                    if let Some(guard) = &mut view.guard {
                        guard.interrupt();
                    }
                    if control {
                        ServerFrame::Gap { from, to }.encode(&mut self.pending);
                    } else {
                        let note = format!("\r\n[{} bytes of output lost]\r\n", to - from);
                        self.pending.extend_from_slice(note.as_bytes());
                    }
                }
                Read::UpToDate => return Sent::All,
                Read::Ended(End::Gap) => return Sent::GapForbidden,
                Read::Ended(End::FileCut) => {
                    return Sent::Failed(EndReason::Error("the log's file was cut short".into()));
                }
            }
        }
    }

    /// Passes on what was read from the log at `offset`: to the kernel at once where nothing has to be changed in it.
    /// `None`: go on.
    fn forward(&mut self, offset: u64, bytes: &[u8]) -> Option<Sent> {
        let control = self.is_control();
        let view = self.view.as_mut()?;
        let next = offset + bytes.len() as u64;
        let replayed = offset < view.live_from;
        match (&mut view.guard, control) {
            (Some(guard), false) => guard.filter(bytes, &mut self.pending),
            (Some(guard), true) => {
                let mut shown = Vec::with_capacity(bytes.len());
                guard.filter(bytes, &mut shown);
                output_frame(&mut self.pending, replayed, offset, next, &shown);
            }
            (None, true) => output_frame(&mut self.pending, replayed, offset, next, bytes),
            (None, false) => match self.stream.write(bytes) {
                Ok(taken) => {
                    if let Some(bucket) = &mut self.bucket {
                        bucket.spend(taken);
                    }
                    view.delivered_to = offset + taken as u64;
                    if taken < bytes.len() {
                        self.pending.extend_from_slice(&bytes[taken..]);
                        return Some(Sent::Behind);
                    }
                }
                Err(error) => return Some(Sent::Failed(failure(&error))),
            },
        }
        None
    }

    /// `Ok(None)`: all of it was taken.
    fn send_pending(
        &mut self,
        now: Duration,
        turn: &mut usize,
        counters: &Counters,
    ) -> io::Result<Option<Sent>> {
        while self.has_pending() {
            let mut want = (self.pending.len() - self.sent).min(CHUNK);
            if let Some(bucket) = &mut self.bucket {
                let allowance = bucket.allowance(now);
                if allowance == 0 {
                    self.quiet_until = Some(bucket.ready_at());
                    counters.throttled.add(1);
                    return Ok(Some(Sent::Throttled));
                }
                want = want.min(allowance);
            }
            let taken = self
                .stream
                .write(&self.pending[self.sent..self.sent + want])?;
            if let Some(bucket) = &mut self.bucket {
                bucket.spend(taken);
            }
            self.sent += taken;
            *turn = turn.saturating_sub(taken);
            if taken < want || *turn == 0 && self.has_pending() {
                return Ok(Some(Sent::Behind));
            }
        }
        self.pending.clear();
        self.sent = 0;
        // A chunk's worth is kept for the next one while output flows; what idles holds nothing.
        if self
            .view
            .as_ref()
            .is_none_or(|view| view.cursor.behind() == 0)
        {
            self.pending = Vec::new();
        }
        Ok(None)
    }

    /// What should be watched on the input side, and on the output side if that is another descriptor.
    pub(super) fn interest(&self) -> (EventSet, EventSet) {
        let mut input = EventSet::empty();
        let mut output = EventSet::empty();
        if self.listens() {
            input |= EventSet::IN;
        }
        if self.behind && self.quiet_until.is_none() {
            output |= EventSet::OUT;
        }
        match self.stream {
            Stream::Files { .. } => (input, output),
            Stream::Socket(_) | Stream::File(_) => (input | output, EventSet::empty()),
        }
    }
}

impl View {
    fn count(&mut self, counters: &Counters) {
        let lost = self.cursor.lost();
        let delivered = self
            .delivered_to
            .saturating_sub(self.cursor.started_at())
            .saturating_sub(lost);
        let (seen, missed) = (
            delivered.saturating_sub(self.counted.0),
            lost - self.counted.1,
        );
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

fn failure(error: &io::Error) -> EndReason {
    match error.kind() {
        io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted => EndReason::ClientClosed,
        _ => EndReason::Error(format!("cannot write to the client: {error}")),
    }
}
