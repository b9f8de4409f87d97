//! The ways into a console: watched, paused when descriptors run out, closed.

use std::time::Duration;

use crate::service::kernel::{ConsoleId, Interest, Part, Watched};
use crate::service::turn::Turn;
use crate::transport::accept::{Came, Release};
use crate::transport::{Kind, Listener};

/// How long a listener waits when descriptors have run out, unless one is freed here.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Listeners {
    console: ConsoleId,
    /// A slot is never used twice: an event may be under way for its last listener.
    slots: Vec<Option<Slot>>,
}

struct Slot {
    listener: Listener,
    paused_until: Option<Duration>,
}

impl Listeners {
    pub(super) fn new(console: ConsoleId) -> Self {
        Self {
            console,
            slots: Vec::new(),
        }
    }

    pub(super) fn open(&mut self, listener: Listener, turn: &mut Turn<'_>) {
        let fd = listener.source.descriptor();
        let what = Watched::Console(self.console, Part::Listener(self.slots.len()));
        if turn.watch(fd, what, Interest::READABLE).is_some() {
            self.slots.push(Some(Slot {
                listener,
                paused_until: None,
            }));
        }
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
                turn.unwatch(closed.listener.source.descriptor());
            }
        }
    }

    /// Looks once whether a client has come in through `slot`, and for what it is to be taken.
    pub(super) fn accept(&mut self, slot: usize) -> Option<(Came, Kind)> {
        let slot = self.slots.get_mut(slot)?.as_mut()?;
        Some((slot.listener.source.accept(), slot.listener.kind))
    }

    /// Descriptors have run out. The client stays in the backlog, and asking again at once would
    /// only burn time.
    pub(super) fn pause(&mut self, slot: usize, turn: &mut Turn<'_>) {
        if let Some(slot) = self.slots.get_mut(slot).and_then(Option::as_mut) {
            slot.paused_until = Some(turn.now().saturating_add(PAUSE));
            // Not only watched for nothing: a hang-up would be told all the same, for ever.
            turn.unwatch(slot.listener.source.descriptor());
        }
    }

    /// Nobody can come in through `slot` any more.
    pub(super) fn close(&mut self, slot: usize, turn: &mut Turn<'_>) {
        if let Some(closed) = self.slots.get_mut(slot).and_then(Option::take) {
            turn.unwatch(closed.listener.source.descriptor());
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
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if let Some(slot) = slot
                && slot
                    .paused_until
                    .take_if(|until| condition(*until))
                    .is_some()
            {
                let what = Watched::Console(self.console, Part::Listener(index));
                let fd = slot.listener.source.descriptor();
                if turn.watch(fd, what, Interest::READABLE).is_none() {
                    slot.paused_until = Some(turn.now().saturating_add(PAUSE));
                }
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let slots = self.slots.iter().flatten();
        slots.filter_map(|slot| slot.paused_until).min()
    }

    /// The one client of `slot` is gone.
    pub(super) fn release(&mut self, slot: usize, how: Release, turn: &mut Turn<'_>) {
        let what = Watched::Console(self.console, Part::Listener(slot));
        let Some(slot) = self.slots.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        let source = &mut slot.listener.source;
        // It may be another descriptor afterwards.
        turn.unwatch(source.descriptor());
        if let Err(error) = source.release(how) {
            turn.warn(|| format!("cannot make a listener ready for its next client: {error}"));
        }
        turn.watch(source.descriptor(), what, Interest::READABLE);
        slot.paused_until = None;
    }
}
