//! Replays register traces into our 16550A, or lets you talk to it.
//!
//! ```text
//! cargo run --release -p vm-uart --example replay -- FILE…
//! cargo run --release -p vm-uart --example replay -- -
//! ```
//!
//! With files (plain or gzip): prints for each file how many answers were the same, how many differ
//! by which named rule (`rules.rs` gives the reasons), and how many are unexplained. The first
//! unexplained answer is shown in context. If `NAME.out.gz` lies beside `NAME.replay.gz`, the bytes
//! sent are compared with it. Exits with 1 if anything is unexplained, and with 2 if a file cannot
//! be read or is no trace.
//!
//! With `-`: reads a script from standard input and prints the port's answers as lines of the
//! same format. There `r OFF`, `q`, `e` and `o` need no value.
//!
//! ```text
//! w OFF VAL   write a register          s NS        let nanoseconds pass
//! r OFF       read a register           q           interrupt line: its level
//! d HEX       characters arrive         e           and its rising edges since the last e
//! d B         a break arrives           o           bytes sent since the last o
//! R system    master reset              R fresh     power cycle
//! i HEX, b    ignored                   #           comment
//! ```

// The print macros panic when their reader is gone.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod device;
#[path = "../../tests/model/mod.rs"]
mod model;
mod rules;
mod script;
mod verdict;

use std::fmt::Display;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use device::Device;
use script::Chip;
use verdict::Verdict;

const UNEXPLAINED: u8 = 1;
const UNUSABLE: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let code = match arguments.as_slice() {
        [] => {
            complain("usage: replay FILE… | replay -");
            UNUSABLE
        }
        [dash] if dash.as_os_str() == "-" => {
            converse(io::stdin().lock(), io::stdout().lock()).unwrap_or_else(|error| {
                // The reader of our answers has gone.
                if error.kind() == io::ErrorKind::BrokenPipe {
                    return 0;
                }
                complain(format_args!("replay: {error}"));
                UNUSABLE
            })
        }
        files => files.iter().map(|file| report(file)).max().unwrap_or(0),
    };
    ExitCode::from(code)
}

/// A line on standard error. Nobody may be there to read it, and the exit code says it as well.
fn complain(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Answers a script line by line; the answer to a line that cannot be understood is an error line.
fn converse(mut script: impl BufRead, mut answers: impl Write) -> io::Result<u8> {
    let mut device = Device::new();
    let mut code = 0;
    let mut line = Vec::new();
    let mut number = 0;
    while script::next_line(&mut script, &mut line)? {
        number += 1;
        match script::parse(&line) {
            Ok((op, _)) => {
                if let Some(answer) = device.apply(&op) {
                    writeln!(answers, "{}", op.with_answer(&answer))?;
                }
            }
            Err(cause) => {
                writeln!(answers, "# error: line {number}: {cause}")?;
                code = UNUSABLE;
            }
        }
        answers.flush()?;
    }
    Ok(code)
}

/// Replays one file and prints the result.
fn report(file: &Path) -> u8 {
    let name = file.display();
    let verdict = match verdict::judge_file(file) {
        Ok(verdict) => verdict,
        Err(why) => {
            complain(format_args!("{name}: {why}"));
            return UNUSABLE;
        }
    };
    // A reader that has gone away does not change the verdict.
    let _: io::Result<()> = print(&verdict, &name, io::stdout().lock());
    if verdict.unexplained == 0 {
        0
    } else {
        UNEXPLAINED
    }
}

fn print(verdict: &Verdict, name: &impl Display, mut out: impl Write) -> io::Result<()> {
    let by_rule: u64 = verdict.explained.values().sum();
    let Verdict {
        same, unexplained, ..
    } = verdict;
    writeln!(
        out,
        "{name}: {same} same, {by_rule} differ by rule, {unexplained} unexplained"
    )?;
    for (rules, count) in &verdict.explained {
        let names: Vec<_> = rules.iter().map(|rule| rule.name()).collect();
        writeln!(out, "{count:>8}  {}", names.join(" + "))?;
    }
    if let Some(output) = &verdict.output {
        let sent = verdict.sent.len();
        match output.differs_from {
            None => writeln!(out, "{sent:>8}  bytes sent, as captured")?,
            Some(byte) => writeln!(
                out,
                "{sent:>8}  bytes sent, {} captured: they part at byte {byte}",
                output.captured
            )?,
        }
    }
    if let Some(context) = &verdict.first_unexplained {
        writeln!(out, "first unexplained:\n{context}")?;
    }
    Ok(())
}
