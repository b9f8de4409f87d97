//! What a client sends.

use std::time::Duration;

use super::codec::{FrameError, RawFrame};
use super::numbered::{Frame, Numbered};
use super::place::Place;
use super::power::PowerAction;
use super::table::frames;
use super::value::{Reader, Value, Writer, flags};
use crate::log::{LogId, Start};

frames! {
    /// A frame from a client.
    ClientFrame,
    /// The type of a frame from a client.
    ClientFrameKind,
    envelope Request,

    /// The first frame.
    0x01 => Hello {
        /// Highest version the client speaks.
        version: u16,
        /// What program it is.
        program: String,
    },
    /// Attach this connection.
    0x02 => Attach(request: AttachRequest),
    /// Attach the socket that was passed along, and serve it raw.
    0x03 => AttachDescriptor(request: AttachRequest),
    /// Typed bytes.
    0x04 => Data(bytes: Vec<u8>),
    /// Send BREAK.
    0x05 => Break,
    /// The client's window has this size. A serial line cannot carry it; it is recorded for audit.
    0x06 => Resize {
        /// Width in characters.
        columns: u16,
        /// Height in characters.
        rows: u16,
    },
    /// Ask for a status frame.
    0x07 => Status,
    /// Read from the log without attaching.
    0x08 => LogRead(request: LogRequest),
    /// End the session and keep the connection.
    0x09 => Detach,
    /// Stop, start or restart the machine.
    0x0a => Power(action: PowerAction),
    /// Any other frame, to be answered under its number.
    0x0b since 2 => Request(request: Request),
    /// Ask for the boots and marks of the log.
    0x0c since 3 => Boots,
    /// Ask when lines of the log ended.
    0x0d since 3 => LineTimes {
        /// Lines that end after this offset.
        after: u64,
        /// Most times wanted; the answer may hold fewer.
        max: u32,
    },
    /// Read from the log, and wait for output if there is none.
    0x0e since 3 => LogWait(request: LogWait),
    /// Ask who observes.
    0x0f since 3 => Observers,
    /// Type BREAK and keys as one piece, with or without a session.
    0x10 since 3 => SysRq(request: SysRq),
    /// Ask whether an attach would be granted. Nothing happens by it.
    0x11 since 3 => Admission(request: AttachRequest),
}

impl ClientFrame {
    /// The first version of the protocol that can say all of it.
    #[must_use]
    pub fn since(&self) -> u16 {
        let body = match self {
            Self::Attach(request) | Self::AttachDescriptor(request) if request.log.is_some() => 2,
            Self::LogRead(request) if request.log.is_some() => 2,
            Self::Power(action) => action.since(),
            Self::Request(request) => request.frame.since(),
            _ => 1,
        };
        self.kind().since().max(body)
    }
}

impl ClientFrame {
    /// Where in the log it begins, if it is about the log.
    pub(crate) fn start(&self) -> Option<Start> {
        match self {
            Self::Attach(request) | Self::AttachDescriptor(request) => Some(request.replay),
            Self::LogRead(request) | Self::LogWait(LogWait { read: request, .. }) => {
                Some(request.start)
            }
            Self::Request(request) => request.frame.start(),
            Self::Hello { .. }
            | Self::Data(_)
            | Self::Break
            | Self::Resize { .. }
            | Self::Status
            | Self::Detach
            | Self::Power(_)
            | Self::Boots
            | Self::LineTimes { .. }
            | Self::Observers
            | Self::SysRq(_)
            | Self::Admission(_) => None,
        }
    }
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
    /// The log that `replay` is about: the attach fails if the console has another. `None` means
    /// whatever log the console has, as always in version 1.
    pub log: Option<LogId>,
    /// The name to go by.
    pub name: String,
}

const FORCE: u8 = 1;
const READ_ONLY: u8 = 2;
const UNGUARDED: u8 = 4;

impl Value for AttachRequest {
    fn put(&self, to: &mut Writer<'_>) {
        let Self {
            force,
            read_only,
            unguarded,
            replay,
            log,
            name,
        } = self;
        let flags = flags(&[
            (*force, FORCE),
            (*read_only, READ_ONLY),
            (*unguarded, UNGUARDED),
        ]);
        to.put(&flags).put(&Place::new(*replay, *log)).put(name);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        let flags = from.get::<u8>()?;
        let Place { start, log } = from.get()?;
        Ok(Self {
            force: flags & FORCE != 0,
            read_only: flags & READ_ONLY != 0,
            unguarded: flags & UNGUARDED != 0,
            replay: start,
            log,
            name: from.get()?,
        })
    }
}

/// What a client wants to read of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRequest {
    /// Comes back in the answer.
    pub id: u32,
    /// Where to begin.
    pub start: Start,
    /// The log that `start` is about: the read fails if the console has another. `None` means
    /// whatever log the console has, as always in version 1.
    pub log: Option<LogId>,
    /// Most bytes wanted; the answer may be shorter.
    pub max: u32,
}

impl Value for LogRequest {
    fn put(&self, to: &mut Writer<'_>) {
        let Self {
            id,
            start,
            log,
            max,
        } = self;
        to.put(id).put(&Place::new(*start, *log)).put(max);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        let id = from.get()?;
        let Place { start, log } = from.get()?;
        Ok(Self {
            id,
            start,
            log,
            max: from.get()?,
        })
    }
}

/// The machine as a client knows it: the boot that runs, and its power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MachineState {
    /// Boot count.
    pub epoch: u64,
    /// Whether the machine is powered.
    pub powered: bool,
}

/// What a client wants to read of the log, and how long to wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogWait {
    /// What to read.
    pub read: LogRequest,
    /// How long to wait at most while there is no output at the start. A service waits no longer
    /// than 60 s.
    pub patience: Duration,
    /// The machine as the client knows it. If it is another, the answer comes at once.
    pub known: MachineState,
}

const POWERED: u8 = 1;

impl Value for LogWait {
    fn put(&self, to: &mut Writer<'_>) {
        let Self {
            read,
            patience,
            known: MachineState { epoch, powered },
        } = self;
        let patience = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
        to.put(read).put(&patience);
        to.put(&flags(&[(*powered, POWERED)])).put(epoch);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        Ok(Self {
            read: from.get()?,
            patience: Duration::from_millis(from.get::<u32>()?.into()),
            known: MachineState {
                powered: from.get::<u8>()? & POWERED != 0,
                epoch: from.get()?,
            },
        })
    }
}

/// BREAK and keys, to be typed as one piece. A Linux guest takes the character after a BREAK for a
/// SysRq command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SysRq {
    /// Type although somebody else holds the console. The holder stays.
    pub force: bool,
    /// At most [`MAX_KEYS`](Self::MAX_KEYS) printable ASCII characters. A BREAK goes before each. If
    /// there are none, one BREAK is sent.
    pub keys: String,
}

impl SysRq {
    /// Most keys in one request.
    pub const MAX_KEYS: usize = 16;

    /// Whether these are keys that a request can carry.
    #[must_use]
    pub fn is_valid(keys: &str) -> bool {
        keys.len() <= Self::MAX_KEYS && keys.bytes().all(|key| matches!(key, b' '..=b'~'))
    }
}

impl Value for SysRq {
    fn put(&self, to: &mut Writer<'_>) {
        to.put(&flags(&[(self.force, FORCE)])).put(&self.keys);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        let flags = from.get::<u8>()?;
        let keys = from.get::<String>()?;
        if !Self::is_valid(&keys) {
            return Err(from.malformed("up to 16 printable ASCII keys"));
        }
        Ok(Self {
            force: flags & FORCE != 0,
            keys,
        })
    }
}

/// A request with a number that its answer repeats.
pub type Request = Numbered<ClientFrame>;
