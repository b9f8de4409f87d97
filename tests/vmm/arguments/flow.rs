//! What clients see of the output, how fast, and what becomes of their input.

use std::time::Duration;

use clap::{Args, ValueEnum};
use vm_console::{DropLimit, GapPolicy, RateLimit, Start};

use super::values::{bytes, drop_limit, rate_limit, start, time};

#[derive(Debug, Args)]
#[command(next_help_heading = "Input and output rules")]
pub(crate) struct FlowArguments {
    /// Where output begins for a client that asks for no place: oldest, now, boot (the present one),
    /// boot:N, lines:N, bytes:N (the newest), offset:N [default: oldest]
    #[arg(long, value_name = "PLACE", value_parser = start)]
    pub(crate) replay: Option<Start>,

    /// Replay sequences too that make a terminal type
    #[arg(long)]
    pub(crate) no_replay_guard: bool,

    /// What a client sees where it missed output [default: note]
    #[arg(long, value_name = "POLICY")]
    pub(crate) gaps: Option<Gaps>,

    /// Send raw clients the guest's output only, and no lines about their session
    #[arg(long)]
    pub(crate) no_notices: bool,

    /// Delay output to each client: bytes a second, and at once after a pause [default of BURST: RATE]
    #[arg(long, value_name = "RATE[,BURST]", value_parser = rate_limit)]
    #[arg(allow_negative_numbers = true)]
    pub(crate) rate_limit: Option<RateLimit>,

    /// Drop output to each client that is over a limit; ONCE more bytes for each connection
    #[arg(long, value_name = "RATE[,BURST[,ONCE]]", value_parser = drop_limit)]
    #[arg(allow_negative_numbers = true)]
    pub(crate) drop_limit: Option<DropLimit>,

    /// End the session of a client that is more than so many bytes behind
    #[arg(long, value_name = "BYTES", value_parser = bytes, allow_negative_numbers = true)]
    pub(crate) max_behind: Option<u64>,

    /// The guest waits for a slow client for at most so long at a time, such as 5ms
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) lossless: Option<Duration>,

    /// How far a client may be behind before the guest waits for it [default: 65536]
    #[arg(long, value_name = "BYTES", value_parser = bytes, requires = "lossless")]
    #[arg(allow_negative_numbers = true)]
    pub(crate) lossless_window: Option<u64>,

    /// Type a carriage return for each newline of a raw client that follows none
    #[arg(long)]
    pub(crate) newline_as_return: bool,
}

/// What a client sees where it missed output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Gaps {
    /// A line that says how much
    Note,
    /// Nothing
    Silent,
    /// The end of its session
    Disconnect,
}

impl From<Gaps> for GapPolicy {
    fn from(gaps: Gaps) -> Self {
        match gaps {
            Gaps::Note => Self::Note,
            Gaps::Silent => Self::Silent,
            Gaps::Disconnect => Self::Disconnect,
        }
    }
}
