//! What is typed and waited for, in the order of the command line.

use std::collections::VecDeque;

use super::pattern::Pattern;

/// One thing to do.
#[derive(Debug)]
pub(super) enum Step {
    /// Go on when this was seen.
    Expect(Box<Pattern>),
    /// Type this.
    Send(Vec<u8>),
}

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Type this.
    Type(Vec<u8>),
    /// Tell that this pattern was seen.
    Tell(String),
}

/// The steps that are left.
#[derive(Debug, Default)]
pub(super) struct Dialogue {
    steps: VecDeque<Step>,
    last: Option<u8>,
}

impl Dialogue {
    pub(super) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            steps: steps.into_iter().collect(),
            last: None,
        }
    }

    /// Takes what is to be typed before anything more comes.
    pub(super) fn due(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        while let Some(Step::Send(bytes)) = self.steps.front_mut() {
            actions.push(Action::Type(std::mem::take(bytes)));
            self.steps.pop_front();
        }
        actions
    }

    /// Looks at output, and takes what is to be done because of it.
    pub(super) fn feed(&mut self, mut output: &[u8]) -> Vec<Action> {
        let mut actions = self.due();
        while let Some(Step::Expect(pattern)) = self.steps.front_mut() {
            let Some(end) = pattern.feed(output) else {
                break;
            };
            let (seen, rest) = output.split_at(end);
            self.last = seen.last().copied().or(self.last);
            output = rest;
            actions.push(Action::Tell(pattern.text().to_owned()));
            self.steps.pop_front();
            actions.extend(self.due());
            if let Some(Step::Expect(next)) = self.steps.front_mut() {
                // It was built before, and only its beginning changes.
                let _ = next.begin_after(self.last);
            }
        }
        self.last = output.last().copied().or(self.last);
        actions
    }

    /// The first pattern that was not seen yet.
    pub(super) fn missing(&self) -> Option<&str> {
        self.steps.iter().find_map(|step| match step {
            Step::Expect(pattern) => Some(pattern.text()),
            Step::Send(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn login() -> Dialogue {
        let expect = |pattern| Step::Expect(Box::new(Pattern::new(pattern).unwrap()));
        Dialogue::new([
            Step::Send(b"\r".to_vec()),
            expect("login: "),
            Step::Send(b"root\r".to_vec()),
            expect("^# "),
            expect("root"),
        ])
    }

    fn run(output: &[&[u8]]) -> (Vec<Action>, Option<String>) {
        let mut dialogue = login();
        let mut actions = dialogue.due();
        for piece in output {
            actions.extend(dialogue.feed(piece));
        }
        (actions, dialogue.missing().map(ToOwned::to_owned))
    }

    #[test]
    fn each_step_waits_for_the_one_before_it() {
        let (actions, missing) = run(&[b"root # vm-7 login: root\r\n# "]);
        let told = |text: &str| Action::Tell(text.into());
        let typed = |text: &str| Action::Type(text.into());
        assert_eq!(
            actions,
            [typed("\r"), told("login: "), typed("root\r"), told("^# ")]
        );
        assert_eq!(missing.as_deref(), Some("root"));
        let (_, missing) = run(&[b"login: # # login: \r\n# root"]);
        assert_eq!(missing, None);
        // The prompt at the end of what the last pattern was seen in begins no line.
        let (_, missing) = run(&[b"login: # "]);
        assert_eq!(missing.as_deref(), Some("^# "));
    }

    proptest! {
        #[test]
        fn how_the_output_is_cut_makes_no_difference(
            parts in prop::collection::vec(
                prop::sample::select(vec!["login: ", "root", "\r\n", "# ", "lo", "gin", "x"]),
                0..12,
            ),
            cut in 0usize..60,
        ) {
            let output = parts.concat().into_bytes();
            let cut = cut.min(output.len());
            prop_assert_eq!(run(&[&output]), run(&[&output[..cut], &output[cut..]]));
        }
    }
}
