//! One turn of sending.

use std::io;
use std::time::Duration;

use super::Outbox;
use crate::counters::Counters;
use crate::drop_limit::{Dropper, Verdict};
use crate::log::End;
use crate::service::connection::view::{Next, View};
use crate::service::connection::wire::Framing;
use crate::service::turn::CHUNK;
use crate::session::EndReason;
use crate::transport::stream::Stream;

/// Bytes sent to one connection before others get their turn.
const TURN: usize = 16 << 10;

/// How a turn of sending ended.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::service) enum Sent {
    /// Everything there is.
    All,
    /// The peer takes no more for now, or the turn is over.
    Behind,
    /// The rate limit says to wait.
    Throttled,
    /// The log has a gap, and the policy forbids one.
    GapForbidden,
    /// The peer is gone, or the log is.
    Failed(EndReason),
}

/// What one turn of sending may use.
pub(in crate::service) struct Pass<'a> {
    pub(in crate::service) now: Duration,
    pub(in crate::service) scratch: &'a mut [u8],
    pub(in crate::service) counters: &'a Counters,
}

impl Outbox {
    /// Sends what there is, for one turn: first what is pending, then the log up to `until`.
    pub(in crate::service::connection) fn send(
        &mut self,
        to: &mut dyn Stream,
        framing: Framing,
        until: u64,
        pass: &mut Pass<'_>,
    ) -> Sent {
        let mut turn = TURN;
        let sent = loop {
            if let Some(sent) = self.step(to, framing, until, pass, &mut turn) {
                break sent;
            }
        };
        if sent == Sent::Behind {
            self.pace.wait_for_room();
        }
        sent
    }

    /// `None`: go on.
    fn step(
        &mut self,
        to: &mut dyn Stream,
        framing: Framing,
        until: u64,
        pass: &mut Pass<'_>,
        turn: &mut usize,
    ) -> Option<Sent> {
        if self.has_pending() {
            match self.send_pending(to, pass, turn) {
                Ok(None) => {}
                Ok(stop) => return stop,
                Err(error) => return Some(Sent::Failed(failure(&error))),
            }
        }
        if let Some((epoch, offset)) = self.boot.take() {
            framing.boot(epoch, offset, &mut self.pending);
            return None;
        }
        let Some(view) = &mut self.view else {
            return Some(Sent::All);
        };
        view.all_delivered(pass.counters);
        if let Some(held) = view.finish_replay(pass.counters) {
            let offset = view.offset();
            framing.output(true, offset, offset, &held, &mut self.pending);
            return None;
        }
        if view.is_up_to_date() {
            return Some(Sent::All);
        }
        if *turn == 0 {
            return Some(Sent::Behind);
        }
        let Some(allowance) = self.pace.allowance(pass.now) else {
            pass.counters.throttled.add(1);
            return Some(Sent::Throttled);
        };
        let mut want = pass.scratch.len().min(*turn).min(allowance);
        let next = match verdict(self.dropper.as_mut(), view, until, pass.now) {
            Verdict::Wait(at) => {
                self.pace.be_quiet_until(at);
                pass.counters.throttled.add(1);
                return Some(Sent::Throttled);
            }
            Verdict::Drop(bytes) => view.skip(bytes),
            Verdict::Send(most) => {
                want = want.min(most);
                view.read(until, &mut pass.scratch[..want])
            }
        };
        match next {
            Next::Output { offset, len } => {
                if let Some(dropper) = &mut self.dropper
                    && !view.is_replay(offset)
                {
                    dropper.spend(len);
                }
                *turn = turn.saturating_sub(len);
                self.forward(to, framing, offset, &pass.scratch[..len])
            }
            Next::Gap { from, to } => {
                let is_noted = view.notes_gaps();
                framing.gap(from, to, "lost", is_noted, &mut self.pending);
                None
            }
            Next::Dropped { from, to } => {
                pass.counters.output_dropped.add(to - from);
                let is_noted = view.notes_gaps();
                framing.gap(from, to, "dropped", is_noted, &mut self.pending);
                None
            }
            Next::Withheld { from, to } => {
                let is_noted = view.notes_gaps();
                framing.gap(from, to, "withheld", is_noted, &mut self.pending);
                None
            }
            Next::UpToDate => Some(Sent::All),
            Next::Ended(End::Gap) => Some(Sent::GapForbidden),
            Next::Ended(End::FileCut) => Some(Sent::Failed(EndReason::Error(
                "the log's file was cut short".into(),
            ))),
        }
    }

    /// Passes on what was read from the log at `offset`: to the kernel at once where nothing has to
    /// be changed in it. `None`: go on.
    fn forward(
        &mut self,
        to: &mut dyn Stream,
        framing: Framing,
        offset: u64,
        bytes: &[u8],
    ) -> Option<Sent> {
        let view = self.view.as_mut()?;
        let next = offset + bytes.len() as u64;
        let replayed = view.is_replay(offset);
        match (view.guard(), framing) {
            (Some(guard), Framing::Raw { .. }) => {
                guard.filter(bytes, &mut self.pending);
                return None;
            }
            (Some(guard), Framing::Control) => {
                let mut shown = Vec::with_capacity(bytes.len());
                guard.filter(bytes, &mut shown);
                framing.output(replayed, offset, next, &shown, &mut self.pending);
                return None;
            }
            (None, Framing::Control) => {
                framing.output(replayed, offset, next, bytes, &mut self.pending);
                return None;
            }
            (None, Framing::Raw { .. }) => {}
        }
        match to.write(bytes) {
            Ok(taken) => {
                self.pace.spend(taken);
                view.delivered(offset + taken as u64);
                (taken < bytes.len()).then(|| {
                    self.pending.extend_from_slice(&bytes[taken..]);
                    Sent::Behind
                })
            }
            Err(error) => Some(Sent::Failed(failure(&error))),
        }
    }

    /// `Ok(None)`: all of it was taken.
    fn send_pending(
        &mut self,
        to: &mut dyn Stream,
        pass: &mut Pass<'_>,
        turn: &mut usize,
    ) -> io::Result<Option<Sent>> {
        while self.has_pending() {
            let Some(allowance) = self.pace.allowance(pass.now) else {
                pass.counters.throttled.add(1);
                self.drop_sent();
                return Ok(Some(Sent::Throttled));
            };
            let left = self.pending.len() - self.sent;
            let want = left.min(CHUNK).min(allowance);
            let taken = to.write(&self.pending[self.sent..self.sent + want])?;
            self.pace.spend(taken);
            self.sent += taken;
            *turn = turn.saturating_sub(taken);
            if taken < want || *turn == 0 && self.has_pending() {
                self.drop_sent();
                return Ok(Some(Sent::Behind));
            }
        }
        self.drop_sent();
        Ok(None)
    }

    /// Gives back the memory of what was sent. While output flows a chunk's worth is kept for the
    /// next one; an idle connection holds nothing.
    fn drop_sent(&mut self) {
        let is_idle = self.view.as_ref().is_none_or(View::is_up_to_date);
        if self.has_pending() {
            // Half of it at least, so that each byte is moved once on average.
            if self.sent >= self.pending.len() / 2 {
                self.pending.drain(..self.sent);
                self.sent = 0;
            }
        } else {
            self.sent = 0;
            self.pending.clear();
            if is_idle {
                self.pending = Vec::new();
            }
        }
    }
}

/// What a limit that drops says of live output that waits.
fn verdict(dropper: Option<&mut Dropper>, view: &View, until: u64, now: Duration) -> Verdict {
    match (dropper, view.waiting(until)) {
        (Some(dropper), waiting @ 1..) if !view.is_replay(view.offset()) => {
            dropper.judge(now, waiting)
        }
        _ => Verdict::Send(usize::MAX),
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

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::os::fd::RawFd;

    use super::*;
    use crate::drop_limit::DropLimit;
    use crate::log::{BootLog, GapPolicy, LogConfig, LogWriter, Start};
    use crate::rate::RateLimit;
    use crate::service::connection::outbox::ANSWERS;
    use crate::service::connection::pace::Pace;
    use crate::service::connection::view::Show;
    use crate::transport::stream::Arrived;

    const RAW: Framing = Framing::Raw { notices: false };

    const SHOW: Show = Show {
        start: Start::Oldest,
        gaps: GapPolicy::Note,
        guarded: false,
        observer: false,
    };

    /// A peer that takes so much more.
    #[derive(Debug, Default)]
    struct Peer {
        room: usize,
        taken: Vec<u8>,
    }

    impl Stream for Peer {
        fn descriptors(&self) -> (RawFd, Option<RawFd>) {
            (-1, None)
        }

        fn read(&mut self, _: &mut [u8]) -> io::Result<Arrived> {
            Ok(Arrived::Nothing)
        }

        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = self.room.min(bytes.len());
            self.room -= taken;
            self.taken.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn tells_when_closed(&self) -> bool {
            true
        }

        fn finish_output(&mut self) -> bool {
            true
        }
    }

    fn outbox() -> Outbox {
        Outbox::new(Pace::new(None), None)
    }

    /// Gives the peer room, and sends for one turn.
    fn send(outbox: &mut Outbox, peer: &mut Peer, room: usize) -> Sent {
        let mut pass = Pass {
            now: Duration::ZERO,
            scratch: &mut vec![0; CHUNK],
            counters: &Counters::default(),
        };
        peer.room = room;
        outbox.pace.room_came();
        outbox.send(peer, RAW, u64::MAX, &mut pass)
    }

    /// A log, and an outbox that shows it from its beginning on.
    fn shown(output: &[u8]) -> (LogWriter, Outbox) {
        let (mut writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
        let mut outbox = outbox();
        outbox.show(&log, SHOW);
        writer.append(output);
        (writer, outbox)
    }

    #[test]
    fn answers_have_room_until_so_many_bytes_of_them_wait() {
        let (mut outbox, mut peer) = (outbox(), Peer::default());
        outbox.queue(|out| out.resize(ANSWERS - 1, b'.'));
        assert!(outbox.has_room_for_answers());
        outbox.queue(|out| out.push(b'.'));
        assert!(!outbox.has_room_for_answers());
        // What the peer has taken counts no more, though its memory is not given back yet.
        assert_eq!(send(&mut outbox, &mut peer, 1), Sent::Behind);
        assert_eq!(outbox.sent, 1);
        assert!(outbox.has_room_for_answers());
    }

    #[test]
    fn the_memory_of_what_was_sent_is_given_back_by_halves_and_in_the_end() {
        let (mut outbox, mut peer) = (outbox(), Peer::default());
        let answers: Vec<u8> = (0..100).collect();
        outbox.queue(|out| out.extend(&answers));
        // 49 bytes stay where they are, with one more it is half of all.
        assert_eq!(send(&mut outbox, &mut peer, 49), Sent::Behind);
        assert_eq!((outbox.sent, outbox.pending.len()), (49, 100));
        assert_eq!(send(&mut outbox, &mut peer, 1), Sent::Behind);
        assert_eq!((outbox.sent, outbox.pending.len()), (0, 50));
        assert_eq!(send(&mut outbox, &mut peer, 50), Sent::All);
        assert_eq!((outbox.sent, outbox.pending.capacity()), (0, 0));
        assert_eq!(peer.taken, answers);
    }

    #[test]
    fn a_peer_that_takes_a_part_is_sent_the_rest_when_it_has_room() {
        let output = b"what the guest has printed";
        let (_writer, mut outbox) = shown(output);
        let mut peer = Peer::default();
        assert_eq!(send(&mut outbox, &mut peer, 5), Sent::Behind);
        assert_eq!((outbox.resume_offset(), outbox.has_pending()), (5, true));
        assert_eq!(send(&mut outbox, &mut peer, output.len() - 5), Sent::All);
        assert_eq!(outbox.resume_offset(), output.len() as u64);
        assert!(outbox.has_sent_everything());
        assert_eq!(peer.taken, output);
    }

    #[test]
    fn one_turn_moves_so_many_bytes_and_the_last_that_fill_it_are_not_waited_for() {
        let (mut outbox, mut peer) = (outbox(), Peer::default());
        outbox.queue(|out| out.resize(TURN, b'.'));
        assert_eq!(send(&mut outbox, &mut peer, usize::MAX), Sent::All);
        // What is queued is sent in chunks, of which one may be more than a turn.
        outbox.queue(|out| out.resize(CHUNK + 1, b'.'));
        assert_eq!(send(&mut outbox, &mut peer, usize::MAX), Sent::Behind);
        assert_eq!(outbox.pending.len() - outbox.sent, 1);
        let (_writer, mut outbox) = shown(&vec![b'.'; TURN + 1]);
        assert_eq!(send(&mut outbox, &mut peer, usize::MAX), Sent::Behind);
        assert_eq!(outbox.resume_offset(), TURN as u64);
        assert_eq!(send(&mut outbox, &mut peer, usize::MAX), Sent::All);
    }

    #[test]
    fn a_limit_that_drops_is_for_live_output_only() {
        let one = NonZeroU32::MIN;
        let limit = DropLimit {
            rate: RateLimit {
                bytes_per_second: one,
                burst: one,
            },
            one_time_burst: 0,
        };
        let mut dropper = Dropper::new(limit, Duration::ZERO);
        let (mut writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
        writer.append(b"replayed");
        let mut verdict_of = |start| {
            let show = Show { start, ..SHOW };
            let view = View::new(&log, show);
            writer.append(b"live");
            verdict(Some(&mut dropper), &view, u64::MAX, Duration::ZERO)
        };
        assert_eq!(verdict_of(Start::Oldest), Verdict::Send(usize::MAX));
        assert_eq!(verdict_of(Start::Now), Verdict::Send(1));
    }
}
