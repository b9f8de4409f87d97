//! Which tiles are shown, in which order, and which of them are on the screen.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use ratatui::layout::Size;
use vm_console::instance::InstanceId;

use super::{Model, Order};
use crate::commands::top::grid::Grid;
use crate::commands::top::tile::Tile;
use crate::pattern::Pattern;

/// How often an order by rate may change.
const SETTLE: Duration = Duration::from_secs(2);

impl Model {
    /// Puts the tiles in order again if that is due.
    pub(in crate::commands::top) fn settle(&mut self, now: Instant) {
        let is_settled = |then| now.duration_since(then) < SETTLE;
        if self.order != Order::Id && !self.settled.is_some_and(is_settled) {
            self.settled = Some(now);
            self.arrange();
        }
    }

    /// Finds again what is shown, and in which order. The selected tile stays selected.
    pub(in crate::commands::top) fn arrange(&mut self) {
        let pattern = Pattern::new(&self.filter);
        let passes = |tile: &&Tile| {
            let name = tile.entry.name.as_deref();
            pattern
                .as_ref()
                .is_ok_and(|pattern| pattern.matches_instance(&tile.id, name))
        };
        let mut shown: Vec<_> = self.tiles.values().filter(passes).collect();
        match self.order {
            Order::Id => {}
            Order::Rate => shown.sort_by_key(|t| Reverse(t.output.rate.magnitude())),
            Order::Alert => {
                shown.sort_by_key(|t| t.alert.as_ref().map_or(u64::MAX, |alert| alert.number));
            }
        }
        let place = self.place();
        self.shown = shown.into_iter().map(|tile| tile.id.clone()).collect();
        if self.place_of_selected().is_none() {
            // The one that has come to its place.
            let place = place.min(self.shown.len().saturating_sub(1));
            self.selected = self.shown.get(place).cloned();
        }
        self.scroll();
        self.is_changed = true;
    }

    fn place_of_selected(&self) -> Option<usize> {
        let selected = self.selected.as_ref()?;
        self.shown.iter().position(|id| id == selected)
    }

    /// Where in the order the selected tile is.
    pub(in crate::commands::top) fn place(&self) -> usize {
        self.place_of_selected().unwrap_or(0)
    }

    /// Selects the tile at this place of the order, or the last one. Whoever goes on from a tile
    /// has looked at it.
    pub(in crate::commands::top) fn select(&mut self, place: usize) {
        let place = place.min(self.shown.len().saturating_sub(1));
        let selected = self.shown.get(place).cloned();
        if selected != self.selected {
            self.look_at_selected();
        }
        self.selected = selected;
        self.scroll();
        self.is_changed = true;
    }

    /// Takes the mark from the selected tile.
    pub(in crate::commands::top) fn look_at_selected(&mut self) {
        if let Some(tile) = self.selected.as_ref().and_then(|id| self.tiles.get_mut(id)) {
            self.is_changed |= tile.alert.take().is_some();
        }
    }

    pub(in crate::commands::top) fn resize(&mut self, room: Size) {
        if room != self.room {
            self.room = room;
            self.scroll();
            self.is_changed = true;
        }
    }

    pub(in crate::commands::top) fn grid(&self) -> Grid {
        Grid::of(self.room, self.shown.len())
    }

    /// Scrolls as little as brings the selected tile to the screen.
    fn scroll(&mut self) {
        let grid = self.grid();
        let row = self.place() / grid.columns;
        let rows = self.shown.len().div_ceil(grid.columns);
        let lowest = row.saturating_sub(grid.rows - 1);
        self.top = self
            .top
            .clamp(lowest, row)
            .min(rows.saturating_sub(grid.rows));
    }

    /// The tiles on the screen, in the order of the grid.
    pub(in crate::commands::top) fn visible(&self) -> &[InstanceId] {
        let grid = self.grid();
        let begin = (self.top * grid.columns).min(self.shown.len());
        let end = (begin + grid.places()).min(self.shown.len());
        &self.shown[begin..end]
    }
}
