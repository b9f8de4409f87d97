//! A client of one console.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::connection::Connection;
use super::deadline::Deadline;
use super::error::ClientError;
use super::typist::Typist;
use crate::log::{LogId, Start};
use crate::protocol::{
    AttachRequest, Attached, ClientFrame, LogData, LogRequest, PowerAction, ServerFrame,
    SessionEnd, Status, Status2, Status3, VERSION,
};

/// A connection to a control socket.
///
/// It speaks the newest version of the protocol that the service speaks, too. From version 2 on each
/// answer names its request. With older services it goes by the order of the answers; there a request that was given up (a read
/// timeout of the socket) leaves its answer to the next request.
#[derive(Debug)]
pub struct ControlClient {
    connection: Connection,
    console: String,
    log: Option<LogId>,
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

    /// As [`connect`](Self::connect), but waits for a service that does not answer no longer than
    /// `limit`: not to connect, nor for each step of the greeting, nor for each answer later (see
    /// [`set_answer_limit`](Self::set_answer_limit)). A VMM that was stopped still has its sockets.
    ///
    /// # Errors
    /// As [`connect`](Self::connect); [`ClientError::TimedOut`].
    pub fn connect_within(path: impl AsRef<Path>, limit: Duration) -> Result<Self, ClientError> {
        let stream = Deadline::after(limit).connect(path.as_ref())?;
        let mut connection = Connection::new(stream);
        connection.set_answer_limit(Some(limit));
        Self::greet(connection)
    }

    /// Greets on a connected socket.
    ///
    /// # Errors
    /// The other side is no control socket, or turned the connection away.
    pub fn from_stream(stream: UnixStream) -> Result<Self, ClientError> {
        Self::greet(Connection::new(stream))
    }

    fn greet(connection: Connection) -> Result<Self, ClientError> {
        let mut client = Self {
            connection,
            console: String::new(),
            log: None,
            last_read: 0,
        };
        let hello = ClientFrame::Hello {
            version: VERSION,
            program: env!("CARGO_PKG_NAME").into(),
        };
        let version = match client.ask(&hello)? {
            ServerFrame::Hello {
                version, console, ..
            } => {
                client.console = console;
                version
            }
            other => return Err(unexpected(other)),
        };
        if version >= 2 {
            client.log = client.connection.welcome()?;
        }
        Ok(client)
    }

    /// How long each request may take from now on; `None` is for ever, and is the rule after
    /// [`connect`](Self::connect). An answer that comes later is dropped, and the connection can be
    /// used on: from version 2 of the protocol on.
    ///
    /// What [`next_frame`](Self::next_frame) waits for is no answer, and what a
    /// [`Typist`] sends is no request here.
    pub fn set_answer_limit(&mut self, limit: Option<Duration>) {
        self.connection.set_answer_limit(limit);
    }

    /// The console's name.
    #[must_use]
    pub fn console(&self) -> &str {
        &self.console
    }

    /// Which log the console has. Keep it with an offset to resume at. `None` if the service speaks
    /// version 1 of the protocol.
    #[must_use]
    pub fn log(&self) -> Option<LogId> {
        self.log
    }

    /// The version of the protocol that is spoken on this connection.
    #[must_use]
    pub fn version(&self) -> u16 {
        self.connection.version()
    }

    /// Whether there is a session on this connection, as far as frames were received. The end of a
    /// session counts from the moment at which its frame arrives, even if that frame still waits
    /// for [`next_frame`](Self::next_frame).
    #[must_use]
    pub fn is_attached(&self) -> bool {
        self.connection.is_attached()
    }

    /// Sends a request and waits for its answer, whatever the request is. Frames that come before
    /// the answer wait for [`next_frame`](Self::next_frame). A request without a result is answered
    /// with [`ServerFrame::Done`].
    ///
    /// # Errors
    /// The service answers with an error or refuses, it speaks a version that does not have the
    /// request, the connection is gone, or what came is no frame.
    pub fn ask(&mut self, request: &ClientFrame) -> Result<ServerFrame, ClientError> {
        self.connection.ask(request, None)
    }

    /// Attaches this connection.
    ///
    /// # Errors
    /// [`ClientError::Refused`] says who holds the console; with [`AttachRequest::force`] it can be
    /// taken.
    pub fn attach(&mut self, request: &AttachRequest) -> Result<Attached, ClientError> {
        attached(self.ask(&ClientFrame::Attach(request.clone()))?)
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
        attached(self.connection.ask(&request, Some(socket.as_fd()))?)
    }

    /// Something to type with while another thread waits in [`next_frame`](Self::next_frame).
    ///
    /// # Errors
    /// None at present.
    pub fn typist(&self) -> io::Result<Typist> {
        Ok(Typist::new(self.connection.sender()))
    }

    /// The next frame; `None` when the service has closed the connection.
    ///
    /// # Errors
    /// The socket failed, or what came is no frame.
    pub fn next_frame(&mut self) -> Result<Option<ServerFrame>, ClientError> {
        self.connection.next_frame(None)
    }

    /// As [`next_frame`](Self::next_frame), but waits no longer than `limit`. What has come of a
    /// frame by then is kept for the next call.
    ///
    /// # Errors
    /// As [`next_frame`](Self::next_frame); [`ClientError::TimedOut`].
    pub fn next_frame_within(
        &mut self,
        limit: Duration,
    ) -> Result<Option<ServerFrame>, ClientError> {
        self.connection.next_frame(Some(Deadline::after(limit)))
    }

    /// Whether [`next_frame`](Self::next_frame) has a frame already, or an answer to drop, and need
    /// not read for it. Ask before the [descriptor](AsFd) is polled.
    #[must_use]
    pub fn has_frame(&self) -> bool {
        self.connection.has_frame()
    }

    /// How the console stands.
    ///
    /// # Errors
    /// As for every request: see [`ClientError`].
    pub fn status(&mut self) -> Result<Status, ClientError> {
        match self.ask(&ClientFrame::Status)? {
            ServerFrame::Status(status)
            | ServerFrame::Status2(Status2(status))
            | ServerFrame::Status3(Status3(status)) => Ok(status),
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
        let request = LogRequest {
            id: self.last_read,
            start,
            log: None,
            max,
        };
        match self.ask(&ClientFrame::LogRead(request))? {
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
        self.connection.detach()
    }

    /// Asks for stop, start, restart or an NMI, and waits for the verdict.
    ///
    /// # Errors
    /// The owner has not built it in, or somebody else holds the console.
    pub fn power(&mut self, action: PowerAction) -> Result<(), ClientError> {
        self.ask(&ClientFrame::Power(action)).map(drop)
    }
}

/// To poll it: a frame may be here when it is readable. It must not be read from by anybody else.
impl AsFd for ControlClient {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.descriptor()
    }
}

fn attached(answer: ServerFrame) -> Result<Attached, ClientError> {
    match answer {
        ServerFrame::Attached(attached) => Ok(attached),
        other => Err(unexpected(other)),
    }
}

pub(super) fn unexpected(frame: ServerFrame) -> ClientError {
    ClientError::Unexpected(Box::new(frame))
}
