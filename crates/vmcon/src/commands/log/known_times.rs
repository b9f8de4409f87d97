//! When output was written, as far as a log knows: where in it a point in time is.

use vm_console::UnixTime;
use vm_console::log::LineTime;
use vm_console::protocol::{MarkCode, MarkInfo};

/// Moments that are known, by offset: at each, all bytes before it were there, and none after it.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownTimes {
    moments: Vec<Moment>,
}

#[derive(Clone, Copy, Debug)]
struct Moment {
    offset: u64,
    at: UnixTime,
    of: Of,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// A line ended.
    Line,
    /// A VMM began to write the log, or a boot began. Whether lines have times from then on is open.
    Beginning,
    /// Something else happened.
    Other,
}

/// Where a point in time is in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) edge: Edge,
    /// Between this offset and the edge, times are not known. `None`: they are.
    pub(super) unknown_from: Option<u64>,
}

/// The first byte that was written later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    /// At this offset.
    At(u64),
    /// At the beginning of the line that ends at `end`, which is not before `lowest`.
    LineEnding { end: u64, lowest: u64 },
    /// No later moment is known, so it is the end of the log.
    End,
}

impl KnownTimes {
    pub(super) fn new(marks: &[MarkInfo], lines: &[LineTime]) -> Self {
        let of_marks = marks.iter().map(|mark| Moment {
            offset: mark.offset,
            at: mark.at,
            of: match mark.kind {
                MarkCode::PowerOn | MarkCode::Reset | MarkCode::Imported | MarkCode::Reopened => {
                    Of::Beginning
                }
                _ => Of::Other,
            },
        });
        let of_lines = lines.iter().map(|line| Moment {
            offset: line.end,
            at: line.at,
            of: Of::Line,
        });
        let mut moments: Vec<_> = of_lines.chain(of_marks).collect();
        // At one offset the line has ended before anything else happened. The sort is stable.
        moments.sort_by_key(|moment| moment.offset);
        Self { moments }
    }

    /// Where the first byte is of which it is known that it was not written before `time`.
    pub(super) fn since(&self, time: UnixTime) -> Place {
        self.place(|at| at >= time)
    }

    /// Where the first byte is of which it is known that it was written after `time`.
    pub(super) fn until(&self, time: UnixTime) -> Place {
        self.place(|at| at > time)
    }

    fn place(&self, is_later: impl Fn(UnixTime) -> bool) -> Place {
        let later = self.moments.iter().position(|moment| is_later(moment.at));
        let before = &self.moments[..later.unwrap_or(self.moments.len())];
        let lowest = before.last().map_or(0, |moment| moment.offset);
        // If lines have times, the lines after a moment are of that moment until the next one: a
        // time is stored as soon as it differs enough. Otherwise they can be of any time between.
        let timed = before.iter().rev().find(|moment| moment.of != Of::Other);
        let are_known = timed.is_some_and(|moment| moment.of == Of::Line);
        let edge = match later.map(|index| self.moments[index]) {
            None => Edge::End,
            Some(Moment {
                offset: end,
                of: Of::Line,
                ..
            }) => Edge::LineEnding { end, lowest },
            Some(moment) => Edge::At(moment.offset),
        };
        Place {
            edge,
            unknown_from: (!are_known).then_some(lowest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(kind: MarkCode, offset: u64, at: u64) -> MarkInfo {
        MarkInfo {
            kind,
            epoch: 1,
            offset,
            at: UnixTime::from_nanos(at),
        }
    }

    fn line(end: u64, at: u64) -> LineTime {
        LineTime {
            end,
            at: UnixTime::from_nanos(at),
        }
    }

    fn at(nanos: u64) -> UnixTime {
        UnixTime::from_nanos(nanos)
    }

    #[test]
    fn between_two_timed_lines_nothing_is_unknown() {
        let marks = [mark(MarkCode::PowerOn, 0, 100)];
        let known = KnownTimes::new(&marks, &[line(10, 110), line(50, 200), line(60, 300)]);
        let edge = Edge::LineEnding {
            end: 50,
            lowest: 10,
        };
        let expected = Place {
            edge,
            unknown_from: None,
        };
        assert_eq!(known.since(at(111)), expected);
        assert_eq!(known.since(at(200)), expected);
        assert_eq!(known.until(at(199)), expected);
        assert_ne!(known.until(at(200)), expected);
        let expected = Place {
            edge: Edge::End,
            unknown_from: None,
        };
        assert_eq!(known.since(at(301)), expected);
    }

    #[test]
    fn without_line_times_only_marks_bound_what_is_unknown() {
        let marks = [
            mark(MarkCode::PowerOn, 0, 100),
            mark(MarkCode::Attach, 30, 150),
            mark(MarkCode::Reset, 70, 200),
        ];
        let known = KnownTimes::new(&marks, &[]);
        let place = |edge, from| Place {
            edge,
            unknown_from: Some(from),
        };
        assert_eq!(known.since(at(50)), place(Edge::At(0), 0));
        assert_eq!(known.since(at(120)), place(Edge::At(30), 0));
        assert_eq!(known.since(at(160)), place(Edge::At(70), 30));
        assert_eq!(known.since(at(201)), place(Edge::End, 70));
        assert_eq!(KnownTimes::default().since(at(1)), place(Edge::End, 0));
    }

    #[test]
    fn a_boot_may_have_no_line_times_though_the_one_before_had() {
        let marks = [
            mark(MarkCode::PowerOn, 0, 1),
            mark(MarkCode::PowerOn, 40, 100),
        ];
        let known = KnownTimes::new(&marks, &[line(10, 10), line(40, 90)]);
        let expected = Place {
            edge: Edge::End,
            unknown_from: Some(40),
        };
        assert_eq!(known.since(at(150)), expected);
        // Who came meanwhile changes nothing about the lines.
        let marks = [marks[0], mark(MarkCode::Attach, 20, 20)];
        let known = KnownTimes::new(&marks, &[line(10, 10), line(40, 90)]);
        let edge = Edge::LineEnding {
            end: 40,
            lowest: 20,
        };
        assert_eq!(
            known.since(at(50)),
            Place {
                edge,
                unknown_from: None
            }
        );
    }
}
