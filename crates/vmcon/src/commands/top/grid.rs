//! How tiles share the screen.

use ratatui::layout::{Rect, Size};

/// A tile is at least so wide and high, if the screen is.
const LEAST: Size = Size {
    width: 38,
    height: 6,
};
/// What a guest thinks that its terminal has. A tile that has it needs no more.
const FULL: Size = Size {
    width: 82,
    height: 26,
};

/// So many tiles beside and below each other on one screen; both at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

impl Grid {
    /// The grid in which `count` tiles are largest, or in which the most of them have a place.
    pub(super) fn of(area: Size, count: usize) -> Self {
        let columns = usize::from(area.width / LEAST.width).max(1);
        let rows = usize::from(area.height / LEAST.height).max(1);
        let fitting = (1..=columns).filter_map(|columns| {
            let needed = count.div_ceil(columns).max(1);
            (needed <= rows).then_some(Self {
                columns,
                rows: needed,
            })
        });
        // Of grids that are as good, the one with more columns: reading goes from left to right.
        let best = fitting.max_by_key(|grid| (grid.least_share(area), grid.columns));
        best.unwrap_or(Self { columns, rows })
    }

    /// How much a tile has of a full terminal's width or height, whichever it lacks more: in
    /// thousandths.
    fn least_share(self, area: Size) -> usize {
        let width = usize::from(area.width) * 1000 / self.columns / usize::from(FULL.width);
        let height = usize::from(area.height) * 1000 / self.rows / usize::from(FULL.height);
        width.min(height).min(1000)
    }

    pub(super) fn places(self) -> usize {
        self.columns * self.rows
    }

    /// The place of each tile, row by row. They fill the area.
    pub(super) fn split(self, area: Rect) -> impl Iterator<Item = Rect> {
        let cut = |length: u16, parts: usize, at: usize| (usize::from(length) * at / parts) as u16;
        (0..self.places()).map(move |place| {
            let (row, column) = (place / self.columns, place % self.columns);
            let (left, right) = (
                cut(area.width, self.columns, column),
                cut(area.width, self.columns, column + 1),
            );
            let (top, bottom) = (
                cut(area.height, self.rows, row),
                cut(area.height, self.rows, row + 1),
            );
            Rect::new(area.x + left, area.y + top, right - left, bottom - top)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grid(width: u16, height: u16, count: usize) -> (usize, usize) {
        let grid = Grid::of(Size { width, height }, count);
        (grid.columns, grid.rows)
    }

    #[test]
    fn few_tiles_are_large_and_many_are_small() {
        assert_eq!(grid(80, 22, 1), (1, 1));
        assert_eq!(grid(80, 22, 2), (2, 1));
        assert_eq!(grid(80, 22, 4), (2, 2));
        assert_eq!(grid(80, 22, 500), (2, 3));
        assert_eq!(grid(200, 50, 500), (5, 8));
        assert_eq!(grid(20, 3, 500), (1, 1));
        assert_eq!(grid(0, 0, 0), (1, 1));
    }

    proptest! {
        #[test]
        fn tiles_fill_the_area_once(width in 0_u16..300, height in 0_u16..100, count in 0_usize..600) {
            let area = Rect::new(0, 1, width, height);
            let grid = Grid::of(area.as_size(), count);
            let places: Vec<_> = grid.split(area).collect();
            prop_assert_eq!(places.iter().map(|place| place.area()).sum::<u32>(), area.area());
            prop_assert!(places.iter().all(|place| area.intersection(*place) == *place));
        }
    }
}
