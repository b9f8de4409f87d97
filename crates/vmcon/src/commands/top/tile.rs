//! One console, as far as it is known.

use std::time::Instant;

use vm_console::LogId;
use vm_console::instance::InstanceId;

use super::rate::Rate;

/// One console of the screen.
#[derive(Debug)]
pub(super) struct Tile {
    pub(super) id: InstanceId,
    /// What the entry in the directory says.
    pub(super) entry: Entry,
    /// What its VMM answers; `None` until it has.
    pub(super) answer: Option<Answer>,
    pub(super) output: Output,
    pub(super) alert: Option<Alert>,
}

/// An entry of the directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Option<String>,
    pub(super) is_live: bool,
    /// Differs between two VMMs of the same id.
    pub(super) incarnation: u64,
    /// The identity of the boot log that was found there.
    pub(super) log: Option<LogId>,
}

/// What came of asking the VMM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Status(Seen),
    /// It does not answer, for this reason.
    Silent(String),
}

/// What a status tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) powered: bool,
    pub(super) holder: Option<String>,
    pub(super) observers: u32,
    pub(super) epoch: u64,
    pub(super) log: Option<LogId>,
}

/// What it has printed.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// How many bytes it has ever printed; `None` until that is known.
    pub(super) head: Option<u64>,
    /// How often the machine had been started when its output was read.
    pub(super) epoch: Option<u64>,
    pub(super) rate: Rate,
    /// Its last lines.
    pub(super) lines: Vec<Line>,
    /// The head to which `lines` belong.
    pub(super) lines_at: Option<u64>,
    /// Why there are no lines.
    pub(super) trouble: Option<String>,
}

/// A line of output, as plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    /// The pattern is in it.
    pub(super) is_marked: bool,
}

/// The pattern was printed, and nobody has looked since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alert {
    /// The line it was in.
    pub(super) line: String,
    /// Which alert it is, of all there ever were, from 1.
    pub(super) number: u64,
}

/// What a machine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Its VMM lives and was not asked yet.
    Unknown,
    Running,
    Stopped,
    /// Its VMM lives and does not answer.
    Silent,
    Gone,
}

impl Tile {
    pub(super) fn new(id: InstanceId, entry: Entry) -> Self {
        Self {
            id,
            entry,
            answer: None,
            output: Output::default(),
            alert: None,
        }
    }

    /// The entry says something else now.
    pub(super) fn replace(&mut self, entry: Entry) {
        if entry.incarnation != self.entry.incarnation {
            self.answer = None;
            self.output.trouble = None;
            if entry.log != self.entry.log {
                // Another log: all of it is new.
                self.output.head = Some(0);
                self.output.lines_at = None;
            }
        }
        self.entry = entry;
    }

    pub(super) fn state(&self) -> State {
        match &self.answer {
            _ if !self.entry.is_live => State::Gone,
            None => State::Unknown,
            Some(Answer::Silent(_)) => State::Silent,
            Some(Answer::Status(seen)) if seen.powered => State::Running,
            Some(Answer::Status(_)) => State::Stopped,
        }
    }

    /// What its VMM has told last, if it lives.
    pub(super) fn seen(&self) -> Option<&Seen> {
        match &self.answer {
            Some(Answer::Status(seen)) if self.entry.is_live => Some(seen),
            _ => None,
        }
    }

    /// How often the machine was started, as far as that is known.
    pub(super) fn epoch(&self) -> Option<u64> {
        self.seen().map(|seen| seen.epoch).or(self.output.epoch)
    }

    /// Whether its output is in the file that was found. A live VMM may keep its log in memory, and
    /// the file is an older one's then.
    pub(super) fn is_in_file(&self) -> bool {
        let told = self.seen().and_then(|seen| seen.log);
        match (self.entry.log, told) {
            (Some(found), Some(told)) => found == told,
            (found, _) => found.is_some(),
        }
    }

    /// Its output was looked at: it has come to `head`. Returns whether there is more than before.
    pub(super) fn has_come_to(&mut self, head: u64, now: Instant) -> bool {
        let before = self.output.head.replace(head);
        self.output.rate.look(head, now);
        before != Some(head)
    }
}

impl Output {
    /// Whether its lines are older than its head.
    pub(super) fn is_stale(&self) -> bool {
        self.head.is_some() && self.lines_at != self.head
    }
}
