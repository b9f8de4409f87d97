//! `attach`: a session at this terminal, or for a script.
//!
//! | module | what |
//! |---|---|
//! | `replay`, `keys`, `steps` | what the command line says |
//! | `session` | everything that happens, in one loop |
//! | `contact`, `resume` | getting a session, again if need be, at the right place |
//! | `link` | the connection with a session |
//! | `keyboard`, `questions`, `dialogue`, `pattern`, `silence` | what is typed, and scripts |
//! | `screen`, `sink`, `messages` | what is shown |
//! | `terminal`, `window` | the terminal, and its way back |
//! | `readiness` | waiting for all of them |

mod contact;
mod dialogue;
mod keyboard;
mod keys;
mod link;
mod messages;
mod pattern;
mod questions;
mod readiness;
mod replay;
mod resume;
mod screen;
mod session;
mod silence;
mod sink;
mod steps;
mod terminal;
mod window;

use std::io::{self, IsTerminal};
use std::time::Duration;

use vm_console::Start;
use vm_console::protocol::AttachRequest;

use super::Context;
use crate::failure::{Code, Failure};
use crate::output::Stop;
use crate::target::Target;
use contact::Plan;
use dialogue::Dialogue;
use keys::EscapeKey;
use resume::Resume;
use session::{Session, Settings};
use steps::Steps;

/// How long a pattern is waited for.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The silence after which a script is over.
const QUIET_TIME: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
#[command(after_long_help = HELP)]
pub(crate) struct Arguments {
    /// Which console
    console: Target,
    /// Take the console from whoever holds it
    #[arg(short, long, conflicts_with = "read_only")]
    force: bool,
    /// Only watch: nothing is typed, and nobody is disturbed
    #[arg(short, long)]
    read_only: bool,
    /// What to show first of what was printed before: all, none, a number of lines, boot, boot=N,
    /// or offset=N
    #[arg(long, value_name = "WHAT", default_value = "all", value_parser = replay::parse)]
    replay: Start,
    /// Wait for a machine that is off, and go on after power cycles, restarts of its VMM and lost
    /// connections
    #[arg(short, long)]
    wait: bool,
    /// Print nothing but what the console prints, and ask nothing
    #[arg(short, long)]
    quiet: bool,
    /// What begins an escape after Enter: a character, ^X, or none [default: ~ at a terminal]
    #[arg(long, value_name = "CHAR", value_parser = EscapeKey::parse)]
    escape: Option<EscapeKey>,
    /// The name that others see you by [default: your user's]
    #[arg(long)]
    name: Option<String>,
    /// Leave sequences in the replay that make a terminal type an answer
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    steps: Steps,
    /// How long all --expect may take [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, requires = "expect",
        help_heading = "Scripts")]
    timeout: Option<Duration>,
    /// After the end of standard input that is no terminal, leave when nothing was printed for
    /// this long [default: 1s; with --read-only never]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration,
        help_heading = "Scripts")]
    quiet_time: Option<Duration>,
}

const HELP: &str = "\
At a terminal, after Enter: ~. leaves, ~B sends BREAK, ~R resets the machine, ~? helps, ~~ types ~.
If somebody else holds the console you are asked whether to take it; if it is taken from you, whether
to watch or to take it back.

Standard input that is no terminal is typed as it is. With --expect and --send, in the order in which
they are given, the guest is answered:
  vmcon attach vm-7 --expect 'login: ' --send 'root\\r' --expect '# ' </dev/null

With --wait, what is typed at a terminal while nobody takes it is dropped, and you are told; the rest
of a script waits. Output that cannot be had any more is told at its place: [12345 bytes of output
lost]. After a takeover --wait waits until the console is free.";

pub(crate) fn run(context: &Context, arguments: Arguments) -> Result<(), Stop> {
    let console = arguments.console.to_string();
    if arguments.read_only && arguments.steps.send_something() {
        let text = "--read-only types nothing, so --send has no effect";
        return Err(Failure::new(Code::Usage, text).into());
    }
    let stdin_is_terminal = io::stdin().is_terminal();
    let request = AttachRequest {
        force: arguments.force,
        read_only: arguments.read_only,
        // With a terminal at neither end nothing answers the sequences of a replay.
        unguarded: arguments.raw || !stdin_is_terminal && !io::stdout().is_terminal(),
        name: arguments.name.unwrap_or_else(super::user),
        ..AttachRequest::default()
    };
    let escape = arguments.escape.unwrap_or(if stdin_is_terminal {
        EscapeKey::TILDE
    } else {
        EscapeKey(None)
    });
    let expects = arguments.steps.expect_something();
    let steps = arguments
        .steps
        .build()
        .map_err(|error| Failure::new(Code::Usage, error))?;
    let session = Session::new(Settings {
        console,
        plan: Plan {
            directory: context.directory.clone(),
            target: arguments.console,
            request,
            resume: Resume::new(arguments.replay),
            wait: arguments.wait,
            ask: stdin_is_terminal && io::stderr().is_terminal() && !arguments.quiet,
        },
        quiet: arguments.quiet,
        escape,
        dialogue: Dialogue::new(steps),
        timeout: expects.then(|| arguments.timeout.unwrap_or(TIMEOUT)),
        quiet_time: arguments
            .quiet_time
            .or_else(|| (!arguments.read_only).then_some(QUIET_TIME)),
        stdin_is_terminal,
    })?;
    session.run()
}
