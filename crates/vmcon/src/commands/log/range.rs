//! Which part of a log is shown.

use std::str::FromStr;

use vm_console::UnixTime;
use vm_console::log::LineTime;

use super::boot_number::boot;
use super::known_times::{Edge, KnownTimes, Place};
use super::lines_back::Back;
use super::lines_back::lines_back;
use super::walk::Until;
use crate::failure::{Code, Failure};
use crate::source::{LogSource, SourceError, Span};

/// What is asked for. All of it holds at once.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) boot: Option<i64>,
    pub(super) start: Option<StartAt>,
    pub(super) lines: Option<u64>,
    pub(super) since: Option<UnixTime>,
    pub(super) until: Option<UnixTime>,
    pub(super) follow: bool,
    pub(super) now: UnixTime,
}

/// Where to begin, as the command line says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartAt {
    /// At this offset.
    Offset(u64),
    /// So many bytes before the end.
    Back(u64),
}

impl FromStr for StartAt {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let start = match text.strip_prefix('-') {
            Some(back) => back.parse().map(Self::Back),
            None => text.parse().map(Self::Offset),
        };
        start.map_err(|_| "give an offset in bytes, or -BYTES before the end")
    }
}

/// A part of a log.
#[derive(Debug)]
pub(super) struct Range {
    pub(super) from: u64,
    pub(super) until: Until,
    /// What the user should know about it, a line each.
    pub(super) notes: Vec<String>,
}

impl Range {
    /// The part of `source` that is wanted.
    pub(super) fn of(source: &mut dyn LogSource, wanted: &Wanted) -> Result<Self, Failure> {
        let span = source.span()?;
        let mut range = Self {
            from: 0,
            until: if wanted.follow {
                Until::Stopped
            } else {
                Until::Offset(span.head)
            },
            notes: Vec::new(),
        };
        let mut end = span.head;
        if let Some(number) = wanted.boot {
            let boots = source.boots()?;
            let boot = boot(&boots, number)?;
            range.from = boot.start;
            if wanted.follow && boot.epoch == boots.epoch {
                range.until = Until::EndOfBoot(boot.epoch);
            } else {
                end = boot.end.min(end);
                range.until = Until::Offset(end);
            }
        }
        if wanted.since.is_some() || wanted.until.is_some() {
            let known = known_times(source)?;
            // All that there is was written before now.
            let past = |time: &UnixTime| *time < wanted.now;
            if let Some(since) = wanted.since {
                let place = Some(since).filter(past).map(|time| known.since(time));
                let (edge, unknown_from) = range.locate(source, "--since", place, span)?;
                range.from = range.from.max(unknown_from.unwrap_or(edge));
            }
            if let Some(until) = wanted.until {
                let place = Some(until).filter(past).map(|time| known.until(time));
                let (edge, _) = range.locate(source, "--until", place, span)?;
                end = end.min(edge);
                range.until = Until::Offset(end);
            }
        }
        match wanted.start {
            Some(StartAt::Offset(offset)) if offset > span.head => {
                let text = format!(
                    "--start {offset}: the log ends at {}; ask for less, or --start -BYTES",
                    span.head
                );
                return Err(Failure::new(Code::Usage, text));
            }
            Some(StartAt::Offset(offset)) => range.from = range.from.max(offset),
            Some(StartAt::Back(bytes)) => {
                range.from = range.from.max(end.saturating_sub(bytes));
            }
            None => {}
        }
        range.from = range.from.min(end);
        if let Some(count) = wanted.lines {
            let back = lines_back(source, range.from, end, count)?;
            if let Back::Gone(_) = back {
                range
                    .notes
                    .push("fewer lines are kept; what was before them is gone".into());
            }
            range.from = back.offset();
        }
        Ok(range)
    }

    /// The offset of `place`, or the end if there is none, and where output of an unknown time before
    /// it begins, which is noted.
    fn locate(
        &mut self,
        source: &mut dyn LogSource,
        option: &str,
        place: Option<Place>,
        span: Span,
    ) -> Result<(u64, Option<u64>), SourceError> {
        let Some(place) = place else {
            return Ok((span.head, None));
        };
        let edge = offset(source, place.edge, span)?;
        Ok((edge, self.note_unknown(option, place, edge, span)))
    }

    /// Notes that there is output of an unknown time before `edge`. Returns where it begins.
    fn note_unknown(&mut self, option: &str, place: Place, edge: u64, span: Span) -> Option<u64> {
        let from = place.unknown_from?.max(span.oldest).min(edge);
        if from < edge {
            self.notes.push(format!(
                "{option}: no times are known of the {} bytes from offset {from} on; \
                 they are shown",
                edge - from
            ));
        }
        Some(from)
    }
}

fn offset(source: &mut dyn LogSource, edge: Edge, span: Span) -> Result<u64, SourceError> {
    match edge {
        Edge::At(offset) => Ok(offset.min(span.head)),
        Edge::End => Ok(span.head),
        Edge::LineEnding { end, lowest } => {
            let end = end.min(span.head);
            Ok(lines_back(source, lowest.min(end), end, 1)?.offset())
        }
    }
}

fn known_times(source: &mut dyn LogSource) -> Result<KnownTimes, SourceError> {
    let marks = source.boots()?.marks;
    Ok(KnownTimes::new(&marks, &line_times(source, 0)?))
}

/// The times of all lines that end after the offset `after`.
pub(super) fn line_times(
    source: &mut dyn LogSource,
    after: u64,
) -> Result<Vec<LineTime>, SourceError> {
    let (mut all, mut after): (Vec<LineTime>, u64) = (Vec::new(), after);
    loop {
        let times = source.line_times(after)?.times;
        // They end later each time, or this would never end.
        match times.last() {
            Some(last) if last.end > after => after = last.end,
            _ => return Ok(all),
        }
        all.extend(times);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_an_offset_or_a_number_of_bytes_before_the_end() {
        assert_eq!("17".parse(), Ok(StartAt::Offset(17)));
        assert_eq!("-17".parse(), Ok(StartAt::Back(17)));
        for text in ["", "-", "1k", "--1"] {
            assert!(text.parse::<StartAt>().is_err(), "{text}");
        }
    }
}
