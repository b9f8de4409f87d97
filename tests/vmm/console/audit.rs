//! Audit events as lines of JSON, in a file or on standard error.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread::{self, JoinHandle};

use crossbeam_channel::Receiver;
use serde_json::{Value, json};
use vm_console::UnixTime;
use vm_console::audit::{AuditEvent, Audited};
use vm_console::session::Identity;

use crate::messages::say;
use crate::refusal;

/// Where audit events go.
pub(crate) enum AuditFile {
    StandardError,
    File(File),
}

impl AuditFile {
    /// Opens the file that `--audit` names, if any. It is made with mode 0600, and appended to.
    pub(super) fn open(path: Option<&Path>) -> Result<Option<Self>, String> {
        let Some(path) = path else { return Ok(None) };
        if path == Path::new("-") {
            return Ok(Some(Self::StandardError));
        }
        let mut options = OpenOptions::new();
        // Opening a FIFO must not wait for its reader.
        let nonblock = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        options
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(nonblock);
        let file = options.open(path).map_err(|e| {
            let wrong = format_args!("cannot open it: {e}");
            refusal::of("--audit", path, wrong, "choose another path")
        })?;
        Ok(Some(Self::File(file)))
    }

    /// Writes all events on a thread that ends with the service. The service never waits for it.
    pub(super) fn write(self, events: Receiver<AuditEvent>) -> io::Result<JoinHandle<()>> {
        thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || {
                for event in events {
                    self.write_line(&line(&event));
                }
            })
    }

    fn write_line(&self, line: &Value) {
        match self {
            Self::StandardError => say(format_args!("audit: {line}")),
            Self::File(file) => {
                if let Err(error) = (&*file).write_all(format!("{line}\n").as_bytes()) {
                    say(format_args!("audit: {error}; {line}"));
                }
            }
        }
    }
}

/// The event as one object: `at`, `console`, `event`, and what belongs to that.
fn line(event: &AuditEvent) -> Value {
    let mut line = what(&event.what);
    line["at"] = json!(UnixTime::from(event.at).to_string());
    line["console"] = json!(&*event.console);
    line
}

fn what(what: &Audited) -> Value {
    match what {
        Audited::Attached { who, forced } => {
            json!({ "event": "attached", "who": identity(who), "forced": forced })
        }
        Audited::Refused { who, why } => {
            json!({ "event": "refused", "who": identity(who), "why": why.to_string() })
        }
        Audited::Ended { who, why, held_for } => json!({
            "event": "ended",
            "who": identity(who),
            "why": why.to_string(),
            "held_for_ms": held_for.as_millis(),
        }),
        Audited::Observing { who } => json!({ "event": "observing", "who": identity(who) }),
        Audited::ObserverLeft { who, why } => {
            json!({ "event": "observer_left", "who": identity(who), "why": why.to_string() })
        }
        Audited::LogRead { who, from, to } => {
            json!({ "event": "log_read", "who": identity(who), "from": from, "to": to })
        }
        Audited::Warned { limit } => {
            json!({ "event": "warned", "limit": format!("{limit:?}").to_lowercase() })
        }
        Audited::Break { who } => json!({ "event": "break", "who": identity(who) }),
        Audited::Resized { columns, rows } => {
            json!({ "event": "resized", "columns": columns, "rows": rows })
        }
        Audited::Power { who, action } => json!({
            "event": "power",
            "who": identity(who),
            "action": format!("{action:?}").to_lowercase(),
        }),
        Audited::PoweredOn => json!({ "event": "powered_on" }),
        Audited::PoweredOff => json!({ "event": "powered_off" }),
        Audited::Boot { epoch } => json!({ "event": "boot", "epoch": epoch }),
        Audited::InputDiscarded { characters } => {
            json!({ "event": "input_discarded", "characters": characters })
        }
        Audited::ListenerPaused => json!({ "event": "listener_paused" }),
        other => json!({ "event": "other", "what": format!("{other:?}") }),
    }
}

/// What is known of a client. Its name has no control characters.
fn identity(who: &Identity) -> Value {
    let credentials = who.credentials();
    json!({
        "name": who.name(),
        "uid": credentials.map(|known| known.uid),
        "pid": credentials.map(|known| known.pid),
        "address": who.address().map(|address| address.to_string()),
        "transport": who.transport().to_string(),
    })
}
