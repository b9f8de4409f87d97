//! What is on the screen, and how it changes by what is found and by keys. Nothing here reads or
//! writes.

mod arrangement;

use std::collections::BTreeMap;
use std::time::Instant;

use ratatui::layout::Size;
use vm_console::instance::InstanceId;

use super::alerts::{Alerts, OVERLAP};
use super::tail::last_lines;
use super::tile::{Alert, Answer, Entry, Line, State, Tile};

/// Lines that are kept of each console on the screen. No tile is higher.
const LINES: usize = 100;

/// The newest output of a console.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Newest {
    pub(super) bytes: Vec<u8>,
    /// The offset after the last of them.
    pub(super) end: u64,
    /// How often the machine was started.
    pub(super) epoch: u64,
}

/// Which tile comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    #[default]
    Id,
    Rate,
    Alert,
}

/// What is shown above the tiles or in place of the last line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    Tiles,
    /// The filter is being typed.
    Filter,
    Help,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) alerts: Alerts,
    pub(super) tiles: BTreeMap<InstanceId, Tile>,
    /// Those that pass the filter, in order.
    pub(super) shown: Vec<InstanceId>,
    pub(super) selected: Option<InstanceId>,
    pub(super) order: Order,
    pub(super) filter: String,
    pub(super) mode: Mode,
    /// Entries of the directory that are no instances.
    pub(super) damaged: usize,
    /// What the last line says instead of the keys.
    pub(super) message: Option<String>,
    /// The room for tiles.
    room: Size,
    /// The first row of tiles on the screen.
    top: usize,
    alerts_ever: u64,
    settled: Option<Instant>,
    has_listed: bool,
    is_changed: bool,
}

impl Model {
    pub(super) fn new(alerts: Alerts, filter: String) -> Self {
        Self {
            alerts,
            tiles: BTreeMap::new(),
            shown: Vec::new(),
            selected: None,
            order: Order::default(),
            filter,
            mode: Mode::default(),
            damaged: 0,
            message: None,
            room: Size::default(),
            top: 0,
            alerts_ever: 0,
            settled: None,
            has_listed: false,
            is_changed: true,
        }
    }

    /// Whether the screen would look different than when this was asked last.
    pub(super) fn take_change(&mut self) -> bool {
        std::mem::take(&mut self.is_changed)
    }

    pub(super) fn change(&mut self) {
        self.is_changed = true;
    }

    /// How many alerts there ever were.
    pub(super) fn alerts_ever(&self) -> u64 {
        self.alerts_ever
    }

    /// How many consoles wait to be looked at.
    pub(super) fn waiting(&self) -> usize {
        self.tiles.values().filter(|t| t.alert.is_some()).count()
    }

    /// The directory was read.
    pub(super) fn list(&mut self, entries: Vec<(InstanceId, Entry)>, damaged: usize) {
        let mut before = std::mem::take(&mut self.tiles);
        let count = before.len();
        let mut is_same = self.has_listed && self.damaged == damaged;
        for (id, entry) in entries {
            let tile = if let Some(mut tile) = before.remove(&id) {
                is_same &= tile.entry == entry;
                tile.replace(entry);
                tile
            } else {
                is_same = false;
                let mut tile = Tile::new(id.clone(), entry);
                // All that a console which came later has printed is new.
                tile.output.head = self.has_listed.then_some(0);
                tile
            };
            self.tiles.insert(id, tile);
        }
        self.damaged = damaged;
        self.has_listed = true;
        if !is_same || self.tiles.len() != count {
            self.arrange();
        }
    }

    /// A console's VMM was asked.
    pub(super) fn answered(&mut self, id: &InstanceId, incarnation: u64, answer: Answer) {
        let Some(tile) = self.tiles.get_mut(id) else {
            return;
        };
        let answer = Some(answer);
        if tile.entry.incarnation == incarnation && tile.answer != answer {
            tile.answer = answer;
            self.is_changed = true;
        }
    }

    /// A console has printed `head` bytes so far. `newest` reads the newest of them if they are
    /// needed, and if that is possible.
    pub(super) fn look(
        &mut self,
        id: &InstanceId,
        head: u64,
        is_visible: bool,
        now: Instant,
        newest: impl FnOnce() -> Option<Newest>,
    ) {
        let Some(tile) = self.tiles.get_mut(id) else {
            return;
        };
        let searched = tile.output.head;
        let was_quiet = tile.output.rate.is_quiet();
        let has_more = tile.has_come_to(head, now);
        self.is_changed |= is_visible && !(was_quiet && tile.output.rate.is_quiet());
        if !(has_more && searched.is_some() || is_visible && tile.output.is_stale()) {
            return;
        }
        let Some(Newest {
            bytes,
            end: head,
            epoch,
        }) = newest()
        else {
            return;
        };
        tile.output.head = Some(head);
        tile.output.epoch = Some(epoch);
        // What a console had printed before this program came is no alert.
        if let Some(searched) = searched.filter(|_| has_more) {
            let searched = if searched > head { 0 } else { searched };
            let fresh = usize::try_from(head - searched).unwrap_or(usize::MAX);
            let old = bytes.len().saturating_sub(fresh);
            let from = old.saturating_sub(OVERLAP as usize);
            let found = self.alerts.search(&bytes[from..], old - from);
            // The first is the cause; what follows belongs to it until somebody looks.
            if let (Some(line), None) = (found, &tile.alert) {
                self.alerts_ever += 1;
                let number = self.alerts_ever;
                tile.alert = Some(Alert { line, number });
                self.is_changed = true;
                if self.order == Order::Alert {
                    self.settled = None;
                }
            }
        }
        if is_visible {
            let lines = last_lines(&bytes, LINES);
            let line = |text: String| Line {
                is_marked: self.alerts.mark(&text),
                text,
            };
            tile.output.lines = lines.into_iter().map(line).collect();
            tile.output.lines_at = Some(head);
            tile.output.trouble = None;
            self.is_changed = true;
        }
    }

    /// A console's output cannot be read.
    pub(super) fn cannot_look(&mut self, id: &InstanceId, why: String) {
        if let Some(tile) = self.tiles.get_mut(id) {
            let why = Some(why);
            self.is_changed |= tile.output.trouble != why;
            tile.output.trouble = why;
        }
    }

    /// How many machines are in a state.
    pub(super) fn count(&self, state: State) -> usize {
        self.tiles.values().filter(|t| t.state() == state).count()
    }
}
