//! Names by pattern, as shells have it.

use regex::Regex;

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
}

#[cfg(test)]
mod tests {
    use super::*;

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
