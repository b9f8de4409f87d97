//! Tables for a terminal or a pipe.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::style::Style;

/// A cell: its text, and how it looks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>, style: Style) -> Self {
        Self {
            text: text.into(),
            style,
        }
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text.to_string(), Style::Plain)
    }
}

/// Rows with as many cells as there are headings.
#[derive(Debug)]
pub(crate) struct Columns<const N: usize> {
    rows: Vec<[Cell; N]>,
    /// The column that is cut if a line is too wide.
    flexible: usize,
}

/// Between two columns.
const SPACE: usize = 2;
/// The flexible column is not cut below this.
const LEAST: usize = 8;

impl<const N: usize> Columns<N> {
    /// A table with these headings. Column `flexible` gives way if a line is too wide.
    pub(crate) fn new(headings: [&str; N], flexible: usize) -> Self {
        Self {
            rows: vec![headings.map(|heading| Cell::new(heading, Style::Bold))],
            flexible,
        }
    }

    pub(crate) fn row(&mut self, cells: [Cell; N]) {
        self.rows.push(cells);
    }

    /// The table as text, in lines no wider than `width` characters if that is possible.
    pub(crate) fn render(&self, width: Option<usize>, coloured: bool) -> String {
        let mut widths = [0; N];
        for row in &self.rows {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(cell.text.width());
            }
        }
        if let Some(width) = width {
            let total: usize = widths.iter().sum::<usize>() + SPACE * N.saturating_sub(1);
            if let Some(flexible) = widths.get_mut(self.flexible) {
                let least = LEAST.min(*flexible);
                *flexible = flexible
                    .saturating_sub(total.saturating_sub(width))
                    .max(least);
            }
        }
        let mut out = String::new();
        for row in &self.rows {
            let mut line = String::new();
            let mut padding = 0;
            for (cell, width) in row.iter().zip(widths) {
                line.extend(std::iter::repeat_n(' ', padding));
                let text = cut(&cell.text, width);
                padding = width - text.width().min(width) + SPACE;
                let (begin, end) = if coloured && !text.is_empty() {
                    cell.style.codes()
                } else {
                    ("", "")
                };
                line.extend([begin, &text, end]);
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// `text` in at most `width` columns; an ellipsis stands for what was cut.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut used = 1;
    for character in text.chars() {
        used += character.width().unwrap_or(0);
        if used > width {
            break;
        }
        cut.push(character);
    }
    if width > 0 {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_take_two_columns() {
        let mut table = Columns::new(["ID", "WHO", "N"], 1);
        table.row(["vm-1".into(), "田中さん".into(), 1.into()]);
        table.row(["vm-10".into(), "ada".into(), 20.into()]);
        assert_eq!(
            table.render(None, false),
            "ID     WHO       N\nvm-1   田中さん  1\nvm-10  ada       20\n"
        );
    }

    #[test]
    fn the_flexible_column_gives_way() {
        let mut table = Columns::new(["ID", "WHO", "N"], 1);
        table.row(["vm-1".into(), "ada (uid 1000, pid 42)".into(), 1.into()]);
        let text = table.render(Some(20), false);
        assert_eq!(text, "ID    WHO          N\nvm-1  ada (uid 1…  1\n");
        assert!(text.lines().all(|line| line.width() <= 20));
    }

    #[test]
    fn a_wide_character_is_never_halved() {
        assert_eq!(cut("田中さん", 4), "田…");
        assert_eq!(cut("田中さん", 8), "田中さん");
        assert_eq!(cut("ab", 0), "");
    }
}
