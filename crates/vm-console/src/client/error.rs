//! What can go wrong with a request.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::protocol::{ErrorCode, FrameError, Refusal, ServerFrame};
use crate::when::Span;

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
    /// The service answered with an error.
    Service {
        /// Which.
        code: ErrorCode,
        /// In words.
        text: String,
    },
    /// There is no session on this connection. Its end, if there was one, is among the frames that
    /// [`next_frame`](super::ControlClient::next_frame) gives.
    NotAttached,
    /// The service speaks an older version of the protocol, which cannot say the request.
    OldService {
        /// The version that is spoken on this connection.
        spoken: u16,
        /// The first version that has the request.
        needed: u16,
    },
    /// The service did not answer within this time.
    TimedOut(Duration),
    /// The service answered with a frame that is no answer to the request.
    Unexpected(Box<ServerFrame>),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "console socket: {error}"),
            Self::Closed => f.write_str("the console service closed the connection"),
            Self::Frame(error) => write!(f, "the console service sent a {error}"),
            Self::Refused(refusal) => write!(f, "refused: {}", refusal.text),
            Self::Service { text, .. } => f.write_str(text),
            Self::NotAttached => f.write_str("no session on this connection"),
            Self::OldService { spoken, needed } => write!(
                f,
                "the console service speaks version {spoken} of the protocol, the request needs {needed}"
            ),
            Self::TimedOut(limit) => {
                write!(
                    f,
                    "the console service did not answer within {}",
                    Span(*limit)
                )
            }
            Self::Unexpected(frame) => write!(
                f,
                "the console service answered with a {:?} frame, which does not fit the request",
                frame.kind()
            ),
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Frame(error) => Some(error),
            Self::Closed
            | Self::Refused(_)
            | Self::Service { .. }
            | Self::NotAttached
            | Self::OldService { .. }
            | Self::TimedOut(_)
            | Self::Unexpected(_) => None,
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
