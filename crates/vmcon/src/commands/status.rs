//! `status`: who holds a console, its limits, and its counters.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use vm_console::instance::{Liveness, MachineState};
use vm_console::printable;
use vm_console::protocol::{Held, Observer, Status, StatusDetails};

use super::Context;
use crate::held::{self, millis};
use crate::output::{Stop, print, print_json};
use crate::target::{Console, Target};
use crate::text::age::Age;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Which console
    console: Target,
    /// One object for programs, with every counter
    #[arg(long)]
    pub(crate) json: bool,
    /// Counters that are zero, too
    #[arg(short, long)]
    all: bool,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<(), Stop> {
    let console = context.find(&arguments.console)?;
    let mut client = console.connect()?;
    let status = client.status().map_err(|error| console.failed(error))?;
    let observers = client.observers().unwrap_or_default();
    if arguments.json {
        print_json(&to_json(&console, &status, &observers))
    } else {
        print(describe(&console, &status, &observers, arguments.all))
    }
}

fn describe(console: &Console, status: &Status, observers: &[Observer], all: bool) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Nothing that is written to a string fails.
        let _ = writeln!(text, "{name:<10} {value}");
    };
    let details = status.details.as_ref();
    let since =
        |age: Option<Duration>| age.map_or(String::new(), |age| format!(" for {}", Age(age)));
    line("console", console.name().to_owned());
    line(
        "machine",
        format!(
            "{}{}, boot {}",
            state(status),
            since(details.and_then(|d| d.machine_age)),
            status.epoch
        ),
    );
    line(
        "holder",
        status.holder.as_ref().map_or("nobody".to_owned(), holder),
    );
    for observer in observers {
        let behind = match observer.behind {
            0 => String::new(),
            behind => format!(", {behind} bytes behind"),
        };
        let who = printable(&observer.who, 256);
        line(
            "observer",
            format!("{who} for {}{behind}", Age(observer.observing_for)),
        );
    }
    let output = details.and_then(|details| details.output_age);
    line(
        "output",
        format!(
            "{} bytes, {} kept{}",
            status.head,
            status.head - status.oldest.min(status.head),
            output.map_or(String::new(), |age| format!(", the last {} ago", Age(age)))
        ),
    );
    line(
        "boot log",
        if status.boot_log { "on" } else { "off" }.to_owned(),
    );
    if let Some(details) = details {
        let limit = |limit: Option<Duration>, left: Option<Duration>| match (limit, left) {
            (None, _) => "none".to_owned(),
            (Some(limit), None) => Age(limit).to_string(),
            (Some(limit), Some(left)) => format!("{}, {} left", Age(limit), Age(left)),
        };
        line("idle limit", limit(details.idle_limit, details.idle_left));
        line(
            "longest",
            limit(details.absolute_limit, details.absolute_left),
        );
        line(
            "clients",
            format!("{} of {}", details.connections, details.max_connections),
        );
        if details.input_waiting > 0 {
            line(
                "input",
                format!("{} bytes wait for the guest", details.input_waiting),
            );
        }
    }
    for (name, value) in &status.counters {
        if all || *value > 0 {
            let _ = writeln!(text, "{value:>14}  {}", printable(name, 80));
        }
    }
    text
}

fn holder(held: &Held) -> String {
    held::in_words(&printable(&held.by, 256), held)
}

/// As `vmcon ls` has it: whoever answers lives.
fn state(status: &Status) -> &'static str {
    MachineState::of(Liveness::Live, status.powered).as_str()
}

fn to_json(console: &Console, status: &Status, observers: &[Observer]) -> Value {
    let details = status.details.as_ref();
    let of = |get: fn(&StatusDetails) -> Option<Duration>| details.and_then(get).map(millis);
    json!({
        "console": status.console,
        "id": console.id(),
        "state": state(status),
        "holder": status.holder.as_ref().map(held::to_json),
        "observers": observers.iter().map(|observer| json!({
            "name": observer.who,
            "observing_for_ms": millis(observer.observing_for),
            "behind": observer.behind,
            "replaying": observer.replaying,
        })).collect::<Vec<_>>(),
        "boot_log": status.boot_log,
        "log": status.log.map(|log| log.to_string()),
        "oldest": status.oldest,
        "head": status.head,
        "epoch": status.epoch,
        "output_age_ms": of(|details| details.output_age),
        "machine_age_ms": of(|details| details.machine_age),
        "idle_limit_ms": of(|details| details.idle_limit),
        "idle_left_ms": of(|details| details.idle_left),
        "absolute_limit_ms": of(|details| details.absolute_limit),
        "absolute_left_ms": of(|details| details.absolute_left),
        "counters": status.counters.iter().map(|(name, value)| (name.clone(), (*value).into()))
            .collect::<serde_json::Map<_, _>>(),
    })
}
