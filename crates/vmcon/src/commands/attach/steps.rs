//! `--expect` and `--send`, whose order among each other counts.

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::dialogue::Step;
use super::keys;
use super::pattern::Pattern;

/// What `--expect` and `--send` say, in the order in which they were given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Steps(Vec<Written>);

#[derive(Clone, Debug)]
enum Written {
    Expect(String),
    Send(String),
}

impl Steps {
    /// Whether anything is waited for.
    pub(super) fn expect_something(&self) -> bool {
        self.0.iter().any(|step| matches!(step, Written::Expect(_)))
    }

    /// Whether anything is typed.
    pub(super) fn send_something(&self) -> bool {
        self.0.iter().any(|step| matches!(step, Written::Send(_)))
    }

    /// Builds them. They were parsed before, so this does not fail.
    pub(super) fn build(&self) -> Result<Vec<Step>, String> {
        let build = |step: &Written| match step {
            Written::Expect(pattern) => {
                Pattern::new(pattern).map(|pattern| Step::Expect(Box::new(pattern)))
            }
            Written::Send(text) => keys::text(text).map(Step::Send),
        };
        self.0.iter().map(build).collect()
    }
}

/// The name of an argument, and what its values become.
type Kind = (&'static str, fn(String) -> Written);

const KINDS: [Kind; 2] = [("expect", Written::Expect), ("send", Written::Send)];

impl Args for Steps {
    fn augment_args(command: Command) -> Command {
        let step = |name: &'static str, value: &'static str| {
            Arg::new(name)
                .long(name)
                .value_name(value)
                .action(ArgAction::Append)
                .help_heading("Scripts")
        };
        command
            .arg(step("expect", "REGEX").value_parser(pattern).help(
                "Leave when the guest has printed this; exit code 10 if it does not in time",
            ))
            .arg(
                step("send", "TEXT")
                    .value_parser(typed)
                    .allow_hyphen_values(true)
                    .help(
                        "Type this; after an --expect, as soon as that was seen. Escapes as in C: \\r is Enter",
                    ),
            )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn pattern(text: &str) -> Result<String, String> {
    Pattern::new(text).map(|_| text.to_owned())
}

fn typed(text: &str) -> Result<String, String> {
    keys::text(text).map(|_| text.to_owned())
}

impl FromArgMatches for Steps {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut steps = Self::default();
        steps.update_from_arg_matches(matches)?;
        Ok(steps)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let mut placed: Vec<(usize, Written)> = Vec::new();
        for (name, written) in KINDS {
            if matches.value_source(name) != Some(ValueSource::CommandLine) {
                continue;
            }
            let values = matches
                .try_get_many::<String>(name)
                .map_err(|error| clap::Error::raw(ErrorKind::Io, error))?
                .into_iter()
                .flatten()
                .cloned();
            let at = matches.indices_of(name).into_iter().flatten();
            placed.extend(at.zip(values.map(written)));
        }
        placed.sort_by_key(|(place, _)| *place);
        self.0 = placed.into_iter().map(|(_, step)| step).collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        steps: Steps,
    }

    #[test]
    fn their_order_is_that_of_the_command_line() {
        let line = |arguments: &str| {
            let line = Line::try_parse_from(["x"].into_iter().chain(arguments.split(' ')));
            line.map(|line| line.steps.build().unwrap())
        };
        let steps = line("--send a --expect b --expect c --send=-d --expect e").unwrap();
        let shown: Vec<_> = steps
            .iter()
            .map(|step| match step {
                Step::Expect(pattern) => format!("expect {}", pattern.text()),
                Step::Send(bytes) => format!("send {}", String::from_utf8_lossy(bytes)),
            })
            .collect();
        assert_eq!(
            shown,
            ["send a", "expect b", "expect c", "send -d", "expect e"]
        );
        assert!(line("--expect (").is_err());
        assert!(line(r"--send \q").is_err());
        assert!(
            Line::try_parse_from(["x"])
                .unwrap()
                .steps
                .build()
                .unwrap()
                .is_empty()
        );
    }
}
