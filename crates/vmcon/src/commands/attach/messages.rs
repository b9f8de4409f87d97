//! What the user is told during a session. Every text is fit for a terminal.

use std::time::Duration;

use vm_console::instance::{Liveness, MachineState};
use vm_console::printable;

use super::contact::Arrival;
use super::keys::EscapeKey;
use crate::failure::{Code, Failure};
use crate::text::age::Age;

/// Longest text of a service or a VMM that is shown.
const TEXT_LIMIT: usize = 512;

/// What was typed goes nowhere.
pub(super) const DROPPED: &str = "[nobody takes what you type for now; it is dropped]";
/// So does what an observer types.
pub(super) const ONLY_WATCHING: &str = "[only watching: what you type is dropped]";
/// Some of the input had not left this program.
pub(super) const UNSENT: &str = "[input that was not sent yet is dropped]";

/// A session has begun; `keys` are told to people.
pub(super) fn attached(console: &str, arrival: &Arrival, keys: Option<EscapeKey>) -> String {
    let attached = arrival.attached;
    greeting(
        console,
        attached.read_only,
        attached.epoch,
        arrival.powered,
        keys,
    )
}

fn greeting(
    console: &str,
    read_only: bool,
    epoch: u64,
    powered: bool,
    keys: Option<EscapeKey>,
) -> String {
    let done = if read_only { "watching" } else { "attached to" };
    let state = MachineState::of(Liveness::Live, powered);
    let helps = match keys {
        Some(key @ EscapeKey(Some(_))) => format!("; Enter {key} . leaves, Enter {key} ? helps"),
        _ => String::new(),
    };
    format!("{done} {console} (boot {epoch}, {state}){helps}")
}

/// What the escapes do.
pub(super) fn help(key: EscapeKey) -> String {
    format!(
        "[after Enter: {key}. leaves  {key}B BREAK  {key}R reset  {key}? help  \
         {key}{key} types {key}]"
    )
}

/// How somebody who waits can leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WayOut {
    /// As was told when the session began.
    Known,
    /// By Ctrl-C or an escape: there is no guest yet that Ctrl-C would be for.
    Keys(EscapeKey),
    /// There is no keyboard.
    None,
}

/// Why nothing comes for now.
pub(super) fn waiting(console: &str, why: &Failure, way_out: WayOut) -> String {
    let reason = match why.code {
        Code::PoweredOff if way_out == WayOut::Known => {
            format!("{console} is off; waiting for it to start")
        }
        Code::PoweredOff => format!("waiting for {console} to start"),
        _ => format!("waiting: {why}"),
    };
    match way_out {
        WayOut::Keys(key @ EscapeKey(Some(_))) => {
            format!("[{reason}; Ctrl-C or Enter {key} . leaves]")
        }
        WayOut::Keys(_) => format!("[{reason}; Ctrl-C leaves]"),
        WayOut::Known | WayOut::None => format!("[{reason}]"),
    }
}

/// Output that nobody will see here.
pub(super) fn lost(bytes: u64) -> String {
    format!("[{bytes} bytes of output lost]")
}

/// The offsets that are known say nothing about the log that is there now.
pub(super) fn another_log(console: &str) -> String {
    format!(
        "[{console} has another log now, shown from its beginning; \
         how much the old one had printed since is not known]"
    )
}

/// A limit comes up.
pub(super) fn ends_in(remaining: Duration) -> String {
    // To the nearest second: it was sent a moment ago.
    let remaining = Duration::from_secs((remaining.as_millis() + 500) as u64 / 1000);
    format!("[the session ends in {}]", Age(remaining))
}

/// The guest was reset.
pub(super) fn boot(epoch: u64) -> String {
    format!("[boot {epoch}]")
}

/// What the service says.
pub(super) fn said(text: &str) -> String {
    format!("[{}]", printable(text, TEXT_LIMIT))
}

/// A pattern was seen.
pub(super) fn seen(pattern: &str) -> String {
    format!("[seen: {}]", printable(pattern, TEXT_LIMIT))
}

/// What the title of the terminal's window is.
pub(super) fn title(console: &str) -> String {
    format!("{} - vmcon", printable(console, 128))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_says_how_to_leave() {
        assert_eq!(
            greeting("vm-7", false, 3, true, Some(EscapeKey::TILDE)),
            "attached to vm-7 (boot 3, running); Enter ~ . leaves, Enter ~ ? helps"
        );
        assert_eq!(
            greeting("vm-7", true, 3, false, Some(EscapeKey(None))),
            "watching vm-7 (boot 3, stopped)"
        );
    }

    #[test]
    fn the_keys_fit_in_a_line_of_80_columns() {
        for key in [EscapeKey::TILDE, EscapeKey(Some(0x1d))] {
            assert!(help(key).len() <= 80, "{}", help(key));
        }
    }

    #[test]
    fn texts_of_others_control_no_terminal() {
        for text in [said("\x1b[2J\n"), seen("\x1b\x07"), title("\x1b]0;x\x07")] {
            assert!(text.chars().all(|c| !c.is_control()), "{text:?}");
        }
    }
}
