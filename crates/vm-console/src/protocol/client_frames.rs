//! What a client sends.

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
}

impl ClientFrame {
    /// The first version of the protocol that can say all of it.
    #[must_use]
    pub fn since(&self) -> u16 {
        let log = match self {
            Self::Attach(request) | Self::AttachDescriptor(request) => request.log,
            Self::LogRead(request) => request.log,
            _ => None,
        };
        self.kind().since().max(if log.is_some() { 2 } else { 1 })
    }
}

impl ClientFrame {
    /// Where in the log it begins, if it is about the log.
    pub(crate) fn start(&self) -> Option<Start> {
        match self {
            Self::Attach(request) | Self::AttachDescriptor(request) => Some(request.replay),
            Self::LogRead(request) => Some(request.start),
            Self::Request(request) => request.frame.start(),
            Self::Hello { .. }
            | Self::Data(_)
            | Self::Break
            | Self::Resize { .. }
            | Self::Status
            | Self::Detach
            | Self::Power(_) => None,
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

/// A request with a number that its answer repeats.
pub type Request = Numbered<ClientFrame>;
