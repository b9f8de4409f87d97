//! How a request was asked, and what it is answered with.

use crate::protocol::{Answer, ErrorCode, ServerFrame};

/// Whether a request carries a number. If it does, it is answered under that, whatever comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Plainly,
    Numbered(u32),
}

/// What comes of a request, and what it gives.
pub(super) type Reply = Result<Option<ServerFrame>, Failure>;

/// Why a request is not carried out.
#[derive(Debug)]
pub(super) struct Failure {
    code: ErrorCode,
    pub(super) text: &'static str,
}

/// Whoever asked is not there any more, and nobody reads this.
pub(super) const GONE: Failure = Failure {
    code: ErrorCode::NotAttached,
    text: "the connection is gone",
};

pub(super) fn fail<T>(code: ErrorCode, text: &'static str) -> Result<T, Failure> {
    Err(Failure { code, text })
}

impl Asked {
    pub(super) fn has_number(self) -> bool {
        matches!(self, Self::Numbered(_))
    }

    /// The frame that says it, if any does.
    pub(super) fn reply(self, reply: Reply) -> Option<ServerFrame> {
        let frame = match reply {
            Ok(Some(frame)) => frame,
            Ok(None) if self.has_number() => ServerFrame::Done,
            Ok(None) => return None,
            Err(Failure { code, text }) => ServerFrame::Error {
                code,
                text: text.to_owned(),
            },
        };
        Some(self.answer(frame))
    }

    pub(super) fn answer(self, frame: ServerFrame) -> ServerFrame {
        match self {
            Self::Plainly => frame,
            Self::Numbered(id) => ServerFrame::Answer(Answer {
                id,
                frame: Box::new(frame),
            }),
        }
    }
}
