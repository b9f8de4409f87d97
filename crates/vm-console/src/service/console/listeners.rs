//! The ways into a console: watched, paused when descriptors run out, closed.

use std::time::Duration;

use crate::service::kernel::{ConsoleId, Interest, Part, Watched};
use crate::service::turn::Turn;
use crate::transport::accept::{Came, Release};
use crate::transport::{Kind, Listener};

/// How long a listener waits when descriptors have run out, unless one is freed here.
const PAUSE: Duration = Duration::from_secs(1);

/// A listener pauses after so many refused connections that may not close, of users who have far too
/// many of them already. So whoever waits behind a full backlog waits for a few pauses, and not for
/// one for each connection.
const UNCLOSED: usize = 16;

pub(super) struct Listeners {
    console: ConsoleId,
    /// A slot is never used twice: an event may be under way for its last listener.
    slots: Vec<Option<Slot>>,
    /// Slots at which somebody may have come while they were not watched.
    unseen: Vec<usize>,
}

struct Slot {
    listener: Listener,
    state: State,
    /// Refused connections since the last pause that may not close.
    unclosed: usize,
}

enum State {
    Watched,
    /// Not watched until then. A hang-up would be told all the same, for ever.
    Paused {
        until: Duration,
        /// Its client is gone, and it could not be made ready for another yet.
        release: Option<Release>,
    },
}

impl Listeners {
    pub(super) fn new(console: ConsoleId) -> Self {
        Self {
            console,
            slots: Vec::new(),
            unseen: Vec::new(),
        }
    }

    /// It is watched at the end of the turn, as one whose pause is over.
    pub(super) fn open(&mut self, listener: Listener, now: Duration) {
        let state = State::Paused {
            until: now,
            release: None,
        };
        self.slots.push(Some(Slot {
            listener,
            state,
            unclosed: 0,
        }));
    }

    /// Closes those that are of no use once the console is being shut down.
    pub(super) fn shut_down(&mut self, turn: &mut Turn<'_>) {
        self.close_if(|listener| listener.source.closes_at_shut_down(), turn);
    }

    pub(super) fn close_all(&mut self, turn: &mut Turn<'_>) {
        self.close_if(|_| true, turn);
    }

    fn close_if(&mut self, condition: impl Fn(&Listener) -> bool, turn: &mut Turn<'_>) {
        for slot in &mut self.slots {
            if let Some(closed) = slot.take_if(|slot| condition(&slot.listener)) {
                closed.unwatch(turn);
            }
        }
    }

    /// Nobody can come in through `slot` any more.
    pub(super) fn close(&mut self, slot: usize, turn: &mut Turn<'_>) {
        if let Some(closed) = self.slots.get_mut(slot).and_then(Option::take) {
            closed.unwatch(turn);
        }
    }

    /// Looks once whether a client has come in through `slot`, and for what it is to be taken.
    pub(super) fn accept(&mut self, slot: usize) -> Option<(Came, Kind)> {
        let slot = self.slots.get_mut(slot)?.as_mut()?;
        match slot.state {
            State::Watched => Some((slot.listener.source.accept(), slot.listener.kind)),
            State::Paused { .. } => None,
        }
    }

    /// Descriptors have run out. The client stays in the backlog, and asking again at once would
    /// only burn time.
    pub(super) fn pause(&mut self, slot: usize, turn: &mut Turn<'_>) {
        if let Some(slot) = self.slots.get_mut(slot).and_then(Option::as_mut) {
            slot.pause(None, turn);
        }
    }

    /// A connection was refused that may be one more that does not close. Its user could go on like
    /// that, but not without a pause now and then.
    pub(super) fn may_not_close(&mut self, slot: usize, turn: &mut Turn<'_>) {
        if let Some(slot) = self.slots.get_mut(slot).and_then(Option::as_mut) {
            slot.unclosed += 1;
            if slot.unclosed >= UNCLOSED {
                slot.pause(None, turn);
            }
        }
    }

    /// A descriptor is free: whoever waits for one may try again.
    pub(super) fn resume(&mut self, turn: &mut Turn<'_>) {
        self.resume_if(|_| true, turn);
    }

    pub(super) fn on_time(&mut self, now: Duration, turn: &mut Turn<'_>) {
        self.resume_if(|until| until <= now, turn);
    }

    fn resume_if(&mut self, condition: impl Fn(Duration) -> bool, turn: &mut Turn<'_>) {
        for index in 0..self.slots.len() {
            let state = self.slots[index].as_ref().map(|slot| &slot.state);
            if matches!(state, Some(State::Paused { until, .. }) if condition(*until)) {
                self.resume_slot(index, turn);
            }
        }
    }

    fn resume_slot(&mut self, index: usize, turn: &mut Turn<'_>) {
        let what = Watched::Console(self.console, Part::Listener(index));
        let Some(slot) = self.slots.get_mut(index).and_then(Option::as_mut) else {
            return;
        };
        let State::Paused { release, .. } = &mut slot.state else {
            return;
        };
        if let Some(how) = *release {
            if let Err(error) = slot.listener.source.release(how) {
                turn.warn(|| format!("cannot make a listener ready for its next client: {error}"));
                return slot.pause(Some(how), turn);
            }
            *release = None;
        }
        let descriptor = slot.listener.source.descriptor();
        let is_watched =
            descriptor.is_some_and(|fd| turn.watch(fd, what, Interest::READABLE).is_some());
        if is_watched {
            slot.state = State::Watched;
            // Not every descriptor tells again what it told before.
            self.unseen.push(index);
        } else {
            slot.pause(None, turn);
        }
    }

    /// A slot that has to be looked at though nothing tells.
    pub(super) fn take_unseen(&mut self) -> Option<usize> {
        self.unseen.pop()
    }

    pub(super) fn has_unseen(&self) -> bool {
        !self.unseen.is_empty()
    }

    /// Whether clients of a control socket can come in.
    pub(super) fn take_control_clients(&self) -> bool {
        let mut slots = self.slots.iter().flatten();
        slots.any(|slot| slot.listener.kind == Kind::Control)
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let slots = self.slots.iter().flatten();
        let pauses = slots.filter_map(|slot| match slot.state {
            State::Watched => None,
            State::Paused { until, .. } => Some(until),
        });
        pauses.min()
    }

    /// The one client of `slot` is gone.
    pub(super) fn release(&mut self, slot: usize, how: Release, turn: &mut Turn<'_>) {
        if let Some(slot) = self.slots.get_mut(slot).and_then(Option::as_mut) {
            // It may be watched by another descriptor afterwards.
            slot.pause(Some(how), turn);
        }
        self.resume_slot(slot, turn);
    }
}

impl Slot {
    fn pause(&mut self, release: Option<Release>, turn: &mut Turn<'_>) {
        self.unwatch(turn);
        let until = turn.now().saturating_add(PAUSE);
        self.state = State::Paused { until, release };
        self.unclosed = 0;
    }

    fn unwatch(&self, turn: &mut Turn<'_>) {
        if let (State::Watched, Some(fd)) = (&self.state, self.listener.source.descriptor()) {
            turn.unwatch(fd);
        }
    }
}
