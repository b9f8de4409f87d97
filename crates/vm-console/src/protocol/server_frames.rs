//! What the service sends.

use std::time::Duration;

use super::admission::{Admission, Observer};
use super::client_frames::MachineState;
use super::codec::{FrameError, RawFrame};
use super::codes::{EndCode, ErrorCode, RefusalCode};
use super::held::Held;
use super::history::{Boots, LineTimes};
use super::numbered::{Frame, Numbered};
use super::status::{Status, Status2, Status3};
use super::table::frames;
use super::value::{Reader, Value, Writer, flags};
use crate::log::LogId;
use crate::session::Limit;

frames! {
    /// A frame from the service.
    ServerFrame,
    /// The type of a frame from the service.
    ServerFrameKind,
    envelope Answer,

    /// The first frame.
    0x81 => Hello {
        /// Highest version the service speaks.
        version: u16,
        /// The console's name.
        console: String,
        /// Offset of the next byte of output.
        head: u64,
        /// Boot count.
        epoch: u64,
    },
    /// The attach was granted.
    0x82 => Attached(attached: Attached),
    /// Output of the guest.
    0x83 => Output(output: Output),
    /// Output is missing.
    0x84 => Gap {
        /// First byte that is missing.
        from: u64,
        /// First byte after those missing.
        to: u64,
    },
    /// A limit comes up.
    0x85 => Warning(warning: Warning),
    /// The session is over.
    0x86 => Ended(end: SessionEnd),
    /// The attach was refused.
    0x87 => Refused(refusal: Refusal),
    /// How the console stands.
    0x88 => Status(status: Status),
    /// The answer to a log read.
    0x89 => LogData(data: LogData),
    /// Something could not be done.
    0x8a => Error {
        /// Which error.
        code: ErrorCode,
        /// In words.
        text: String,
    },
    /// The guest was reset: a new boot begins.
    0x8b => Boot {
        /// Its number.
        epoch: u64,
        /// Where its output begins.
        offset: u64,
    },
    /// The answer to a hello that speaks version 2 or a later one.
    0x8c since 2 => Welcome {
        /// The version that is spoken from here on.
        version: u16,
        /// Which log the console's offsets count in.
        log: Option<LogId>,
    },
    /// The one answer to a request.
    0x8d since 2 => Answer(answer: Answer),
    /// A request that has no result was carried out.
    0x8e since 2 => Done,
    /// How the console stands, and which log it has.
    0x8f since 2 => Status2(status: Status2),
    /// How the console stands, with more of it, and counters by key.
    0x90 since 3 => Status3(status: Status3),
    /// The boots and marks of the log.
    0x91 since 3 => Boots(boots: Boots),
    /// When lines of the log ended.
    0x92 since 3 => LineTimes(times: LineTimes),
    /// The answer to a log wait.
    0x93 since 3 => LogNews(news: LogNews),
    /// Who observes; the one that has been there longest comes first.
    0x94 since 3 => Observers(observers: Vec<Observer>),
    /// The attach that was asked about would be granted.
    0x95 since 3 => Admission(admission: Admission),
}

/// What a granted attach begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Whether as an observer.
    pub read_only: bool,
    /// Offset at which replay begins.
    pub start: u64,
    /// Offset at which live output begins.
    pub head: u64,
    /// Boot count.
    pub epoch: u64,
}

/// The same bit as in an attach.
const READ_ONLY: u8 = 2;

impl Value for Attached {
    fn put(&self, to: &mut Writer<'_>) {
        let Self {
            read_only,
            start,
            head,
            epoch,
        } = self;
        to.put(&flags(&[(*read_only, READ_ONLY)]));
        to.put(start).put(head).put(epoch);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        Ok(Self {
            read_only: from.get::<u8>()? & READ_ONLY != 0,
            start: from.get()?,
            head: from.get()?,
            epoch: from.get()?,
        })
    }
}

/// Output, or a piece of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Whether it was printed before the client attached.
    pub replayed: bool,
    /// Offset of the first byte.
    pub offset: u64,
    /// Offset at which the next output goes on, or a gap begins.
    pub next: u64,
    /// The bytes; fewer than `next - offset` if terminal queries were taken out.
    pub bytes: Vec<u8>,
}

const REPLAYED: u8 = 1;

/// An output frame around `bytes`, without a copy through [`Output`].
pub(crate) fn output_frame(
    out: &mut Vec<u8>,
    replayed: bool,
    offset: u64,
    next: u64,
    bytes: &[u8],
) {
    let mut to = Writer::begin(out);
    to.put(&ServerFrameKind::Output.byte());
    put_output(&mut to, replayed, offset, next, bytes);
    to.end();
}

fn put_output(to: &mut Writer<'_>, replayed: bool, offset: u64, next: u64, bytes: &[u8]) {
    to.put(&flags(&[(replayed, REPLAYED)]));
    to.put(&offset).put(&next).bytes(bytes);
}

impl Value for Output {
    fn put(&self, to: &mut Writer<'_>) {
        let Self {
            replayed,
            offset,
            next,
            bytes,
        } = self;
        put_output(to, *replayed, *offset, *next, bytes);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        Ok(Self {
            replayed: from.get::<u8>()? & REPLAYED != 0,
            offset: from.get()?,
            next: from.get()?,
            bytes: from.get()?,
        })
    }
}

/// A limit is about to end the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Which limit.
    pub limit: Limit,
    /// Time left.
    pub remaining: Duration,
}

impl Value for Warning {
    fn put(&self, to: &mut Writer<'_>) {
        let limit: u8 = match self.limit {
            Limit::Idle => 1,
            Limit::Absolute => 2,
        };
        to.put(&limit).put(&self.remaining);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        let limit = match from.get::<u8>()? {
            1 => Limit::Idle,
            2 => Limit::Absolute,
            _ => return Err(from.malformed("a limit of 1 or 2")),
        };
        Ok(Self {
            limit,
            remaining: from.get()?,
        })
    }
}

/// The session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionEnd {
    /// Why.
    pub reason: EndCode,
    /// Offset of the first byte of output that was not delivered: where to resume.
    pub resume: u64,
    /// Boot count.
    pub epoch: u64,
    /// Who took over; empty otherwise.
    pub by: String,
    /// The reason in words.
    pub text: String,
}

impl Value for SessionEnd {
    fn put(&self, to: &mut Writer<'_>) {
        let Self {
            reason,
            resume,
            epoch,
            by,
            text,
        } = self;
        to.put(reason).put(resume).put(epoch).put(by).put(text);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        Ok(Self {
            reason: from.get()?,
            resume: from.get()?,
            epoch: from.get()?,
            by: from.get()?,
            text: from.get()?,
        })
    }
}

/// An attach was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: RefusalCode,
    /// Who holds the console, if that is the reason.
    pub holder: Option<Held>,
    /// The reason in words.
    pub text: String,
}

impl Value for Refusal {
    fn put(&self, to: &mut Writer<'_>) {
        let Self {
            reason,
            holder,
            text,
        } = self;
        let holder = holder.as_ref();
        let (held_for, idle_for) = Held::spans(holder);
        to.put(reason).put(&held_for).put(&idle_for);
        to.str(holder.map_or("", |held| &held.by)).put(text);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        let reason = from.get()?;
        let spans = (from.get()?, from.get()?);
        let by = from.get()?;
        Ok(Self {
            reason,
            holder: (reason == RefusalCode::Busy).then(|| Held::of(by, spans)),
            text: from.get()?,
        })
    }
}

/// The answer to a log read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogData {
    /// The id of the request.
    pub id: u32,
    /// Where the request's start fell.
    pub asked: u64,
    /// Where the bytes begin; later than `asked` by what is lost.
    pub start: u64,
    /// Where to read on.
    pub next: u64,
    /// Lowest offset the log still holds.
    pub oldest: u64,
    /// Offset of the next byte of output.
    pub head: u64,
    /// The log's epoch.
    pub epoch: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Value for LogData {
    fn put(&self, to: &mut Writer<'_>) {
        let Self {
            id,
            asked,
            start,
            next,
            oldest,
            head,
            epoch,
            bytes,
        } = self;
        to.put(id).put(asked).put(start).put(next);
        to.put(oldest).put(head).put(epoch).put(bytes);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        Ok(Self {
            id: from.get()?,
            asked: from.get()?,
            start: from.get()?,
            next: from.get()?,
            oldest: from.get()?,
            head: from.get()?,
            epoch: from.get()?,
            bytes: from.get()?,
        })
    }
}

/// The answer to a log wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogNews {
    /// Whether the machine is powered.
    pub powered: bool,
    /// What was read; no bytes if the wait ended for another reason.
    pub data: LogData,
}

impl LogNews {
    /// The machine as this answer tells it, for the next [`LogWait`](super::LogWait).
    #[must_use]
    pub fn machine(&self) -> MachineState {
        MachineState {
            epoch: self.data.epoch,
            powered: self.powered,
        }
    }
}

const POWERED: u8 = 1;

impl Value for LogNews {
    fn put(&self, to: &mut Writer<'_>) {
        let Self { powered, data } = self;
        to.put(&flags(&[(*powered, POWERED)])).put(data);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        Ok(Self {
            powered: from.get::<u8>()? & POWERED != 0,
            data: from.get()?,
        })
    }
}

/// The answer to a request with a number.
pub type Answer = Numbered<ServerFrame>;
