#![doc = include_str!("../../PROTOCOL.md")]

mod client_frames;
mod codec;
mod codes;
mod held;
mod power;
mod server_frames;
mod start;
mod status;
mod table;
mod value;

pub use client_frames::{AttachRequest, ClientFrame, ClientFrameKind, LogRequest};
pub use codec::{Decoder, FRAME_LIMIT, FrameError, RawFrame};
pub use codes::{EndCode, ErrorCode, RefusalCode};
pub use held::Held;
pub use power::PowerAction;
pub(crate) use server_frames::output_frame;
pub use server_frames::{
    Attached, LogData, Output, Refusal, ServerFrame, ServerFrameKind, SessionEnd, Warning,
};
pub use status::Status;

/// The protocol version spoken here.
pub const VERSION: u16 = 1;
