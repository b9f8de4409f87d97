//! How version 1 of the protocol tells which frame answers a request.
//!
//! Its frames name no request. The service answers in order, so the first frame that can be an
//! answer is the answer. An error is one only if the request can fail in that way: others belong to
//! what was typed before.

use crate::protocol::{ClientFrame, ClientFrameKind, ErrorCode, ServerFrame, ServerFrameKind};

/// The frame that answers a request of this kind if it succeeds; `None` if only errors are told.
/// Kinds that later versions add are never asked for in this way.
pub(super) fn answer_to(request: ClientFrameKind) -> Option<ServerFrameKind> {
    match request {
        ClientFrameKind::Hello => Some(ServerFrameKind::Hello),
        ClientFrameKind::Attach | ClientFrameKind::AttachDescriptor => {
            Some(ServerFrameKind::Attached)
        }
        ClientFrameKind::Status => Some(ServerFrameKind::Status),
        ClientFrameKind::LogRead => Some(ServerFrameKind::LogData),
        _ => None,
    }
}

/// Whether `frame` answers `request`. A request that has no answer is followed by a status request,
/// and is known to have succeeded when the status comes without an error before it.
pub(super) fn answers(request: &ClientFrame, frame: &ServerFrame) -> bool {
    let kind = request.kind();
    match (request, frame) {
        (_, ServerFrame::Error { code, .. }) => fails_with(kind, *code),
        (ClientFrame::LogRead(request), ServerFrame::LogData(data)) => request.id == data.id,
        (_, ServerFrame::Refused(_)) => answer_to(kind) == Some(ServerFrameKind::Attached),
        _ => frame.kind() == answer_to(kind).unwrap_or(ServerFrameKind::Status),
    }
}

fn fails_with(request: ClientFrameKind, code: ErrorCode) -> bool {
    use ClientFrameKind as Kind;
    match code {
        ErrorCode::NotAttached => matches!(request, Kind::Data | Kind::Break | Kind::Detach),
        ErrorCode::AlreadyAttached => matches!(request, Kind::Attach | Kind::AttachDescriptor),
        ErrorCode::NotPermitted => matches!(
            request,
            Kind::Hello | Kind::AttachDescriptor | Kind::LogRead | Kind::Power
        ),
        ErrorCode::NotSupported => matches!(request, Kind::AttachDescriptor | Kind::Power),
        _ => true,
    }
}
