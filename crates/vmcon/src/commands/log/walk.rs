//! A way through a log: from an offset to an end, or on and on.

use std::collections::VecDeque;
use std::thread;
use std::time::Duration;

use vm_console::protocol::BootInfo;

use crate::failure::{Code, Failure};
use crate::source::{LogSource, Piece};

/// Where a walk ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// At this offset.
    Offset(u64),
    /// Where the boot after this one begins.
    EndOfBoot(u64),
    /// When it is stopped, or the VMM has ended.
    Stopped,
}

/// What comes next in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// This many bytes of output.
    Bytes(usize),
    /// So many bytes are gone here.
    Lost(u64),
    /// A boot begins here.
    Boot(u64),
    /// All there is has been read, and more is waited for.
    Idle,
    /// The VMM has ended; the next one is waited for if the walk goes on after that.
    Gone,
    /// The walk is over.
    Over,
}

/// What a follower needs to know about a VMM.
pub(super) trait Follow {
    /// Whether the VMM still writes the log that `source` reads.
    fn look(&mut self, source: &dyn LogSource) -> Look;

    /// The log again, if a VMM lives that may write it.
    fn reopen(&mut self) -> Option<Box<dyn LogSource>>;

    /// Whether to go on after a VMM's end.
    fn outlives_vmm(&self) -> bool;
}

/// What has become of a VMM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It lives, or nobody can know.
    Lives,
    /// It has ended.
    Gone,
    /// Another log is in the place of the one that is read.
    Replaced,
}

/// A reader's way through a log.
pub(super) struct Walk<'a> {
    source: Box<dyn LogSource>,
    at: u64,
    until: Until,
    follow: Option<&'a mut dyn Follow>,
    /// The newest boot that is known about.
    epoch: u64,
    /// Boots that begin further on.
    boots_ahead: VecDeque<BootInfo>,
    /// Whether its being idle was told since the last byte.
    told_idle: bool,
    gone: Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gone {
    No,
    /// What is left is still read.
    Noticed,
    Told,
}

/// Between two looks whether the VMM lives and our own reader is still there.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// Between two looks whether another VMM has come.
const BETWEEN_RETURNS: Duration = Duration::from_millis(200);

impl<'a> Walk<'a> {
    /// A walk from the offset `from` on.
    pub(super) fn new(
        mut source: Box<dyn LogSource>,
        from: u64,
        until: Until,
        follow: Option<&'a mut dyn Follow>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            epoch: source.span()?.epoch,
            source,
            at: from,
            until,
            follow,
            boots_ahead: VecDeque::new(),
            told_idle: false,
            gone: Gone::No,
        })
    }

    /// The offset of the next byte.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn source(&mut self) -> &mut dyn LogSource {
        &mut *self.source
    }

    /// The next event. Bytes are at the beginning of `room`.
    pub(super) fn next(&mut self, room: &mut [u8]) -> Result<Event, Failure> {
        loop {
            let end = self.end();
            if self.at >= end {
                return Ok(Event::Over);
            }
            if let Some(boot) = self
                .boots_ahead
                .front()
                .filter(|boot| boot.start <= self.at)
            {
                let epoch = boot.epoch;
                self.boots_ahead.pop_front();
                return Ok(Event::Boot(epoch));
            }
            let most = usize::try_from(self.border() - self.at).unwrap_or(usize::MAX);
            let most = most.min(room.len());
            match self.read(&mut room[..most])? {
                Piece::Bytes(count) => {
                    self.look_for_boots()?;
                    // A boot may have begun among them.
                    let count =
                        count.min(usize::try_from(self.border() - self.at).unwrap_or(count));
                    if count > 0 {
                        self.at += count as u64;
                        self.told_idle = false;
                        return Ok(Event::Bytes(count));
                    }
                }
                Piece::Lost { to } => {
                    let to = to.min(end).max(self.at);
                    let count = to - self.at;
                    self.at = to;
                    self.look_for_boots()?;
                    return Ok(Event::Lost(count));
                }
                Piece::End => {
                    if let Some(event) = self.end_of_log()? {
                        return Ok(event);
                    }
                }
            }
        }
    }

    fn read(&mut self, room: &mut [u8]) -> Result<Piece, Failure> {
        match self.source.read(self.at, room) {
            Err(error) if error.is_gone() && self.follow.is_some() => {
                self.gone = self.gone.noticed();
                Ok(Piece::End)
            }
            read => Ok(read?),
        }
    }

    /// Everything was read. `None`: look again.
    fn end_of_log(&mut self) -> Result<Option<Event>, Failure> {
        let Some(follow) = self.follow.as_deref_mut() else {
            return Ok(Some(Event::Over));
        };
        match self.gone {
            Gone::Noticed => {
                self.gone = Gone::Told;
                return Ok(Some(Event::Gone));
            }
            Gone::Told if !follow.outlives_vmm() => return Ok(Some(Event::Over)),
            Gone::Told => {
                let Some(source) = follow.reopen() else {
                    thread::sleep(BETWEEN_RETURNS);
                    return Ok(Some(Event::Idle));
                };
                if source.id() != self.source.id() || source.id().is_none() {
                    return Err(replaced());
                }
                self.source = source;
                self.gone = Gone::No;
                return Ok(None);
            }
            Gone::No => {}
        }
        if !self.told_idle {
            self.told_idle = true;
            return Ok(Some(Event::Idle));
        }
        match self.source.wait(self.at, BETWEEN_LOOKS) {
            Ok(()) => {}
            Err(error) if error.is_gone() => self.gone = Gone::Noticed,
            Err(error) => return Err(error.into()),
        }
        // What has come meanwhile is told first.
        self.look_for_boots()?;
        if self.gone == Gone::No && !self.has_news()? {
            self.told_idle = false;
            match follow_look(&mut self.follow, &*self.source) {
                Look::Lives => {}
                Look::Gone => self.gone = Gone::Noticed,
                Look::Replaced => return Err(replaced()),
            }
        }
        Ok(None)
    }

    fn has_news(&mut self) -> Result<bool, Failure> {
        Ok(!self.boots_ahead.is_empty() || self.source.span()?.head > self.at)
    }

    /// The offset after which nothing is shown.
    fn end(&self) -> u64 {
        match self.until {
            Until::Offset(end) => end,
            Until::EndOfBoot(epoch) => {
                let next = self.boots_ahead.iter().find(|boot| boot.epoch > epoch);
                next.map_or(u64::MAX, |boot| boot.start)
            }
            Until::Stopped => u64::MAX,
        }
    }

    /// The offset that the next bytes do not reach beyond.
    fn border(&self) -> u64 {
        let next = self.boots_ahead.front().map_or(u64::MAX, |boot| boot.start);
        next.min(self.end()).max(self.at)
    }

    /// If a boot has begun, asks where. Only a follower is told.
    fn look_for_boots(&mut self) -> Result<(), Failure> {
        if self.follow.is_none() {
            return Ok(());
        }
        let epoch = match self.source.span() {
            Ok(span) => span.epoch,
            Err(error) if error.is_gone() => {
                self.gone = self.gone.noticed();
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        if epoch > self.epoch {
            let boots = self.source.boots()?;
            let later = boots
                .boots
                .into_iter()
                .filter(|boot| boot.epoch > self.epoch);
            self.boots_ahead.extend(later);
            self.epoch = epoch;
        }
        Ok(())
    }
}

fn follow_look(follow: &mut Option<&mut dyn Follow>, source: &dyn LogSource) -> Look {
    follow
        .as_deref_mut()
        .map_or(Look::Lives, |follow| follow.look(source))
}

impl Gone {
    /// This, and noticed at least.
    fn noticed(self) -> Self {
        match self {
            Self::No => Self::Noticed,
            later => later,
        }
    }
}

fn replaced() -> Failure {
    Failure::new(
        Code::Gone,
        "another log has taken the place of the one that was followed",
    )
}
