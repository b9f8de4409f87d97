//! The list as people read it.

use std::time::Duration;

use serde_json::{Value, json};
use vm_console::instance::{Instance, MachineState};
use vm_console::printable;
use vm_console::protocol::Status;

use super::look::Found;
use crate::held::{self, millis};
use crate::text::age::Age;
use crate::text::columns::{Cell, Columns};
use crate::text::style::Style;

/// Longest name or message in a cell, in bytes.
const CELL: usize = 256;

pub(super) fn render(found: &[Found], width: Option<usize>, coloured: bool) -> String {
    let headings = ["ID", "STATE", "HOLDER", "IDLE", "OBS", "BOOT", "OUTPUT"];
    let mut columns = Columns::new(headings, 2);
    for entry in found {
        columns.row(match entry {
            Found::Answers(instance, status) => answering(instance, status),
            Found::Silent(instance, failure) => other(
                instance.id.as_str(),
                "silent",
                Style::Yellow,
                &failure.message,
            ),
            Found::Gone(instance) => other(instance.id.as_str(), "gone", Style::Dim, ""),
            Found::Flawed(flaw) => {
                let name = printable(&flaw.name.to_string_lossy(), CELL);
                other(&name, "damaged", Style::Red, &flaw.to_string())
            }
        });
    }
    columns.render(width, coloured)
}

fn answering(instance: &Instance, status: &Status) -> [Cell; 7] {
    let state = MachineState::of(instance.liveness, status.powered);
    let style = if status.powered {
        Style::Green
    } else {
        Style::Dim
    };
    let held = status.holder.as_ref();
    let idle = held.map_or(String::new(), |held| {
        held.idle_for
            .map_or("never".to_owned(), |idle| Age(idle).to_string())
    });
    let age: Option<Duration> = status
        .details
        .as_ref()
        .and_then(|details| details.output_age);
    [
        instance.id.as_str().into(),
        Cell::new(state.as_str(), style),
        held.map_or(String::new(), |held| printable(&held.by, CELL))
            .into(),
        idle.into(),
        status.observers.into(),
        status.epoch.into(),
        age.map_or(String::new(), |age| format!("{} ago", Age(age)))
            .into(),
    ]
}

/// A row without a status: what is wrong stands where the holder would.
fn other(id: &str, state: &str, style: Style, why: &str) -> [Cell; 7] {
    let mut row: [Cell; 7] = Default::default();
    row[0] = id.into();
    row[1] = Cell::new(state, style);
    row[2] = Cell::new(printable(why, CELL), style);
    row
}

impl Found {
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Answers(instance, status) => {
                let details = status.details.as_ref();
                json!({
                    "id": instance.id,
                    "state": MachineState::of(instance.liveness, status.powered).as_str(),
                    "record": instance.record,
                    "holder": status.holder.as_ref().map(held::to_json),
                    "observers": status.observers,
                    "epoch": status.epoch,
                    "head": status.head,
                    "output_age_ms": details.and_then(|details| details.output_age).map(millis),
                })
            }
            Self::Silent(instance, failure) => json!({
                "id": instance.id,
                "state": "silent",
                "record": instance.record,
                "error": failure.to_json()["error"],
            }),
            Self::Gone(instance) => {
                json!({ "id": instance.id, "state": "gone", "record": instance.record })
            }
            Self::Flawed(flaw) => json!({
                "id": flaw.name.to_string_lossy(),
                "state": "damaged",
                "error": { "code": flaw.kind.key(), "message": flaw.to_string() },
            }),
        }
    }
}
