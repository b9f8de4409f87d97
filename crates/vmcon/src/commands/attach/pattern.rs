//! A regular expression that is looked for in a stream, however it is cut into pieces.

use std::collections::VecDeque;

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::{start, syntax};

use crate::pattern::why_invalid;

/// How large the automaton of one pattern may be, in bytes: enough for some thousand characters.
const SIZE_LIMIT: usize = 1 << 20;
/// The newest bytes that are kept to find the automaton's state again.
const RECENT: usize = 4096;

/// Looks for a pattern byte by byte: it is seen as soon as what has come so far ends with a match.
///
/// It takes the same time and the same memory for each byte, whatever a guest prints.
#[derive(Debug)]
pub(super) struct Pattern {
    text: String,
    automaton: DFA,
    cache: Cache,
    state: Option<LazyStateID>,
    /// The last byte before those that are looked at.
    before: Option<u8>,
    recent: VecDeque<u8>,
}

impl Pattern {
    /// A pattern for bytes: `^` and `$` are the ends of lines, classes are those of ASCII.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let syntax = syntax::Config::new()
            .unicode(false)
            .utf8(false)
            .multi_line(true)
            .crlf(true);
        let automaton = DFA::builder()
            .syntax(syntax)
            .thompson(
                thompson::Config::new()
                    .utf8(false)
                    .nfa_size_limit(Some(SIZE_LIMIT)),
            )
            .build(text)
            .map_err(|error| why_invalid(&error))?;
        let mut pattern = Self {
            text: text.to_owned(),
            cache: automaton.create_cache(),
            automaton,
            state: None,
            before: None,
            recent: VecDeque::new(),
        };
        pattern.begin_after(None)?;
        Ok(pattern)
    }

    /// As it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Looks only at what comes after now; `before` is the last byte that came.
    pub(super) fn begin_after(&mut self, before: Option<u8>) -> Result<(), String> {
        self.before = before;
        self.recent.clear();
        self.state = Some(self.start()?);
        Ok(())
    }

    /// Looks at the next bytes. Returns how many of them come before the end of the first match;
    /// those after it were not looked at.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Option<usize> {
        bytes
            .iter()
            .enumerate()
            .find_map(|(index, &byte)| match self.step(byte)? {
                // The byte was only needed to know that the match ends before it.
                Seen::Before => Some(index),
                Seen::With => Some(index + 1),
            })
    }

    fn step(&mut self, byte: u8) -> Option<Seen> {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(byte);
        // It fails only if the cache had a limit for how often it is cleared.
        let state = self
            .automaton
            .next_state(&mut self.cache, self.state?, byte)
            .ok()?;
        self.state = Some(state);
        // A match is reported one byte late, since `$` and `\b` need the byte after it.
        if state.is_match() {
            return Some(Seen::Before);
        }
        let cleared = self.cache.clear_count();
        let end = self.automaton.next_eoi_state(&mut self.cache, state).ok()?;
        if self.cache.clear_count() != cleared {
            self.find_state_again();
        }
        end.is_match().then_some(Seen::With)
    }

    /// The cache was cleared, so the number of the state means nothing any more.
    fn find_state_again(&mut self) {
        self.state = self.start().ok();
        for &byte in &self.recent {
            let Some(state) = self.state else { return };
            self.state = self.automaton.next_state(&mut self.cache, state, byte).ok();
        }
    }

    fn start(&mut self) -> Result<LazyStateID, String> {
        let config = start::Config::new().look_behind(self.before);
        self.automaton
            .start_state(&mut self.cache, &config)
            .map_err(|error| error.to_string())
    }
}

/// Where a match ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Before,
    With,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Where the first match ends in `pieces` one after another.
    fn end(pattern: &str, pieces: &[&[u8]]) -> Option<usize> {
        let mut pattern = Pattern::new(pattern).unwrap();
        let mut before = 0;
        for piece in pieces {
            if let Some(at) = pattern.feed(piece) {
                return Some(before + at);
            }
            before += piece.len();
        }
        None
    }

    #[test]
    fn a_prompt_is_seen_before_anything_follows_it() {
        assert_eq!(end("login: ", &[b"vm login: "]), Some(10));
        assert_eq!(end("login: $", &[b"vm lo", b"gin: "]), Some(10));
        assert_eq!(end("^# ", &[b"a # b\r\n# "]), Some(9));
        assert_eq!(end(r"^up \d+ days$", &[b"up 12 days\r\n"]), Some(10));
        assert_eq!(end("[#$] $", &[b"uid# x"]), Some(5));
        assert_eq!(
            end("panic|Oops", &[b"\xff\xfe kernel pan", b"ic"]),
            Some(15)
        );
        assert_eq!(end("panic", &[b"all is well"]), None);
        assert_eq!(end("é", &["é".as_bytes()]), Some(2));
    }

    #[test]
    fn the_byte_after_a_match_can_be_what_ends_it() {
        assert_eq!(end(r"a\B", &[b"xa", b"b"]), Some(2));
    }

    #[test]
    fn what_cannot_be_looked_for_is_refused() {
        assert_eq!(Pattern::new("(").unwrap_err(), "unclosed group");
        assert!(Pattern::new("((a{1000}){1000}){1000}").is_err());
    }

    #[test]
    fn no_output_makes_it_grow() {
        let mut pattern = Pattern::new(r"[ab]*a[ab]{40}c").unwrap();
        let mut random = 1u32;
        let mut noise = Vec::new();
        for _ in 0..60_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            noise.push(if random >> 31 == 0 { b'a' } else { b'b' });
        }
        assert_eq!(pattern.feed(&noise), None);
        assert!(pattern.cache.clear_count() > 0, "the case is not reached");
        assert!(pattern.cache.memory_usage() < 8 << 20);
        let end = [b"a", &[b'b'; 40][..], b"c"].concat();
        assert_eq!(pattern.feed(&end), Some(42));
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_makes_no_difference(
            pattern in prop::sample::select(vec![
                "ab", "a+b?", "^a", "b$", r"\bb", r"a\B", "a|ab", "(a|b)*\n", "a.b", "$", "x*",
            ]),
            bytes in "[ab \r\n]{0,30}",
            cuts in prop::collection::vec(0usize..30, 0..4),
        ) {
            let bytes = bytes.as_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            prop_assert_eq!(end(pattern, &pieces), end(pattern, &[bytes]));
        }
    }
}
