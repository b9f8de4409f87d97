//! Searching a log for lines.

use std::cell::RefCell;
use std::io;

use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{
    BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkContextKind, SinkMatch,
};

use super::Pattern;
use super::highlight::highlighted;
use super::line_times::ShownTimes;
use super::screen::Screen;
use super::walk::{Event, Walk};
use crate::failure::{Code, Failure};
use crate::output::Stop;
use crate::pattern::why_invalid;

/// What to search for.
#[derive(Debug)]
pub(super) struct Search {
    matcher: RegexMatcher,
    context: usize,
    /// Nothing is shown, and matching lines are only counted.
    only_count: bool,
}

/// A compiled pattern takes no more memory than this, however it is nested and repeated.
const PATTERN_LIMIT: usize = 10 << 20;
/// A line longer than this is searched in parts, so that a guest which ends no line takes no more
/// memory.
const LONG_LINE: usize = 1 << 20;

/// After a line with colours, since the lines that would change them back may not be shown.
const PLAIN: &[u8] = b"\x1b[0m";

impl Search {
    /// What is asked for, if anything is.
    pub(super) fn of(asked: &Pattern) -> Result<Option<Self>, Failure> {
        let Some(pattern) = &asked.grep else {
            return Ok(None);
        };
        let matcher = RegexMatcherBuilder::new()
            // A guest ends its lines with both, and `$` is before both.
            .crlf(true)
            .case_insensitive(asked.ignore_case)
            .multi_line(true)
            .size_limit(PATTERN_LIMIT)
            .dfa_size_limit(PATTERN_LIMIT)
            .build(pattern)
            .map_err(|error| {
                Failure::new(Code::Usage, format_args!("--grep: {}", why_invalid(&error)))
            })?;
        Ok(Some(Self {
            matcher,
            context: asked.context,
            only_count: asked.count,
        }))
    }

    /// Shows what matches on a way through a log. Returns how many lines that were.
    pub(super) fn run(
        &self,
        walk: &mut Walk<'_>,
        times: Option<ShownTimes>,
        screen: &mut Screen,
    ) -> Result<u64, Stop> {
        let mut searcher = SearcherBuilder::new()
            .line_terminator(grep_matcher::LineTerminator::crlf())
            .before_context(self.context)
            .after_context(self.context)
            .binary_detection(BinaryDetection::none())
            .bom_sniffing(false)
            .line_number(false)
            .build();
        let page = RefCell::new(Page {
            screen,
            times,
            matcher: self.matcher.clone(),
            only_count: self.only_count,
            found: 0,
            failed: None,
        });
        loop {
            let lines = Lines {
                begin: walk.at(),
                page: &page,
            };
            let mut run = Run {
                walk,
                page: &page,
                unbroken: 0,
                ended: None,
            };
            let result = searcher.search_reader(&self.matcher, &mut run, lines);
            let ended = run.ended.take();
            let mut page = page.borrow_mut();
            if let Some(stop) = page.failed.take() {
                return Err(stop);
            }
            match ended {
                Some(End::Failed(stop)) => return Err(stop),
                Some(End::At(Event::Over)) => return Ok(page.found),
                Some(End::At(event)) => page.tell(event)?,
                Some(End::LongLine) => {}
                None => {
                    let error = result
                        .err()
                        .map_or_else(String::new, |error| error.to_string());
                    return Err(Failure::new(Code::Failed, format_args!("--grep: {error}")).into());
                }
            }
        }
    }
}

/// Bytes without a gap or the beginning of a boot, as the searcher reads them.
struct Run<'r, 'w, 'p> {
    walk: &'r mut Walk<'w>,
    page: &'r RefCell<Page<'p>>,
    /// Bytes since the last newline.
    unbroken: usize,
    ended: Option<End>,
}

enum End {
    At(Event),
    LongLine,
    Failed(Stop),
}

impl io::Read for Run<'_, '_, '_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        while self.ended.is_none() {
            if self.unbroken >= LONG_LINE {
                self.ended = Some(End::LongLine);
                break;
            }
            match self.walk.next(room) {
                Ok(Event::Bytes(count)) => {
                    let last = room[..count].iter().rposition(|byte| *byte == b'\n');
                    self.unbroken = match last {
                        Some(at) => count - at - 1,
                        None => self.unbroken + count,
                    };
                    return Ok(count);
                }
                Ok(Event::Idle) => {
                    if let Err(stop) = self.page.borrow_mut().pause(self.walk) {
                        self.ended = Some(End::Failed(stop));
                    }
                }
                Ok(event) => self.ended = Some(End::At(event)),
                Err(failure) => self.ended = Some(End::Failed(failure.into())),
            }
        }
        Ok(0)
    }
}

/// Where matches are shown.
struct Page<'a> {
    screen: &'a mut Screen,
    times: Option<ShownTimes>,
    matcher: RegexMatcher,
    only_count: bool,
    found: u64,
    failed: Option<Stop>,
}

impl Page<'_> {
    fn tell(&mut self, event: Event) -> Result<(), Stop> {
        super::tell(event, self.screen)
    }

    /// Nothing more comes for now.
    fn pause(&mut self, walk: &mut Walk<'_>) -> Result<(), Stop> {
        if let Some(times) = &mut self.times {
            times.refresh(walk.source()).map_err(Failure::from)?;
        }
        self.screen.flush()?;
        self.screen.check_reader()
    }

    fn show(&mut self, line: &[u8], end: u64, matches: bool) -> Result<(), Stop> {
        if let Some(times) = &mut self.times {
            self.screen.write(times.at(end).as_bytes())?;
            // As grep marks context.
            self.screen.write(if matches { b" " } else { b"-" })?;
        }
        if !self.screen.is_guarded() {
            self.screen.write(line)?;
            return self.end_line(line);
        }
        if matches {
            self.screen.write(&highlighted(line, &self.matcher))?;
        } else {
            self.screen.write(line)?;
        }
        // A sequence that this line begins does not go on in the next one that is shown.
        self.screen.interrupt();
        if line.contains(&0x1b) {
            self.screen.write(PLAIN)?;
        }
        self.end_line(line)
    }

    /// The last line of a log may have no end. In between it needs one.
    fn end_line(&mut self, line: &[u8]) -> Result<(), Stop> {
        if line.ends_with(b"\n") {
            return Ok(());
        }
        self.screen.write(b"\n")
    }
}

/// What the searcher calls.
struct Lines<'r, 'p> {
    /// The offset at which its bytes begin.
    begin: u64,
    page: &'r RefCell<Page<'p>>,
}

impl Lines<'_, '_> {
    /// Returns whether to go on.
    fn show(&self, line: &[u8], at: u64, matches: bool) -> bool {
        let mut page = self.page.borrow_mut();
        page.found += u64::from(matches);
        if page.only_count {
            return true;
        }
        let end = self.begin + at + line.len() as u64;
        let shown = page.show(line, end, matches);
        page.failed = shown.err();
        page.failed.is_none()
    }
}

impl Sink for Lines<'_, '_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> Result<bool, io::Error> {
        Ok(self.show(found.bytes(), found.absolute_byte_offset(), true))
    }

    fn context(&mut self, _: &Searcher, context: &SinkContext<'_>) -> Result<bool, io::Error> {
        debug_assert_ne!(
            context.kind(),
            &SinkContextKind::Other,
            "all lines are not wanted"
        );
        Ok(self.show(context.bytes(), context.absolute_byte_offset(), false))
    }

    fn context_break(&mut self, _: &Searcher) -> Result<bool, io::Error> {
        let mut page = self.page.borrow_mut();
        if !page.only_count
            && let Err(stop) = page.screen.write(b"--\n")
        {
            page.failed = Some(stop);
            return Ok(false);
        }
        Ok(true)
    }
}
