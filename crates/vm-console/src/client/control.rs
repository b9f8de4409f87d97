//! A connection to a control socket.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use super::error::ClientError;
use super::sender::Sender;
use super::typist::Typist;
use super::version_1;
use crate::log::Start;
use crate::protocol::{
    AttachRequest, Attached, ClientFrame, Decoder, FrameError, LogData, LogRequest, PowerAction,
    ServerFrame, SessionEnd, Status, VERSION,
};

/// A connection to a control socket.
#[derive(Debug)]
pub struct ControlClient {
    stream: Arc<UnixStream>,
    sender: Sender,
    decoder: Decoder,
    /// Frames that came while another one was waited for.
    waiting: VecDeque<ServerFrame>,
    console: String,
    /// A session was granted, and its end was not received yet.
    attached: bool,
    last_read: u32,
}

impl ControlClient {
    /// Connects to the control socket at `path`, and greets.
    ///
    /// # Errors
    /// Nobody listens there, or it is no control socket.
    pub fn connect(path: impl AsRef<Path>) -> Result<Self, ClientError> {
        Self::from_stream(UnixStream::connect(path)?)
    }

    /// Greets on a connected socket.
    ///
    /// # Errors
    /// The other side is no control socket, or turned the connection away.
    pub fn from_stream(stream: UnixStream) -> Result<Self, ClientError> {
        let stream = Arc::new(stream);
        let mut client = Self {
            sender: Sender::new(Arc::clone(&stream)),
            stream,
            decoder: Decoder::default(),
            waiting: VecDeque::new(),
            console: String::new(),
            attached: false,
            last_read: 0,
        };
        let hello = ClientFrame::Hello {
            version: VERSION,
            program: env!("CARGO_PKG_NAME").into(),
        };
        match client.ask(&hello)? {
            ServerFrame::Hello { console, .. } => client.console = console,
            other => return Err(unexpected(other)),
        }
        Ok(client)
    }

    /// The console's name.
    #[must_use]
    pub fn console(&self) -> &str {
        &self.console
    }

    /// Whether there is a session on this connection, as far as frames were received. The end of a
    /// session counts from the moment at which its frame arrives, even if that frame still waits for
    /// [`next_frame`](Self::next_frame).
    #[must_use]
    pub fn is_attached(&self) -> bool {
        self.attached
    }

    /// Sends a request and waits for its answer, whatever the request is. Frames that come before
    /// the answer wait for [`next_frame`](Self::next_frame).
    ///
    /// A request that the service answers with nothing but errors (typed bytes, BREAK, a window's
    /// size, detach, power) is followed by a status request, and the status is the answer.
    ///
    /// # Errors
    /// The service answers with an error or refuses, the connection is gone, or what came is no
    /// frame.
    pub fn ask(&mut self, request: &ClientFrame) -> Result<ServerFrame, ClientError> {
        self.sender.send(request)?;
        if version_1::answer_to(request.kind()).is_none() {
            self.sender.send(&ClientFrame::Status)?;
        }
        self.answer(request)
    }

    /// Attaches this connection.
    ///
    /// # Errors
    /// [`ClientError::Refused`] says who holds the console; with [`AttachRequest::force`] it can be
    /// taken.
    pub fn attach(&mut self, request: &AttachRequest) -> Result<Attached, ClientError> {
        match self.ask(&ClientFrame::Attach(request.clone()))? {
            ServerFrame::Attached(attached) => Ok(attached),
            other => Err(unexpected(other)),
        }
    }

    /// Attaches a connected stream socket of another program's, to be served raw bytes. This
    /// connection stays as it is; the socket can be closed here afterwards.
    ///
    /// # Errors
    /// As [`attach`](Self::attach); or `socket` is no stream socket.
    pub fn attach_socket(
        &mut self,
        request: &AttachRequest,
        socket: impl AsFd,
    ) -> Result<Attached, ClientError> {
        let request = ClientFrame::AttachDescriptor(request.clone());
        self.sender.send_with_descriptor(&request, socket.as_fd())?;
        match self.answer(&request)? {
            ServerFrame::Attached(attached) => Ok(attached),
            other => Err(unexpected(other)),
        }
    }

    /// Something to type with while another thread waits in [`next_frame`](Self::next_frame).
    ///
    /// # Errors
    /// None at present.
    pub fn typist(&self) -> io::Result<Typist> {
        Ok(Typist::new(self.sender.clone()))
    }

    /// The next frame; `None` when the service has closed the connection.
    ///
    /// # Errors
    /// The socket failed, or what came is no frame.
    pub fn next_frame(&mut self) -> Result<Option<ServerFrame>, ClientError> {
        match self.waiting.pop_front() {
            Some(frame) => Ok(Some(frame)),
            None => self.receive(),
        }
    }

    /// How the console stands.
    ///
    /// # Errors
    /// As for every request: see [`ClientError`].
    pub fn status(&mut self) -> Result<Status, ClientError> {
        match self.ask(&ClientFrame::Status)? {
            ServerFrame::Status(status) => Ok(status),
            other => Err(unexpected(other)),
        }
    }

    /// Reads at most `max` bytes of the log, without attaching. To go on, read from
    /// [`LogData::next`].
    ///
    /// # Errors
    /// No right to read the log.
    pub fn read_log(&mut self, start: Start, max: u32) -> Result<LogData, ClientError> {
        self.last_read = self.last_read.wrapping_add(1);
        let id = self.last_read;
        match self.ask(&ClientFrame::LogRead(LogRequest { id, start, max }))? {
            ServerFrame::LogData(data) => Ok(data),
            other => Err(unexpected(other)),
        }
    }

    /// Ends the session and keeps the connection. If the session ended otherwise at the same time,
    /// the answer says so.
    ///
    /// # Errors
    /// [`ClientError::NotAttached`]: there is no session, or its end was received already.
    pub fn detach(&mut self) -> Result<SessionEnd, ClientError> {
        if !self.attached {
            return Err(ClientError::NotAttached);
        }
        self.sender.send(&ClientFrame::Detach)?;
        loop {
            match self.receive()?.ok_or(ClientError::Closed)? {
                ServerFrame::Ended(end) => return Ok(end),
                other => self.waiting.push_back(other),
            }
        }
    }

    /// Asks for stop, start or restart, and waits for the verdict.
    ///
    /// # Errors
    /// The owner has not built it in, or somebody else holds the console.
    pub fn power(&mut self, action: PowerAction) -> Result<(), ClientError> {
        self.ask(&ClientFrame::Power(action)).map(drop)
    }

    /// Waits for the answer to a request that was sent; other frames wait their turn.
    fn answer(&mut self, request: &ClientFrame) -> Result<ServerFrame, ClientError> {
        let status_follows = version_1::answer_to(request.kind()).is_none();
        let mut failure = None;
        loop {
            let Some(frame) = self.receive()? else {
                return Err(failure.unwrap_or(ClientError::Closed));
            };
            if !version_1::answers(request, &frame) {
                self.waiting.push_back(frame);
                continue;
            }
            match frame {
                ServerFrame::Error { code, text } => {
                    let error = ClientError::Service { code, text };
                    if !status_follows {
                        return Err(error);
                    }
                    failure = Some(error);
                }
                ServerFrame::Refused(refusal) => return Err(ClientError::Refused(refusal)),
                answer => {
                    self.attached |= matches!(request, ClientFrame::Attach(_));
                    return failure.map_or(Ok(answer), Err);
                }
            }
        }
    }

    fn receive(&mut self) -> Result<Option<ServerFrame>, ClientError> {
        loop {
            if let Some(frame) = self.decoder.next_frame()? {
                match ServerFrame::parse(frame) {
                    Ok(frame) => {
                        self.attached &= !matches!(frame, ServerFrame::Ended(_));
                        return Ok(Some(frame));
                    }
                    // A newer service may tell more than we know.
                    Err(FrameError::UnknownType(_)) => continue,
                    Err(error) => return Err(error.into()),
                }
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
}

fn unexpected(frame: ServerFrame) -> ClientError {
    ClientError::Unexpected(Box::new(frame))
}
