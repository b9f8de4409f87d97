//! The frames as types. The tables in the [module docs](super) are the authority on their layout.

use std::time::Duration;

use super::codec::{FrameError, RawFrame, Reader, Writer};
use crate::log::Start;
use crate::session::Limit;

/// The protocol version spoken here.
pub const VERSION: u16 = 1;

/// The codes of *error* frames.
pub mod error_code {
    /// A frame could not be parsed; the connection is closed after this.
    pub const MALFORMED: u8 = 1;
    /// A frame type is not known here.
    pub const UNKNOWN_TYPE: u8 = 2;
    /// The request needs a session, and there is none on this connection.
    pub const NOT_ATTACHED: u8 = 3;
    /// No right to do this.
    pub const NOT_PERMITTED: u8 = 4;
    /// There is a session on this connection already.
    pub const ALREADY_ATTACHED: u8 = 5;
    /// Not available on this console.
    pub const NOT_SUPPORTED: u8 = 6;
}

fn put_start(start: Start, to: &mut Writer<'_>) {
    let (kind, value) = match start {
        Start::Now => (0, 0),
        Start::Oldest => (1, 0),
        Start::Lines(n) => (2, n),
        Start::Newest(n) => (3, n),
        Start::Offset(offset) => (4, offset),
        Start::ThisBoot => (5, 0),
        Start::Boot(epoch) => (6, epoch),
    };
    to.u8(kind).u64(value);
}

fn get_start(from: &mut Reader<'_>) -> Result<Start, FrameError> {
    let (kind, value) = (from.u8()?, from.u64()?);
    Ok(match kind {
        0 => Start::Now,
        1 => Start::Oldest,
        2 => Start::Lines(value),
        3 => Start::Newest(value),
        4 => Start::Offset(value),
        5 => Start::ThisBoot,
        6 => Start::Boot(value),
        _ => return Err(from.malformed("a start kind from 0 to 6")),
    })
}

/// How a client wants to attach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttachRequest {
    /// Take the console from whoever holds it.
    pub force: bool,
    /// Only watch: no session, no typing.
    pub read_only: bool,
    /// Leave terminal queries in the replay; for a client that is not a terminal.
    pub unguarded: bool,
    /// What to be shown of what was printed before.
    pub replay: Start,
    /// The name to go by.
    pub name: String,
}

/// What to do with the machine beside the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerAction {
    /// Power it off.
    Stop,
    /// Power it on.
    Start,
    /// Reset it.
    Restart,
}

/// A frame from a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientFrame {
    /// The first frame.
    Hello {
        /// Highest version the client speaks.
        version: u16,
        /// What program it is.
        program: String,
    },
    /// Attach this connection.
    Attach(AttachRequest),
    /// Attach the socket that was passed along, and serve it raw.
    AttachDescriptor(AttachRequest),
    /// Typed bytes.
    Data(Vec<u8>),
    /// Send BREAK.
    Break,
    /// The client's window has this size. A serial line cannot carry it; it is recorded for whoever asks.
    Resize {
        /// Width in characters.
        columns: u16,
        /// Height in characters.
        rows: u16,
    },
    /// Ask for a status frame.
    Status,
    /// Read from the log without attaching.
    LogRead {
        /// Comes back in the answer.
        id: u32,
        /// Where to begin.
        start: Start,
        /// Most bytes wanted; the answer may be shorter.
        max: u32,
    },
    /// End the session and keep the connection.
    Detach,
    /// Stop, start or restart the machine.
    Power(PowerAction),
}

impl ClientFrame {
    /// Appends the frame to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut w;
        match self {
            Self::Hello { version, program } => {
                w = Writer::begin(out, 0x01);
                w.u16(*version).str(program);
            }
            Self::Attach(request) | Self::AttachDescriptor(request) => {
                w = Writer::begin(
                    out,
                    if matches!(self, Self::Attach(_)) {
                        0x02
                    } else {
                        0x03
                    },
                );
                let flags = u8::from(request.force)
                    | u8::from(request.read_only) << 1
                    | u8::from(request.unguarded) << 2;
                w.u8(flags);
                put_start(request.replay, &mut w);
                w.str(&request.name);
            }
            Self::Data(bytes) => {
                w = Writer::begin(out, 0x04);
                w.bytes(bytes);
            }
            Self::Break => w = Writer::begin(out, 0x05),
            Self::Resize { columns, rows } => {
                w = Writer::begin(out, 0x06);
                w.u16(*columns).u16(*rows);
            }
            Self::Status => w = Writer::begin(out, 0x07),
            Self::LogRead { id, start, max } => {
                w = Writer::begin(out, 0x08);
                w.u32(*id);
                put_start(*start, &mut w);
                w.u32(*max);
            }
            Self::Detach => w = Writer::begin(out, 0x09),
            Self::Power(action) => {
                w = Writer::begin(out, 0x0a);
                w.u8(match action {
                    PowerAction::Stop => 1,
                    PowerAction::Start => 2,
                    PowerAction::Restart => 3,
                });
            }
        }
        w.end();
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// The type is unknown, or the body is not what the type says.
    pub fn parse(frame: RawFrame<'_>) -> Result<Self, FrameError> {
        let mut r = Reader::new(frame);
        let parsed = match frame.kind {
            0x01 => Self::Hello {
                version: r.u16()?,
                program: r.str()?,
            },
            kind @ (0x02 | 0x03) => {
                let flags = r.u8()?;
                let request = AttachRequest {
                    force: flags & 1 != 0,
                    read_only: flags & 2 != 0,
                    unguarded: flags & 4 != 0,
                    replay: get_start(&mut r)?,
                    name: r.str()?,
                };
                if kind == 0x02 {
                    Self::Attach(request)
                } else {
                    Self::AttachDescriptor(request)
                }
            }
            0x04 => Self::Data(r.remaining().to_vec()),
            0x05 => Self::Break,
            0x06 => Self::Resize {
                columns: r.u16()?,
                rows: r.u16()?,
            },
            0x07 => Self::Status,
            0x08 => Self::LogRead {
                id: r.u32()?,
                start: get_start(&mut r)?,
                max: r.u32()?,
            },
            0x09 => Self::Detach,
            0x0a => Self::Power(match r.u8()? {
                1 => PowerAction::Stop,
                2 => PowerAction::Start,
                3 => PowerAction::Restart,
                _ => return Err(r.malformed("a power action from 1 to 3")),
            }),
            kind => return Err(FrameError::UnknownType(kind)),
        };
        r.end()?;
        Ok(parsed)
    }
}

/// Output, or a piece of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Whether it was printed before the client attached.
    pub replayed: bool,
    /// Absolute offset of the first byte.
    pub offset: u64,
    /// Absolute offset at which the next output goes on.
    pub next: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A limit comes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Which one.
    pub limit: Limit,
    /// Time left.
    pub remaining: Duration,
}

/// A session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionEnd {
    /// The reason's number; see the table in the [module docs](super).
    pub reason: u8,
    /// Offset of the first byte of output that was not delivered: where to resume.
    pub resume: u64,
    /// The log's epoch.
    pub epoch: u64,
    /// Who took over; empty otherwise.
    pub by: String,
    /// The reason in words.
    pub text: String,
}

/// An attach was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason's number; see the table in the [module docs](super).
    pub reason: u8,
    /// Who holds the console, if that is the reason.
    pub holder: Option<Held>,
    /// The reason in words.
    pub text: String,
}

/// Who holds a console, as told to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Who.
    pub by: String,
    /// For how long.
    pub held_for: Duration,
    /// Time since the last input.
    pub idle_for: Duration,
}

/// How a console stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The console's name.
    pub console: String,
    /// Whether the machine is powered.
    pub powered: bool,
    /// Whether the boot log is on.
    pub boot_log: bool,
    /// Who holds it.
    pub holder: Option<Held>,
    /// Read-only clients.
    pub observers: u32,
    /// Lowest offset the log still holds.
    pub oldest: u64,
    /// Offset of the next byte of output.
    pub head: u64,
    /// Boot count.
    pub epoch: u64,
    /// Every counter by name.
    pub counters: Vec<(String, u64)>,
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

/// A frame from the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerFrame {
    /// The first frame.
    Hello {
        /// Version spoken from here on, if the client speaks it.
        version: u16,
        /// The console's name.
        console: String,
        /// Offset of the next byte of output.
        head: u64,
        /// Boot count.
        epoch: u64,
    },
    /// The attach was granted.
    Attached {
        /// Whether as an observer.
        read_only: bool,
        /// Where replay begins.
        start: u64,
        /// Where live output begins.
        head: u64,
        /// Boot count.
        epoch: u64,
    },
    /// Output of the guest.
    Output(Output),
    /// Output is missing.
    Gap {
        /// First byte that is missing.
        from: u64,
        /// First byte after those missing.
        to: u64,
    },
    /// A limit comes up.
    Warning(Warning),
    /// The session is over.
    Ended(SessionEnd),
    /// The attach was refused.
    Refused(Refusal),
    /// How the console stands.
    Status(Status),
    /// The answer to a log read.
    LogData(LogData),
    /// Something could not be done; see [`error_code`].
    Error {
        /// Which error.
        code: u8,
        /// In words.
        text: String,
    },
    /// The guest was reset: a new boot begins.
    Boot {
        /// Its number.
        epoch: u64,
        /// Where its output begins.
        offset: u64,
    },
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn put_spans(w: &mut Writer<'_>, held: Option<&Held>) {
    w.u64(held.map_or(0, |h| millis(h.held_for)))
        .u64(held.map_or(0, |h| millis(h.idle_for)));
}

fn put_status(w: &mut Writer<'_>, status: &Status) {
    let flags = u8::from(status.powered)
        | u8::from(status.holder.is_some()) << 1
        | u8::from(status.boot_log) << 2;
    w.u8(flags)
        .u64(status.oldest)
        .u64(status.head)
        .u64(status.epoch)
        .u32(status.observers);
    put_spans(w, status.holder.as_ref());
    w.str(&status.console)
        .str(status.holder.as_ref().map_or("", |h| &h.by));
    for (name, value) in &status.counters {
        w.str(name).u64(*value);
    }
}

/// An output frame around `bytes`, without a copy through [`Output`].
pub(crate) fn output_frame(
    out: &mut Vec<u8>,
    replayed: bool,
    offset: u64,
    next: u64,
    bytes: &[u8],
) {
    let mut w = Writer::begin(out, 0x83);
    w.u8(u8::from(replayed)).u64(offset).u64(next).bytes(bytes);
    w.end();
}

impl ServerFrame {
    /// Appends the frame to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut w;
        match self {
            Self::Hello {
                version,
                console,
                head,
                epoch,
            } => {
                w = Writer::begin(out, 0x81);
                w.u16(*version).str(console).u64(*head).u64(*epoch);
            }
            Self::Attached {
                read_only,
                start,
                head,
                epoch,
            } => {
                w = Writer::begin(out, 0x82);
                w.u8(u8::from(*read_only) << 1)
                    .u64(*start)
                    .u64(*head)
                    .u64(*epoch);
            }
            Self::Output(output) => {
                return output_frame(
                    out,
                    output.replayed,
                    output.offset,
                    output.next,
                    &output.bytes,
                );
            }
            Self::Gap { from, to } => {
                w = Writer::begin(out, 0x84);
                w.u64(*from).u64(*to);
            }
            Self::Warning(warning) => {
                w = Writer::begin(out, 0x85);
                let limit = match warning.limit {
                    Limit::Idle => 1,
                    Limit::Absolute => 2,
                };
                w.u8(limit).u64(millis(warning.remaining));
            }
            Self::Ended(end) => {
                w = Writer::begin(out, 0x86);
                w.u8(end.reason)
                    .u64(end.resume)
                    .u64(end.epoch)
                    .str(&end.by)
                    .str(&end.text);
            }
            Self::Refused(refusal) => {
                w = Writer::begin(out, 0x87);
                w.u8(refusal.reason);
                put_spans(&mut w, refusal.holder.as_ref());
                w.str(refusal.holder.as_ref().map_or("", |h| &h.by))
                    .str(&refusal.text);
            }
            Self::Status(status) => {
                w = Writer::begin(out, 0x88);
                put_status(&mut w, status);
            }
            Self::LogData(data) => {
                w = Writer::begin(out, 0x89);
                w.u32(data.id)
                    .u64(data.asked)
                    .u64(data.start)
                    .u64(data.next);
                w.u64(data.oldest)
                    .u64(data.head)
                    .u64(data.epoch)
                    .bytes(&data.bytes);
            }
            Self::Error { code, text } => {
                w = Writer::begin(out, 0x8a);
                w.u8(*code).str(text);
            }
            Self::Boot { epoch, offset } => {
                w = Writer::begin(out, 0x8b);
                w.u64(*epoch).u64(*offset);
            }
        }
        w.end();
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// The type is unknown, or the body is not what the type says.
    pub fn parse(frame: RawFrame<'_>) -> Result<Self, FrameError> {
        let mut r = Reader::new(frame);
        let parsed = match frame.kind {
            0x81 => Self::Hello {
                version: r.u16()?,
                console: r.str()?,
                head: r.u64()?,
                epoch: r.u64()?,
            },
            0x82 => Self::Attached {
                read_only: r.u8()? & 2 != 0,
                start: r.u64()?,
                head: r.u64()?,
                epoch: r.u64()?,
            },
            0x83 => Self::Output(Output {
                replayed: r.u8()? & 1 != 0,
                offset: r.u64()?,
                next: r.u64()?,
                bytes: r.remaining().to_vec(),
            }),
            0x84 => Self::Gap {
                from: r.u64()?,
                to: r.u64()?,
            },
            0x85 => {
                let limit = match r.u8()? {
                    1 => Limit::Idle,
                    2 => Limit::Absolute,
                    _ => return Err(r.malformed("a limit of 1 or 2")),
                };
                Self::Warning(Warning {
                    limit,
                    remaining: Duration::from_millis(r.u64()?),
                })
            }
            0x86 => Self::Ended(SessionEnd {
                reason: r.u8()?,
                resume: r.u64()?,
                epoch: r.u64()?,
                by: r.str()?,
                text: r.str()?,
            }),
            0x87 => {
                let (reason, held_for, idle_for, by, text) =
                    (r.u8()?, r.u64()?, r.u64()?, r.str()?, r.str()?);
                Self::Refused(Refusal {
                    reason,
                    holder: (reason == 0).then(|| held(by, held_for, idle_for)),
                    text,
                })
            }
            0x88 => Self::Status(status(&mut r)?),
            0x89 => Self::LogData(LogData {
                id: r.u32()?,
                asked: r.u64()?,
                start: r.u64()?,
                next: r.u64()?,
                oldest: r.u64()?,
                head: r.u64()?,
                epoch: r.u64()?,
                bytes: r.remaining().to_vec(),
            }),
            0x8a => Self::Error {
                code: r.u8()?,
                text: r.str()?,
            },
            0x8b => Self::Boot {
                epoch: r.u64()?,
                offset: r.u64()?,
            },
            kind => return Err(FrameError::UnknownType(kind)),
        };
        r.end()?;
        Ok(parsed)
    }
}

fn held(by: String, held_for: u64, idle_for: u64) -> Held {
    Held {
        by,
        held_for: Duration::from_millis(held_for),
        idle_for: Duration::from_millis(idle_for),
    }
}

fn status(r: &mut Reader<'_>) -> Result<Status, FrameError> {
    let flags = r.u8()?;
    let (oldest, head, epoch, observers) = (r.u64()?, r.u64()?, r.u64()?, r.u32()?);
    let (held_for, idle_for, console, by) = (r.u64()?, r.u64()?, r.str()?, r.str()?);
    let mut counters = Vec::new();
    while !r.is_at_end() {
        counters.push((r.str()?, r.u64()?));
    }
    Ok(Status {
        console,
        powered: flags & 1 != 0,
        boot_log: flags & 4 != 0,
        holder: (flags & 2 != 0).then(|| held(by, held_for, idle_for)),
        observers,
        oldest,
        head,
        epoch,
        counters,
    })
}
