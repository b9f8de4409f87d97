//! What a connection speaks: raw bytes, or frames.

use std::time::Duration;

use crate::escape::Escape;
use crate::lone_newline::LoneNewlines;
use crate::protocol::{
    AttachRequest, ClientFrame, Decoder, EndCode, ErrorCode, FrameError, LogWait, Refusal,
    ServerFrame, SessionEnd, VERSION, Warning, output_frame,
};
use crate::session::{EndReason, Limit};
use crate::when::Span;

/// What a connection speaks, with what was read of it and not understood yet.
#[derive(Debug)]
pub(in crate::service) enum Wire {
    /// Bytes.
    Raw {
        /// What finds escapes in them, if wanted.
        escape: Option<Escape>,
        /// What makes carriage returns of newlines, if wanted.
        newlines: Option<LoneNewlines>,
        /// Whether it is told in words what happens to its session.
        notices: bool,
        /// The attach that coming in stands for, until it is carried out.
        attach: Option<AttachRequest>,
    },
    /// Frames.
    Control {
        /// What was read of them.
        decoder: Decoder,
        /// The version of the protocol that is spoken; 1 until the client says that it knows more.
        version: u16,
        /// The request that comes next, if it was looked at before.
        put_back: Option<PutBack>,
    },
}

/// A request that was looked at and could not be carried out then.
#[derive(Debug)]
pub(in crate::service) enum PutBack {
    /// A search in the log goes on.
    Searching(Box<ClientFrame>),
    /// It waits for output.
    Waiting(Wait),
    /// What it has waited for is there, or its time is over.
    HasWaited(Wait),
}

/// A request that waits for output.
#[derive(Clone, Copy, Debug)]
pub(in crate::service) struct Wait {
    /// The number of the request.
    pub(in crate::service) number: u32,
    pub(in crate::service) request: LogWait,
    /// The offset at which it reads on.
    pub(in crate::service) from: u64,
    pub(in crate::service) until: Duration,
}

/// How a connection is spoken to. Whatever the service says goes through here, so that this is the
/// one place that knows the difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service) enum Framing {
    Raw {
        /// Whether it is told in words what happens to its session.
        notices: bool,
    },
    Control,
}

impl Wire {
    /// Frames, of a client that has said nothing yet.
    pub(in crate::service) fn control() -> Self {
        Self::Control {
            decoder: Decoder::default(),
            version: 1,
            put_back: None,
        }
    }

    /// The same with this filter of typed newlines, if it carries bytes.
    pub(in crate::service) fn with_newlines(mut self, filter: Option<LoneNewlines>) -> Self {
        if let Self::Raw { newlines, .. } = &mut self {
            *newlines = filter;
        }
        self
    }

    pub(in crate::service) fn framing(&self) -> Framing {
        match self {
            Self::Raw { notices, .. } => Framing::Raw { notices: *notices },
            Self::Control { .. } => Framing::Control,
        }
    }

    /// Whether a request waits to be carried out.
    pub(super) fn has_request(&self) -> bool {
        match self {
            Self::Raw { attach, .. } => attach.is_some(),
            Self::Control {
                decoder, put_back, ..
            } => put_back.is_some() || decoder.has_frame(),
        }
    }

    /// The version of the protocol that is spoken.
    pub(in crate::service) fn version(&self) -> u16 {
        match self {
            Self::Raw { .. } => 0,
            Self::Control { version, .. } => *version,
        }
    }

    /// The next request of a control connection, if none has waited for output.
    pub(in crate::service) fn next_request(&mut self) -> Option<Result<ClientFrame, FrameError>> {
        let Self::Control {
            decoder,
            version,
            put_back,
        } = self
        else {
            return None;
        };
        if let Some(PutBack::Searching(frame)) =
            put_back.take_if(|put_back| matches!(put_back, PutBack::Searching(_)))
        {
            return Some(Ok(*frame));
        }
        match decoder.next_frame() {
            Ok(None) => None,
            Ok(Some(frame)) => Some(ClientFrame::parse(frame, *version)),
            Err(error) => Some(Err(error)),
        }
    }

    /// Gives back memory that holds nothing any more.
    pub(in crate::service) fn give_back(&mut self) {
        if let Self::Control { decoder, .. } = self {
            decoder.give_back();
        }
    }

    /// Puts back a request until a search in the log is done.
    pub(in crate::service) fn search_for(&mut self, request: ClientFrame) {
        self.put_back(PutBack::Searching(Box::new(request)));
    }

    /// Has a request wait until [`end_wait`](Self::end_wait).
    pub(in crate::service) fn wait_for_output(&mut self, wait: Wait) {
        self.put_back(PutBack::Waiting(wait));
    }

    fn put_back(&mut self, request: PutBack) {
        if let Self::Control { put_back, .. } = self {
            *put_back = Some(request);
        }
    }

    /// The request that waits for output.
    pub(in crate::service) fn wait(&self) -> Option<&Wait> {
        match self {
            Self::Control {
                put_back: Some(PutBack::Waiting(wait)),
                ..
            } => Some(wait),
            Self::Raw { .. } | Self::Control { .. } => None,
        }
    }

    /// The request that waits for output is to be answered.
    pub(in crate::service) fn end_wait(&mut self) {
        if let Some(wait) = self.wait().copied() {
            self.put_back(PutBack::HasWaited(wait));
        }
    }

    /// Takes the request that has waited for output.
    pub(in crate::service) fn take_waited(&mut self) -> Option<Wait> {
        let Self::Control { put_back, .. } = self else {
            return None;
        };
        match put_back.take_if(|put_back| matches!(put_back, PutBack::HasWaited(_))) {
            Some(PutBack::HasWaited(wait)) => Some(wait),
            _ => None,
        }
    }
}

impl Framing {
    pub(in crate::service) fn greet(self, console: &str, head: u64, epoch: u64, out: &mut Vec<u8>) {
        match self {
            Self::Raw { .. } => {}
            Self::Control => ServerFrame::Hello {
                version: VERSION,
                console: console.to_owned(),
                head,
                epoch,
            }
            .encode(out),
        }
    }

    /// The connection is closed before it began.
    pub(in crate::service) fn turn_away(self, console: &str, why: &str, out: &mut Vec<u8>) {
        match self {
            Self::Raw { .. } => out.extend(line(console, why).as_bytes()),
            Self::Control => ServerFrame::Error {
                code: ErrorCode::NotPermitted,
                text: why.to_owned(),
            }
            .encode(out),
        }
    }

    /// A client that speaks frames is told in the answer to its request.
    pub(in crate::service) fn refuse(self, console: &str, refusal: &Refusal, out: &mut Vec<u8>) {
        match self {
            Self::Raw { .. } => out.extend(line(console, &refusal.text).as_bytes()),
            Self::Control => {}
        }
    }

    pub(super) fn output(
        self,
        replayed: bool,
        offset: u64,
        next: u64,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) {
        match self {
            Self::Raw { .. } => out.extend_from_slice(bytes),
            // A frame that brings nothing and leads nowhere says nothing.
            Self::Control if bytes.is_empty() && next == offset => {}
            Self::Control => output_frame(out, replayed, offset, next, bytes),
        }
    }

    /// Output is missing: it was lost or withheld. Frames have to say so, as each goes on where the
    /// last one ended.
    pub(super) fn gap(self, from: u64, to: u64, what: &str, is_noted: bool, out: &mut Vec<u8>) {
        match self {
            Self::Raw { .. } if !is_noted => {}
            Self::Raw { .. } => {
                out.extend(format!("\r\n[{} bytes of output {what}]\r\n", to - from).as_bytes());
            }
            Self::Control => ServerFrame::Gap { from, to }.encode(out),
        }
    }

    pub(super) fn boot(self, epoch: u64, offset: u64, out: &mut Vec<u8>) {
        match self {
            Self::Raw { .. } => {}
            Self::Control => ServerFrame::Boot { epoch, offset }.encode(out),
        }
    }

    pub(in crate::service) fn warn(
        self,
        console: &str,
        limit: Limit,
        remaining: Duration,
        out: &mut Vec<u8>,
    ) {
        match self {
            Self::Raw { notices: false } => {}
            Self::Raw { notices: true } => {
                let why = match limit {
                    Limit::Idle => "without input the session ends",
                    Limit::Absolute => "the session ends",
                };
                notice(console, &format!("{why} in {}", Span(remaining)), out);
            }
            Self::Control => ServerFrame::Warning(Warning { limit, remaining }).encode(out),
        }
    }

    /// The session is over; `resume` is the first byte of output that was not delivered.
    pub(in crate::service) fn farewell(
        self,
        console: &str,
        reason: &EndReason,
        resume: u64,
        epoch: u64,
        out: &mut Vec<u8>,
    ) {
        match self {
            Self::Raw { notices: false } => {}
            Self::Raw { notices: true } => {
                notice(console, &format!("session over: {reason}"), out);
            }
            Self::Control => {
                let by = match reason {
                    EndReason::TakenOver { by } => by.to_string(),
                    _ => String::new(),
                };
                ServerFrame::Ended(SessionEnd {
                    reason: EndCode::from(reason),
                    resume,
                    epoch,
                    by,
                    text: reason.to_string(),
                })
                .encode(out);
            }
        }
    }
}

/// A line for a client that is shown nothing else.
fn line(console: &str, text: &str) -> String {
    format!("console {console}: {text}\r\n")
}

/// A line in the midst of output.
fn notice(console: &str, text: &str, out: &mut Vec<u8>) {
    out.extend(format!("\r\n[console {console}: {text}]\r\n").as_bytes());
}
