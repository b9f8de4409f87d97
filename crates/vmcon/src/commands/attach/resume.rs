//! Where to go on after a connection is lost, and how much was lost.

use vm_console::protocol::ErrorCode;
use vm_console::{LogId, Start};

/// How far the output of a console was received, over as many connections as it takes.
///
/// Offsets mean something in one log only, so a place is an offset and a log. For each log:
/// bytes received + bytes told as lost = bytes printed from the first to the last place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resume {
    /// Where to begin if nothing was received yet.
    first: Start,
    place: Option<Place>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    log: Option<LogId>,
    next: u64,
}

impl Resume {
    pub(super) fn new(first: Start) -> Self {
        Self { first, place: None }
    }

    /// What to ask for at the next attach: the start, and the log it is about.
    pub(super) fn request(&self) -> (Start, Option<LogId>) {
        match self.place {
            None => (self.first, None),
            Some(place) => (Start::Offset(place.next), place.log),
        }
    }

    /// The attach was granted: `log` is the console's, output begins at `start`. Returns how many
    /// bytes are lost before it.
    pub(super) fn attached(&mut self, log: Option<LogId>, start: u64) -> u64 {
        let lost = match self.place {
            Some(place) if place.log == log => start.saturating_sub(place.next),
            _ => 0,
        };
        self.place = Some(Place { log, next: start });
        lost
    }

    /// Output from `offset` up to `next` has come. Returns how many bytes are lost before it.
    pub(super) fn output(&mut self, offset: u64, next: u64) -> u64 {
        self.advance(offset, next)
    }

    /// The bytes from `from` up to `to` are missing. Returns how many bytes are lost with them.
    pub(super) fn gap(&mut self, from: u64, to: u64) -> u64 {
        self.advance(from, to) + to.saturating_sub(from)
    }

    fn advance(&mut self, from: u64, to: u64) -> u64 {
        let Some(place) = &mut self.place else {
            return 0;
        };
        let lost = from.saturating_sub(place.next);
        place.next = place.next.max(to);
        lost
    }

    /// The attach failed with `code`. Whether it means that the place is not in the console's log:
    /// then everything that the console has is new.
    pub(super) fn is_elsewhere(&mut self, code: ErrorCode) -> bool {
        let is_elsewhere =
            self.place.is_some() && matches!(code, ErrorCode::AnotherLog | ErrorCode::NotYet);
        if is_elsewhere {
            *self = Self::new(Start::Oldest);
        }
        is_elsewhere
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn log(number: u128) -> Option<LogId> {
        LogId::new(number)
    }

    #[test]
    fn it_begins_as_asked_and_goes_on_where_it_was() {
        let mut resume = Resume::new(Start::Lines(10));
        assert_eq!(resume.request(), (Start::Lines(10), None));
        assert!(!resume.is_elsewhere(ErrorCode::NotYet));
        assert_eq!(resume.attached(log(1), 100), 0);
        assert_eq!(resume.output(100, 150), 0);
        assert_eq!(resume.request(), (Start::Offset(150), log(1)));
        // Bytes that the replay guard held back.
        assert_eq!(resume.output(150, 150), 0);
        assert_eq!(resume.gap(150, 170), 20);
        assert_eq!(resume.attached(log(1), 200), 30);
        assert_eq!(resume.request(), (Start::Offset(200), log(1)));
    }

    #[test]
    fn another_log_is_read_from_its_beginning() {
        for code in [ErrorCode::AnotherLog, ErrorCode::NotYet] {
            let mut resume = Resume::new(Start::Now);
            resume.attached(log(1), 100);
            assert!(!resume.is_elsewhere(ErrorCode::NotPermitted));
            assert!(resume.is_elsewhere(code));
            assert_eq!(resume.request(), (Start::Oldest, None));
            assert_eq!(resume.attached(log(2), 40), 0);
            assert_eq!(resume.request(), (Start::Offset(40), log(2)));
        }
    }

    /// What happens to a log and to its reader.
    #[derive(Clone, Copy, Debug)]
    enum Event {
        Printed(u64),
        /// So many of the oldest bytes are overwritten.
        Overwritten(u64),
        Received(u64),
        /// The connection is lost and made again.
        Reconnected,
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            (0u64..50).prop_map(Event::Printed),
            (0u64..50).prop_map(Event::Overwritten),
            (0u64..50).prop_map(Event::Received),
            Just(Event::Reconnected),
        ]
    }

    proptest! {
        #[test]
        fn received_and_told_as_lost_is_all_that_was_printed(
            events in prop::collection::vec(event(), 0..60),
        ) {
            let mut resume = Resume::new(Start::Oldest);
            let (mut oldest, mut head, mut sent) = (0u64, 0u64, 0u64);
            let (mut received, mut lost) = (0, resume.attached(log(1), 0));
            for event in events.into_iter().chain([Event::Reconnected, Event::Received(u64::MAX)]) {
                match event {
                    Event::Printed(count) => head += count,
                    Event::Overwritten(count) => oldest = (oldest + count).min(head),
                    Event::Received(count) => {
                        if oldest > sent {
                            lost += resume.gap(sent, oldest);
                            sent = oldest;
                        }
                        let next = sent.saturating_add(count).min(head);
                        lost += resume.output(sent, next);
                        received += next - sent;
                        sent = next;
                    }
                    Event::Reconnected => {
                        let (start, of) = resume.request();
                        prop_assert_eq!(of, log(1));
                        let Start::Offset(offset) = start else { panic!("{start:?}") };
                        sent = offset.max(oldest);
                        lost += resume.attached(log(1), sent);
                    }
                }
            }
            prop_assert_eq!(received + lost, head);
        }
    }
}
