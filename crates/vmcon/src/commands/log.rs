//! `log`: what a guest has printed, whether its VMM lives or not.

mod boot_number;
mod copy;
mod followed;
mod grep;
mod highlight;
mod known_times;
mod line_times;
mod lines_back;
mod range;
mod screen;
mod timed;
mod walk;

use std::io;

use vm_console::UnixTime;
use vm_console::signals::{Signals, die_by};

use super::Context;
use crate::failure::{Code, Failure};
use crate::open_log;
use crate::output::{Stop, notice, print};
use crate::source::LogSource;
use crate::target::{Console, Target};
use crate::text::style::Style;
use crate::when;
use followed::Followed;
use grep::Search;
use line_times::ShownTimes;
use range::{Range, StartAt, Wanted};
use screen::Screen;
use walk::{Event, Follow, Walk};

/// Show what a guest has printed. Its VMM may live, or have ended.
///
/// The log is bounded, and the oldest output goes first; only the beginnings of the latest boots
/// stay. Bytes that are gone are told where they were, as "[123 bytes lost]" on standard error. A
/// log that goes on is shown up to where it ended when this began, unless it is followed.
///
/// A terminal is shown text and colours, but nothing that asks it to answer. A pipe or a file gets
/// the guest's bytes exactly.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
TIME is a time by RFC 3339, or in local time: \"2026-11-25 02:00\", 2026-11-25, 02:00 (the last time
it was), now, today, yesterday; or so long ago: 10min, \"1h 30m\", -2h.

With --grep the exit code is 1 if no line matches.")]
pub(crate) struct Arguments {
    /// Whose
    console: Target,
    #[command(flatten)]
    part: Part,
    #[command(flatten)]
    pattern: Pattern,
    /// Put the time of each line before it: local time by RFC 3339, or - if it is not known
    #[arg(short, long)]
    timestamps: bool,
    /// Exact bytes for a terminal, too, with what it would answer
    #[arg(long, conflicts_with = "timestamps")]
    raw: bool,
    /// Do not tell of lost bytes, new boots and the like
    #[arg(short, long)]
    quiet: bool,
}

/// Which part of the log.
#[derive(Debug, clap::Args)]
struct Part {
    /// Only this boot: its number as `vmcon boots` shows it; 0: the present one; -1: the one before
    #[arg(short, long, value_name = "N", allow_hyphen_values = true)]
    boot: Option<i64>,
    /// Only the last lines
    #[arg(short = 'n', long, value_name = "N")]
    lines: Option<u64>,
    /// Only from this byte on, counted from the log's beginning; or so many bytes before the end
    #[arg(long, value_name = "OFFSET|-BYTES", allow_hyphen_values = true)]
    #[arg(conflicts_with = "lines")]
    start: Option<StartAt>,
    /// Only lines that were printed since then
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = when::parse_now)]
    since: Option<UnixTime>,
    /// Only lines that were printed until then
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = when::parse_now)]
    until: Option<UnixTime>,
    /// Go on with what the guest prints from now on, until its VMM ends
    #[arg(short, long, conflicts_with = "until")]
    follow: bool,
    /// As --follow, and go on when a VMM runs the instance again with the same log
    #[arg(short = 'F', long, conflicts_with = "until")]
    follow_restarts: bool,
}

/// Which lines.
#[derive(Debug, clap::Args)]
struct Pattern {
    /// Only lines that match this regular expression, in Rust's syntax
    #[arg(short, long, value_name = "RE")]
    grep: Option<String>,
    /// Lines to show around each one that matches
    #[arg(
        short = 'C',
        long,
        value_name = "N",
        default_value_t = 0,
        requires = "grep"
    )]
    context: usize,
    /// Letters match in upper and lower case
    #[arg(short, long, requires = "grep")]
    ignore_case: bool,
    /// Only tell how many lines match
    #[arg(short, long, requires = "grep")]
    count: bool,
}

impl Part {
    fn is_followed(&self) -> bool {
        self.follow || self.follow_restarts
    }

    fn wanted(&self) -> Wanted {
        Wanted {
            boot: self.boot,
            start: self.start,
            lines: self.lines,
            since: self.since,
            until: self.until,
            follow: self.is_followed(),
            now: when::now(),
        }
    }
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<(), Stop> {
    let search = Search::of(&arguments.pattern)?;
    let console = context.find(&arguments.console)?;
    // Opening it names the console already.
    let source = open_log::open(&console)?;
    let shown = show(context, arguments, &console, source, search.as_ref());
    shown.map_err(|stop| match stop {
        Stop::Failed(failure) => failure.of(console.name()).into(),
        stop => stop,
    })
}

fn show(
    context: &Context,
    arguments: &Arguments,
    console: &Console,
    mut source: Box<dyn LogSource>,
    search: Option<&Search>,
) -> Result<(), Stop> {
    let part = &arguments.part;
    let range = Range::of(&mut *source, &part.wanted())?;
    for note in range.notes.iter().filter(|_| !arguments.quiet) {
        notice(format_args!("vmcon: {}: {note}\n", console.name()));
    }
    let times = if arguments.timestamps {
        Some(ShownTimes::of(&mut *source).map_err(Failure::from)?)
    } else {
        None
    };
    let style = if context.colour.applies_to(&io::stdout()) {
        Style::Yellow
    } else {
        Style::Plain
    };
    let mut screen = Screen::new(arguments.raw, arguments.quiet, style)?;
    if screen.is_guarded() {
        restore_on_signals()?;
    }
    let mut followed = Followed::new(context, &arguments.console, part.follow_restarts);
    let followed = part
        .is_followed()
        .then_some(&mut followed as &mut dyn Follow);
    let mut walk = Walk::new(source, range.from, range.until, followed)?;
    let shown = match search {
        Some(search) => search.run(&mut walk, times, &mut screen).map(Some),
        None => copy::copy(&mut walk, times, &mut screen).map(|()| None),
    };
    // Whatever has happened, what was read is shown and a terminal left in order.
    let finished = screen.finish();
    let found = shown?;
    finished?;
    if arguments.pattern.count {
        print(format_args!("{}\n", found.unwrap_or_default()))?;
    }
    match found {
        Some(0) => Err(Stop::Told(Code::NoMatch)),
        _ => Ok(()),
    }
}

/// Tells of what is not output.
fn tell(event: Event, screen: &mut Screen) -> Result<(), Stop> {
    match event {
        Event::Lost(count) => screen.lost(count),
        Event::Boot(epoch) => screen.note(&format!("boot {epoch}")),
        Event::Gone => screen.note("the VMM has ended"),
        Event::Bytes(_) | Event::Idle | Event::Over => Ok(()),
    }
}

/// A signal leaves the terminal as the end of the log does.
fn restore_on_signals() -> Result<(), Stop> {
    let signals = Signals::hold().map_err(Stop::failed)?;
    let answered = signals.answer(None, |signal| {
        // It fails if the terminal is closed.
        let _ = rustix::io::write(io::stdout(), screen::RESET);
        die_by(signal)
    });
    answered.map_err(Stop::failed)
}
