//! The pattern that marks a console.

use regex::bytes::{Regex, RegexBuilder};

use super::tail::last_lines;
use crate::failure::{Code, Failure};
use crate::pattern::why_invalid;

/// What a guest in trouble prints.
pub(super) const DEFAULT: &str = "panic|Oops|BUG:|Call Trace|Out of memory";

/// How far back a match may begin that new output completes.
pub(super) const OVERLAP: u64 = 256;

/// Looks for the pattern.
#[derive(Debug)]
pub(super) struct Alerts(Regex);

impl Alerts {
    pub(super) fn new(pattern: &str) -> Result<Self, Failure> {
        RegexBuilder::new(pattern)
            .multi_line(true)
            .build()
            .map(Self)
            .map_err(|error| {
                Failure::new(
                    Code::Usage,
                    format_args!("--alert: {}", why_invalid(&error)),
                )
            })
    }

    /// The line in `output` of the first match that ends beyond its first `seen` bytes.
    pub(super) fn search(&self, output: &[u8], seen: usize) -> Option<String> {
        let found = self
            .0
            .find_iter(output)
            .find(|found| found.end() > seen && !found.is_empty())?;
        let begin = output[..found.start()]
            .iter()
            .rposition(|byte| *byte == b'\n');
        let end = output[found.end()..].iter().position(|byte| *byte == b'\n');
        let begin = begin.map_or(0, |at| at + 1);
        let end = end.map_or(output.len(), |at| found.end() + at);
        last_lines(&output[begin..end], 1).pop()
    }

    /// Whether the pattern is in a line.
    pub(super) fn mark(&self, line: &str) -> bool {
        self.0.is_match(line.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_counts_if_new_output_completes_it() {
        let alerts = Alerts::new(DEFAULT).unwrap();
        let output =
            b"fine\r\n[1.0] Kernel pan\x1b[31mic is not it\r\n[2.0] Kernel panic - x\r\nend";
        let line = Some("[2.0] Kernel panic - x".to_owned());
        assert_eq!(alerts.search(output, 0), line);
        let end = output.len() - b" - x\r\nend".len();
        assert_eq!(alerts.search(output, end - 1), line);
        assert_eq!(alerts.search(output, end), None);
    }

    #[test]
    fn a_wrong_pattern_is_refused_in_one_line() {
        let failure = Alerts::new("a(").unwrap_err();
        assert_eq!(failure.message, "--alert: unclosed group");
        // It matches everywhere, which says nothing.
        assert_eq!(Alerts::new("x*").unwrap().search(b"abc", 0), None);
    }
}
