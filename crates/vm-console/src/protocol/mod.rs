#![doc = include_str!("../../PROTOCOL.md")]

mod admission;
mod client_frames;
mod codec;
mod codes;
mod held;
mod history;
mod numbered;
mod place;
mod power;
mod server_frames;
mod status;
mod table;
mod value;

pub use admission::{Admission, Observer};
pub use client_frames::{
    AttachRequest, ClientFrame, ClientFrameKind, LogRequest, LogWait, MachineState, Request, SysRq,
};
pub use codec::{Decoder, FRAME_LIMIT, FrameError, RawFrame};
pub use codes::{EndCode, ErrorCode, MarkCode, RefusalCode};
pub use held::Held;
pub use history::{BootInfo, Boots, LineTimes, MarkInfo};
pub use numbered::Numbered;
pub use power::PowerAction;
pub(crate) use server_frames::output_frame;
pub use server_frames::{
    Answer, Attached, LogData, LogNews, Output, Refusal, ServerFrame, ServerFrameKind, SessionEnd,
    Warning,
};
pub use status::{Status, Status2, Status3, StatusDetails};

/// The highest protocol version spoken here.
pub const VERSION: u16 = 3;
