//! Questions that are asked at a terminal, and their answers.
//!
//! An answer is a line. A single key would not do: whoever is typing when their console is taken
//! would answer without having read the question.

use vm_console::printable;
use vm_console::protocol::Held;

use crate::failure::in_use;

/// Longest line that is listened to.
const LINE_LIMIT: usize = 16;
const CONTROL_C: u8 = 3;
const CONTROL_D: u8 = 4;
const BACKSPACE: [u8; 2] = [8, 0x7f];

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Somebody else holds the console.
    InUse(Held),
    /// The console was taken away from this client.
    TakenOver {
        /// By whom.
        by: String,
    },
}

/// What the user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Take,
    Watch,
    Leave,
}

impl Question {
    /// The question, for the console of that name.
    pub(super) fn prompt(&self, console: &str) -> String {
        match self {
            Self::InUse(held) => format!(
                "{console}: {}\nTake the console from {}? [y]es, [w]atch, [N]o ",
                printable(&in_use(held), 512),
                short_name(&held.by)
            ),
            Self::TakenOver { by } => format!(
                "{console}: taken over by {}\n[w]atch, [t]ake back, [q]uit ",
                printable(by, 256)
            ),
        }
    }

    fn answer(&self, line: &str) -> Option<Answer> {
        let line = line.trim().to_ascii_lowercase();
        match (self, line.as_str()) {
            (_, "w" | "watch") => Some(Answer::Watch),
            (_, "q" | "quit" | "~.") | (Self::InUse(_), "" | "n" | "no") => Some(Answer::Leave),
            (Self::InUse(_), "y" | "yes")
            | (Self::TakenOver { .. }, "t" | "take" | "take back") => Some(Answer::Take),
            _ => None,
        }
    }
}

/// The name alone, without what the kernel says about the process.
fn short_name(by: &str) -> String {
    printable(by.split(" (").next().unwrap_or_default(), 128)
}

/// What a key that was typed at a question comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reaction {
    /// Show this, and wait for more.
    Show(&'static str),
    /// Show the key, and wait for more.
    Echo(u8),
    /// The line is no answer.
    AskAgain,
    /// The question is answered.
    Answered(Answer),
}

/// A question that waits for its answer.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    question: Question,
    line: String,
}

impl Asking {
    pub(super) fn new(question: Question) -> Self {
        Self {
            question,
            line: String::new(),
        }
    }

    pub(super) fn question(&self) -> &Question {
        &self.question
    }

    pub(super) fn key(&mut self, key: u8) -> Reaction {
        match key {
            b'\r' | b'\n' => {
                let line = std::mem::take(&mut self.line);
                self.question
                    .answer(&line)
                    .map_or(Reaction::AskAgain, Reaction::Answered)
            }
            CONTROL_C | CONTROL_D => Reaction::Answered(Answer::Leave),
            key if BACKSPACE.contains(&key) => {
                let had_one = self.line.pop().is_some();
                Reaction::Show(if had_one { "\x08 \x08" } else { "" })
            }
            key @ 0x20..0x7f if self.line.len() < LINE_LIMIT => {
                self.line.push(char::from(key));
                Reaction::Echo(key)
            }
            _ => Reaction::Show(""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn held(by: &str) -> Question {
        Question::InUse(Held {
            by: by.into(),
            held_for: Duration::from_secs(200),
            idle_for: Some(Duration::from_secs(65)),
        })
    }

    fn taken() -> Question {
        Question::TakenOver {
            by: "bob (uid 1)".into(),
        }
    }

    /// The answer, and how often the question was asked again before.
    fn typed(question: Question, keys: &str) -> (Option<Answer>, usize) {
        let mut asking = Asking::new(question);
        let mut again = 0;
        for key in keys.bytes() {
            match asking.key(key) {
                Reaction::Answered(answer) => return (Some(answer), again),
                Reaction::AskAgain => again += 1,
                Reaction::Show(_) | Reaction::Echo(_) => {}
            }
        }
        (None, again)
    }

    #[test]
    fn a_question_names_who_holds_the_console() {
        assert_eq!(
            held("ada (uid 1000, pid 42)").prompt("vm-7"),
            "vm-7: in use by ada (uid 1000, pid 42) for 3m20s, idle 1m05s\n\
             Take the console from ada? [y]es, [w]atch, [N]o "
        );
        assert_eq!(
            taken().prompt("vm-7"),
            "vm-7: taken over by bob (uid 1)\n[w]atch, [t]ake back, [q]uit "
        );
        assert!(!held("\x1b[2J").prompt("vm-7").contains('\x1b'));
    }

    #[test]
    fn an_answer_is_a_whole_line() {
        for (keys, answer) in [
            ("y\r", Answer::Take),
            ("yes\n", Answer::Take),
            ("W\r", Answer::Watch),
            ("\r", Answer::Leave),
            ("n\r", Answer::Leave),
            ("y\x03", Answer::Leave),
            ("nx\x7f\x08y\r", Answer::Take),
        ] {
            assert_eq!(typed(held("ada"), keys), (Some(answer), 0), "{keys:?}");
        }
        assert_eq!(typed(taken(), "t\r"), (Some(Answer::Take), 0));
        assert_eq!(typed(taken(), "q\r"), (Some(Answer::Leave), 0));
        assert_eq!(typed(taken(), "~.\r"), (Some(Answer::Leave), 0));
    }

    #[test]
    fn what_was_meant_for_the_guest_is_no_answer() {
        assert_eq!(typed(taken(), "cat watchlist\r\rw"), (None, 2));
        assert_eq!(typed(taken(), "y\rw\r"), (Some(Answer::Watch), 1));
        assert_eq!(typed(held("ada"), &"t".repeat(10_000)), (None, 0));
    }
}
