#![doc = include_str!("../../PROTOCOL.md")]

mod client_frames;
mod codec;
mod codes;
mod held;
mod numbered;
mod place;
mod power;
mod server_frames;
mod status;
mod table;
mod value;

pub use client_frames::{AttachRequest, ClientFrame, ClientFrameKind, LogRequest, Request};
pub use codec::{Decoder, FRAME_LIMIT, FrameError, RawFrame};
pub use codes::{EndCode, ErrorCode, RefusalCode};
pub use held::Held;
pub use numbered::Numbered;
pub use power::PowerAction;
pub(crate) use server_frames::output_frame;
pub use server_frames::{
    Answer, Attached, LogData, Output, Refusal, ServerFrame, ServerFrameKind, SessionEnd, Warning,
};
pub use status::{Status, Status2};

/// The highest protocol version spoken here.
pub const VERSION: u16 = 2;
