//! Requests, their answers, and the frames that come in between.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::PollFlags;

use super::deadline::Deadline;
use super::error::ClientError;
use super::sender::Sender;
use super::version_1;
use crate::log::LogId;
use crate::protocol::{
    ClientFrame, Decoder, FrameError, Request, ServerFrame, SessionEnd, VERSION,
};

/// Stands for the number of a request that has none. No numbered request has it.
const UNNUMBERED: u32 = 0;

#[derive(Debug)]
pub(super) struct Connection {
    stream: Arc<UnixStream>,
    sender: Sender,
    decoder: Decoder,
    /// The version that both sides speak.
    version: u16,
    last_request: u32,
    /// Frames that came while an answer was waited for.
    waiting: VecDeque<ServerFrame>,
    /// The number of the last request to attach this connection.
    attaching: Option<u32>,
    /// A session was granted, and its end was not received yet.
    attached: bool,
    /// How long an answer may take.
    answer_limit: Option<Duration>,
}

/// A frame that came while the answer to a request was waited for.
enum Received {
    Answer(ServerFrame),
    Other(ServerFrame),
}

impl Connection {
    pub(super) fn new(stream: UnixStream) -> Self {
        let stream = Arc::new(stream);
        Self {
            sender: Sender::new(Arc::clone(&stream)),
            stream,
            decoder: Decoder::default(),
            version: 1,
            last_request: 0,
            waiting: VecDeque::new(),
            attaching: None,
            attached: false,
            answer_limit: None,
        }
    }

    pub(super) fn set_answer_limit(&mut self, limit: Option<Duration>) {
        self.answer_limit = limit;
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Until when an answer is waited for that comes `later` than others.
    fn deadline(&self, later: Duration) -> Option<Deadline> {
        let limit = self.answer_limit?;
        Some(Deadline::after(limit.saturating_add(later)))
    }

    pub(super) fn sender(&self) -> Sender {
        self.sender.clone()
    }

    pub(super) fn version(&self) -> u16 {
        self.version
    }

    pub(super) fn is_attached(&self) -> bool {
        self.attached
    }

    /// Sends a request, with a descriptor if there is one, and waits for its answer.
    pub(super) fn ask(
        &mut self,
        request: &ClientFrame,
        passed: Option<BorrowedFd<'_>>,
    ) -> Result<ServerFrame, ClientError> {
        let (spoken, needed) = (self.version, request.since());
        if needed > spoken {
            return Err(ClientError::OldService { spoken, needed });
        }
        let later = match request {
            ClientFrame::LogWait(wait) => wait.patience,
            _ => Duration::ZERO,
        };
        let deadline = self.deadline(later);
        if let Some(deadline) = deadline {
            deadline.wait(&self.stream, PollFlags::OUT)?;
        }
        let id = self.send(request, passed)?;
        if self.version < 2 {
            return self.answer_by_order(request, deadline);
        }
        loop {
            match self.receive_for(id, deadline)? {
                Received::Answer(frame) => return result(frame),
                Received::Other(frame) => self.waiting.push_back(frame),
            }
        }
    }

    /// Waits for the service to say which version is spoken and which log the console has. From
    /// then on requests are numbered.
    pub(super) fn welcome(&mut self) -> Result<Option<LogId>, ClientError> {
        let deadline = self.deadline(Duration::ZERO);
        loop {
            match self.receive(deadline)?.ok_or(ClientError::Closed)? {
                ServerFrame::Welcome { version, log } => {
                    self.version = version.min(VERSION);
                    return Ok(log);
                }
                // The answer to what somebody else asked on this socket before.
                other => self.waiting.push_back(other),
            }
        }
    }

    /// Asks for the end of the session and waits for it, for whatever reason it comes.
    pub(super) fn detach(&mut self) -> Result<SessionEnd, ClientError> {
        if !self.attached {
            return Err(ClientError::NotAttached);
        }
        let deadline = self.deadline(Duration::ZERO);
        let id = self.send(&ClientFrame::Detach, None)?;
        loop {
            match self.receive_for(id, deadline)? {
                Received::Other(ServerFrame::Ended(end)) => return Ok(end),
                Received::Other(frame) => self.waiting.push_back(frame),
                Received::Answer(frame) => drop(result(frame)?),
            }
        }
    }

    /// The next frame that answers nothing; `None` when the service has closed the connection.
    pub(super) fn next_frame(
        &mut self,
        deadline: Option<Deadline>,
    ) -> Result<Option<ServerFrame>, ClientError> {
        if let Some(frame) = self.waiting.pop_front() {
            return Ok(Some(frame));
        }
        loop {
            match self.receive(deadline) {
                // Nobody waits for it any more.
                Ok(Some(ServerFrame::Answer(_)))
                | Err(ClientError::Frame(FrameError::InEnvelope { .. })) => {}
                other => return other,
            }
        }
    }

    /// Whether a frame or an error is here already.
    pub(super) fn has_frame(&self) -> bool {
        !self.waiting.is_empty() || self.decoder.has_frame()
    }

    /// Sends a request, with a number if the version has them. Returns the number.
    fn send(
        &mut self,
        request: &ClientFrame,
        passed: Option<BorrowedFd<'_>>,
    ) -> Result<u32, ClientError> {
        if self.version < 2 {
            self.sender.send(request, passed)?;
            return Ok(UNNUMBERED);
        }
        self.last_request = self.last_request.wrapping_add(1).max(UNNUMBERED + 1);
        let id = self.last_request;
        if matches!(request, ClientFrame::Attach(_)) {
            self.attaching = Some(id);
        }
        let frame = Box::new(request.clone());
        self.sender
            .send(&ClientFrame::Request(Request { id, frame }), passed)?;
        Ok(id)
    }

    /// The answer to a request that carried no number. A request that has no answer is followed by
    /// one that has.
    fn answer_by_order(
        &mut self,
        request: &ClientFrame,
        deadline: Option<Deadline>,
    ) -> Result<ServerFrame, ClientError> {
        let has_answer = version_1::answer_to(request.kind()).is_some();
        if !has_answer {
            self.sender.send(&ClientFrame::Status, None)?;
        }
        let mut verdict = Ok(ServerFrame::Done);
        loop {
            let Some(frame) = self.receive(deadline)? else {
                return verdict.and(Err(ClientError::Closed));
            };
            let is_error = matches!(frame, ServerFrame::Error { .. });
            if !version_1::answers(request, &frame) {
                self.waiting.push_back(frame);
            } else if has_answer {
                let attached = matches!(frame, ServerFrame::Attached(_));
                self.attached |= attached && matches!(request, ClientFrame::Attach(_));
                return result(frame);
            } else if is_error {
                verdict = result(frame);
            } else {
                return verdict;
            }
        }
    }

    /// The next frame, as the request numbered `id` sees it.
    fn receive_for(
        &mut self,
        id: u32,
        deadline: Option<Deadline>,
    ) -> Result<Received, ClientError> {
        loop {
            match self.receive(deadline) {
                Ok(Some(ServerFrame::Answer(answer))) if answer.id == id => {
                    return Ok(Received::Answer(*answer.frame));
                }
                // The answer to a request that was given up.
                Ok(Some(ServerFrame::Answer(_))) => {}
                Err(ClientError::Frame(FrameError::InEnvelope { id: other, .. }))
                    if other != id => {}
                Ok(Some(frame)) => return Ok(Received::Other(frame)),
                Ok(None) => return Err(ClientError::Closed),
                Err(error) => return Err(error),
            }
        }
    }

    fn receive(&mut self, deadline: Option<Deadline>) -> Result<Option<ServerFrame>, ClientError> {
        loop {
            if let Some(frame) = self.decoder.next_frame()? {
                match ServerFrame::parse(frame, VERSION) {
                    Ok(frame) => {
                        self.note_session(&frame);
                        return Ok(Some(frame));
                    }
                    // A newer service may tell more than we know.
                    Err(FrameError::UnknownType(_)) => continue,
                    Err(error) => return Err(error.into()),
                }
            }
            if let Some(deadline) = deadline {
                deadline.wait(&self.stream, PollFlags::IN)?;
            }
            let mut buffer = [0; 16 << 10];
            match (&*self.stream).read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(n) => self.decoder.feed(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn note_session(&mut self, frame: &ServerFrame) {
        match frame {
            ServerFrame::Ended(_) => self.attached = false,
            ServerFrame::Answer(answer) if self.attaching == Some(answer.id) => {
                self.attached |= matches!(*answer.frame, ServerFrame::Attached(_));
            }
            _ => {}
        }
    }
}

fn result(answer: ServerFrame) -> Result<ServerFrame, ClientError> {
    match answer {
        ServerFrame::Error { code, text } => Err(ClientError::Service { code, text }),
        ServerFrame::Refused(refusal) => Err(ClientError::Refused(refusal)),
        answer => Ok(answer),
    }
}
