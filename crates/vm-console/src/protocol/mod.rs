//! The control socket's frames.
//!
//! A control socket is a unix stream socket that carries frames both ways. A frame is a 32-bit length, a type byte and a
//! body; the length counts the type and the body, so it is at least 1 and at most [`FRAME_LIMIT`]. Numbers are
//! little-endian. `str` is a 16-bit length and that many bytes of UTF-8; `bytes` is whatever is left of the frame.
//!
//! Both sides begin with *hello*. The version spoken is the lower of the two; a frame type that the other side does not
//! know is answered with *error* (by the service) or skipped (by a client), never a reason to close. A length of 0, one
//! beyond the limit, or a body that does not parse is: the service answers *error* and closes, since nothing that follows
//! could be trusted to be in step.
//!
//! # From the client
//!
//! | type | frame | body |
//! |---|---|---|
//! | `0x01` | hello | `u16` version, `str` program |
//! | `0x02` | attach | `u8` flags (1 force, 2 read-only, 4 replay unguarded), `u8` start kind, `u64` start value, `str` name |
//! | `0x03` | attach the descriptor sent along (`SCM_RIGHTS`, a connected stream socket), to be served raw | as attach |
//! | `0x04` | data | `bytes` typed |
//! | `0x05` | break | – |
//! | `0x06` | resize hint | `u16` columns, `u16` rows; ignored unless from the holder |
//! | `0x07` | status | – |
//! | `0x08` | log read | `u32` id, `u8` start kind, `u64` start value, `u32` most bytes wanted |
//! | `0x09` | detach | – |
//! | `0x0a` | power | `u8` action: 1 stop, 2 start, 3 restart |
//!
//! Start kinds: 0 nothing, 1 everything kept, 2 the last *value* lines, 3 the last *value* bytes, 4 from offset *value*,
//! 5 this boot, 6 boot number *value*.
//!
//! # From the service
//!
//! | type | frame | body |
//! |---|---|---|
//! | `0x81` | hello | `u16` version, `str` console, `u64` head, `u64` epoch |
//! | `0x82` | attached | `u8` flags (2 read-only), `u64` start of replay, `u64` head, `u64` epoch |
//! | `0x83` | output | `u8` flags (1 replayed), `u64` offset, `u64` next offset, `bytes` |
//! | `0x84` | gap | `u64` from, `u64` to |
//! | `0x85` | warning | `u8` limit (1 idle, 2 absolute), `u64` milliseconds left |
//! | `0x86` | ended | `u8` reason, `u64` offset to resume at, `u64` epoch, `str` by whom, `str` text |
//! | `0x87` | refused | `u8` reason, `u64` held for and `u64` idle for (milliseconds), `str` holder, `str` text |
//! | `0x88` | status | `u8` flags (1 powered, 2 held, 4 boot log on), `u64` oldest, `u64` head, `u64` epoch, `u32` observers, `u64` held for and `u64` idle for (milliseconds), `str` console, `str` holder, then until the end: `str` counter, `u64` value |
//! | `0x89` | log data | `u32` id, `u64` start asked, `u64` start, `u64` next, `u64` oldest, `u64` head, `u64` epoch, `bytes` |
//! | `0x8a` | error | `u8` code, `str` text |
//! | `0x8b` | boot | `u64` epoch, `u64` offset at which it begins |
//!
//! In *output*, `next offset - offset` may exceed the number of bytes: the difference was taken out by the
//! [replay guard](crate::replay_guard). The next frame always goes on at `next offset`, or is a *gap* that begins there.
//! In *log data*, `start - start asked` is what had been overwritten already, so loss is visible; `next` is where to read
//! on, and at `next == head` there is no more for now.
//!
//! Reasons of *ended*: 0 client closed, 1 taken over, 2 idle, 3 maximum reached, 4 powered off, 5 too slow, 6 revoked,
//! 7 shutting down, 8 error. Reasons of *refused*: 0 busy, 1 powered off, 2 boot log off, 3 not permitted, 4 too many
//! observers, 5 shutting down. Codes of *error*: 1 frame malformed (closes), 2 type unknown, 3 not attached, 4 not
//! permitted, 5 already attached, 6 not supported here.

mod codec;
mod frames;

pub use codec::{Decoder, FRAME_LIMIT, FrameError, RawFrame};
pub(crate) use frames::output_frame;
pub use frames::{
    AttachRequest, ClientFrame, Held, LogData, Output, PowerAction, Refusal, ServerFrame,
    SessionEnd, Status, VERSION, Warning, error_code,
};
