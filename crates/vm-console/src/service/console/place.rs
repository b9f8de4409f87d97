//! Whether a request begins where it asks to.

use super::ServedConsole;
use super::asked::{Asked, Failure, fail};
use crate::log::{BootLog, Fit, LogId, Start};
use crate::protocol::ErrorCode;

impl ServedConsole {
    /// Looks for `start` in the log, for as long as one step of a search may take. If it is not
    /// found by then, the next call goes on.
    pub(super) fn has_found(&self, start: Option<Start>) -> bool {
        start.is_none_or(|start| {
            let found = self
                .console
                .log
                .locate_within(start, BootLog::LOOKUP_BUDGET);
            found.is_some()
        })
    }

    /// The place where a request begins that asks for `start`, in the log `named`. A request with a
    /// number fails where one without is given something else in place of what it asked for.
    pub(super) fn place(
        &self,
        start: Start,
        named: Option<LogId>,
        asked: Asked,
    ) -> Result<Start, Failure> {
        let log = &self.console.log;
        if named.is_some() && named != log.id() {
            return fail(ErrorCode::AnotherLog, "the console has another log");
        }
        let is_exact = match start {
            Start::Boot(_) => asked.has_number(),
            Start::Offset(_) => asked.has_number() && named.is_some(),
            Start::Oldest | Start::Newest(_) | Start::Lines(_) | Start::ThisBoot | Start::Now => {
                false
            }
        };
        if !is_exact {
            return Ok(start);
        }
        let located = log.locate(start);
        match (located.fit, start) {
            (Fit::NotYet, _) => fail(ErrorCode::NotYet, "that has not come yet"),
            (Fit::Gone, Start::Boot(_)) => fail(ErrorCode::Gone, "that boot is not kept any more"),
            // Bytes that are gone are told as such, from the offset asked for on.
            (Fit::Gone | Fit::Exact, _) => Ok(Start::Offset(located.offset)),
        }
    }
}
