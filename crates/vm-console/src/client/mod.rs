//! A client for the [control socket](crate::protocol), for programs that may block.
//!
//! ```no_run
//! use vm_console::client::ControlClient;
//! use vm_console::protocol::{AttachRequest, ServerFrame};
//!
//! let mut client = ControlClient::connect("/run/vm-7.control")?;
//! let status = client.status()?;
//! println!("{} has printed {} bytes", status.console, status.head);
//!
//! client.attach(&AttachRequest { name: "ada".into(), ..Default::default() })?;
//! client.typist()?.type_bytes(b"uptime\r")?;
//! while let Some(frame) = client.next_frame()? {
//!     match frame {
//!         ServerFrame::Output(output) => print!("{}", String::from_utf8_lossy(&output.bytes)),
//!         ServerFrame::Ended(end) => {
//!             println!("{}", end.text);
//!             break;
//!         }
//!         _ => {}
//!     }
//! }
//! # Ok::<(), vm_console::client::ClientError>(())
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use crate::log::Start;
use crate::protocol::{
    AttachRequest, ClientFrame, Decoder, FRAME_LIMIT, FrameError, LogData, PowerAction, Refusal,
    ServerFrame, SessionEnd, Status, VERSION,
};

/// Bytes typed in one frame.
const TYPED: usize = FRAME_LIMIT / 2;

/// What can go wrong with a request.
#[derive(Debug)]
pub enum ClientError {
    /// The socket failed.
    Io(io::Error),
    /// The service closed the connection before it answered.
    Closed,
    /// The service sent something that is no frame.
    Frame(FrameError),
    /// The attach was refused.
    Refused(Refusal),
    /// The service answered with an error; see [`error_code`](crate::protocol::error_code).
    Service {
        /// Which.
        code: u8,
        /// In words.
        text: String,
    },
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "console socket: {error}"),
            Self::Closed => f.write_str("the console service closed the connection"),
            Self::Frame(error) => write!(f, "the console service sent a {error}"),
            Self::Refused(refusal) => write!(f, "refused: {}", refusal.text),
            Self::Service { text, .. } => f.write_str(text),
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Frame(error) => Some(error),
            Self::Closed | Self::Refused(_) | Self::Service { .. } => None,
        }
    }
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<FrameError> for ClientError {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

/// What a granted attach begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Offset at which replay begins.
    pub start: u64,
    /// Offset at which live output begins.
    pub head: u64,
    /// Boot count.
    pub epoch: u64,
}

/// A connection to a control socket.
#[derive(Debug)]
pub struct ControlClient {
    stream: UnixStream,
    decoder: Decoder,
    /// Frames that came while another one was waited for.
    waiting: VecDeque<ServerFrame>,
    console: String,
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
        let mut client = Self {
            stream,
            decoder: Decoder::default(),
            waiting: VecDeque::new(),
            console: String::new(),
            last_read: 0,
        };
        client.send(&ClientFrame::Hello {
            version: VERSION,
            program: env!("CARGO_PKG_NAME").into(),
        })?;
        client.console = client.answer(|frame| match frame {
            ServerFrame::Hello { console, .. } => Ok(console),
            other => Err(Box::new(other)),
        })?;
        Ok(client)
    }

    /// The console's name.
    #[must_use]
    pub fn console(&self) -> &str {
        &self.console
    }

    /// Attaches this connection.
    ///
    /// # Errors
    /// [`ClientError::Refused`] says who holds the console; with [`AttachRequest::force`] it can be taken.
    pub fn attach(&mut self, request: &AttachRequest) -> Result<Attached, ClientError> {
        self.send(&ClientFrame::Attach(request.clone()))?;
        self.attached()
    }

    /// Attaches a connected stream socket of another program's, to be served raw bytes. This connection stays as it is;
    /// the socket can be closed here afterwards.
    ///
    /// # Errors
    /// As [`attach`](Self::attach); or `socket` is no stream socket.
    pub fn attach_socket(
        &mut self,
        request: &AttachRequest,
        socket: impl AsFd,
    ) -> Result<Attached, ClientError> {
        let mut frame = Vec::new();
        ClientFrame::AttachDescriptor(request.clone()).encode(&mut frame);
        let sent = send_with_descriptor(&self.stream, &frame, socket.as_fd())?;
        self.stream.write_all(&frame[sent..])?;
        self.attached()
    }

    fn attached(&mut self) -> Result<Attached, ClientError> {
        let answer = self.answer(|frame| match frame {
            ServerFrame::Attached {
                start, head, epoch, ..
            } => Ok(Ok(Attached { start, head, epoch })),
            ServerFrame::Refused(refusal) => Ok(Err(refusal)),
            other => Err(Box::new(other)),
        })?;
        answer.map_err(ClientError::Refused)
    }

    /// Something to type with while another thread waits in [`next_frame`](Self::next_frame).
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn typist(&self) -> io::Result<Typist> {
        Ok(Typist {
            stream: self.stream.try_clone()?,
        })
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
        self.send(&ClientFrame::Status)?;
        self.answer(|frame| match frame {
            ServerFrame::Status(status) => Ok(status),
            other => Err(Box::new(other)),
        })
    }

    /// Reads at most `max` bytes of the log, without attaching. To go on, read from [`LogData::next`].
    ///
    /// # Errors
    /// No right to read the log.
    pub fn read_log(&mut self, start: Start, max: u32) -> Result<LogData, ClientError> {
        self.last_read = self.last_read.wrapping_add(1);
        let id = self.last_read;
        self.send(&ClientFrame::LogRead { id, start, max })?;
        self.answer(|frame| match frame {
            ServerFrame::LogData(data) if data.id == id => Ok(data),
            other => Err(Box::new(other)),
        })
    }

    /// Ends the session and keeps the connection.
    ///
    /// # Errors
    /// There is no session.
    pub fn detach(&mut self) -> Result<SessionEnd, ClientError> {
        self.send(&ClientFrame::Detach)?;
        self.answer(|frame| match frame {
            ServerFrame::Ended(end) => Ok(end),
            other => Err(Box::new(other)),
        })
    }

    /// Asks for stop, start or restart. There is no answer but an error.
    ///
    /// # Errors
    /// The socket failed.
    pub fn power(&mut self, action: PowerAction) -> Result<(), ClientError> {
        self.send(&ClientFrame::Power(action))
    }

    fn send(&mut self, frame: &ClientFrame) -> Result<(), ClientError> {
        Ok(send(&mut self.stream, frame)?)
    }

    /// Waits for the frame that `fits`; others wait their turn, save errors: requests are answered in order.
    fn answer<T>(
        &mut self,
        fits: impl Fn(ServerFrame) -> Result<T, Box<ServerFrame>>,
    ) -> Result<T, ClientError> {
        loop {
            match fits(self.receive()?.ok_or(ClientError::Closed)?) {
                Ok(answer) => return Ok(answer),
                Err(other) => match *other {
                    ServerFrame::Error { code, text } => {
                        return Err(ClientError::Service { code, text });
                    }
                    other => self.waiting.push_back(other),
                },
            }
        }
    }

    fn receive(&mut self) -> Result<Option<ServerFrame>, ClientError> {
        loop {
            if let Some(frame) = self.decoder.next_frame()? {
                match ServerFrame::parse(frame) {
                    Ok(frame) => return Ok(Some(frame)),
                    // A newer service may tell more than we know.
                    Err(FrameError::UnknownType(_)) => continue,
                    Err(error) => return Err(error.into()),
                }
            }
            let mut buffer = [0; 16 << 10];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(n) => self.decoder.feed(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Types on a connection while somebody else reads from it.
#[derive(Debug)]
pub struct Typist {
    stream: UnixStream,
}

impl Typist {
    /// Types bytes. Blocks while the guest does not read.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn type_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        for chunk in bytes.chunks(TYPED) {
            send(&mut self.stream, &ClientFrame::Data(chunk.to_vec()))?;
        }
        Ok(())
    }

    /// Sends BREAK; with a Linux guest the first half of a SysRq.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn send_break(&mut self) -> io::Result<()> {
        send(&mut self.stream, &ClientFrame::Break)
    }

    /// Tells the size of the window.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn resize(&mut self, columns: u16, rows: u16) -> io::Result<()> {
        send(&mut self.stream, &ClientFrame::Resize { columns, rows })
    }

    /// Asks for the end of the session; it comes as a frame.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn detach(&mut self) -> io::Result<()> {
        send(&mut self.stream, &ClientFrame::Detach)
    }
}

fn send(stream: &mut UnixStream, frame: &ClientFrame) -> io::Result<()> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    stream.write_all(&bytes)
}

fn send_with_descriptor(
    stream: &UnixStream,
    bytes: &[u8],
    passed: BorrowedFd<'_>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let passed = [passed];
    // There is room for exactly this.
    control.push(SendAncillaryMessage::ScmRights(&passed));
    Ok(rustix::net::sendmsg(
        stream,
        &[IoSlice::new(bytes)],
        &mut control,
        SendFlags::NOSIGNAL,
    )?)
}
