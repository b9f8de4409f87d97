//! Who holds a console, in words and for programs.

use std::time::Duration;

use serde_json::{Value, json};
use vm_console::protocol::Held;

use crate::text::age::Age;

/// Since when `held` lasts, and for how long nothing was typed; `by` is the holder's name as it is
/// to be shown.
pub(crate) fn in_words(by: &str, held: &Held) -> String {
    let idle = match held.idle_for {
        None => "nothing typed yet".to_owned(),
        Some(idle) => format!("idle {}", Age(idle)),
    };
    format!("{by} for {}, {idle}", Age(held.held_for))
}

/// The same as an object.
pub(crate) fn to_json(held: &Held) -> Value {
    json!({
        "name": held.by,
        "held_for_ms": millis(held.held_for),
        "idle_for_ms": held.idle_for.map(millis),
    })
}

/// A span of time as JSON has it.
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
