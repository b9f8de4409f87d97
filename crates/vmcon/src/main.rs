//! `vmcon`: every serial console of a host, from a terminal.
//!
//! | module | what |
//! |---|---|
//! | `arguments` | the command line |
//! | `commands` | one file for each command |
//! | `target` | which console is meant: an instance, a socket, a log |
//! | `source`, `open_log` | logs to read, in files and over sockets |
//! | `connect` | connections to control sockets, with a bound on every wait |
//! | `failure` | exit codes, and the one shape of a failure |
//! | `held` | who holds a console, in words and for programs |
//! | `pattern` | names by pattern |
//! | `job` | the program as a job of its shell |
//! | `output`, `text` | what is written, and how it looks |
//! | `when` | points in time, as people write them |

mod arguments;
mod commands;
mod connect;
mod failure;
mod held;
mod job;
mod open_log;
mod output;
mod pattern;
mod source;
mod target;
mod text;
mod when;

use std::process::ExitCode;

use arguments::Arguments;
use output::{Stop, notice};

fn main() -> ExitCode {
    let result = Arguments::parse_line().and_then(|arguments| {
        let json = arguments.command.wants_json();
        commands::run(arguments).map_err(|stop| (stop, json))
    });
    match result {
        Ok(()) | Err((Stop::OutputGone, _)) => ExitCode::SUCCESS,
        Err((Stop::Told(code), _)) => ExitCode::from(code.exit()),
        Err((Stop::Failed(failure), json)) => {
            if json {
                notice(format_args!("{}\n", failure.to_json()));
            } else {
                notice(format_args!("vmcon: {failure}\n"));
            }
            ExitCode::from(failure.code.exit())
        }
    }
}
