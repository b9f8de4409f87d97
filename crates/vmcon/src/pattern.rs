//! Names by pattern, as shells have it, and why a regular expression is none.

use std::error::Error;

use regex::Regex;
use vm_console::instance::InstanceId;

use crate::failure::{Code, Failure};

/// A pattern for names: a part of the name, or with `*` and `?` all of it.
#[derive(Debug)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    pub(crate) fn new(pattern: &str) -> Result<Self, Failure> {
        let escaped = regex::escape(pattern);
        let expression = if pattern.contains(['*', '?']) {
            let body = escaped.replace(r"\*", ".*").replace(r"\?", ".");
            format!("(?is)^{body}$")
        } else {
            format!("(?i){escaped}")
        };
        let expression =
            Regex::new(&expression).map_err(|error| Failure::new(Code::Usage, error))?;
        Ok(Self(expression))
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }

    /// Whether an instance is meant, by its id or by its name for people.
    pub(crate) fn matches_instance(&self, id: &InstanceId, name: Option<&str>) -> bool {
        self.matches(id.as_str()) || name.is_some_and(|name| self.matches(name))
    }
}

/// Why a regular expression cannot be used, in one line. The libraries draw where in it on several
/// lines, and say last or in the error below why.
pub(crate) fn why_invalid(error: &dyn Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    let text = deepest.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_expression_is_explained_in_one_line() {
        let why = |pattern| why_invalid(&Regex::new(pattern).unwrap_err());
        assert_eq!(why("("), "unclosed group");
        assert_eq!(
            why("a**[z-a]"),
            "invalid character class range, the start must be <= the end"
        );
        assert!(why("a{100000}{100000}").contains("size limit"));
    }

    #[test]
    fn a_part_or_with_wildcards_all_of_a_name() {
        let matches = |pattern, name| Pattern::new(pattern).unwrap().matches(name);
        assert!(matches("web", "prod-WEB-1"));
        assert!(!matches("web*", "prod-web-1"));
        assert!(matches("*web-?", "prod-web-1"));
        assert!(!matches("*web-?", "prod-web-10"));
        assert!(matches("a.b", "a.b") && !matches("a.b", "axb"));
        assert!(matches("", "anything"));
        assert!(matches("[", "a[b"));
    }
}
