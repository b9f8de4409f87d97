//! One tile: a frame that tells how the console stands, and its last lines in it.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Paragraph};
use unicode_width::UnicodeWidthStr;

use vm_console::printable;

use super::palette::Palette;
use super::tile::{Answer, State, Tile};
use crate::text::columns::cut;

/// Longest name of a machine, in bytes.
const NAME: usize = 128;

pub(super) fn draw(
    frame: &mut Frame<'_>,
    tile: &Tile,
    is_selected: bool,
    palette: Palette,
    area: Rect,
) {
    let state = tile.state();
    let border = match (&tile.alert, is_selected) {
        (Some(_), _) => palette.alert(),
        (None, true) => palette.selected(),
        (None, false) => Palette::dim(),
    };
    let kind = if is_selected {
        BorderType::Thick
    } else {
        BorderType::Plain
    };
    let top = edge(&name(tile, palette, border), &rate(tile), area.width);
    let bottom = edge(&standing(tile, palette), &boot(tile), area.width);
    let block = Block::bordered()
        .border_type(kind)
        .border_style(border)
        .title_top(top.0)
        .title_top(top.1.right_aligned())
        .title_bottom(bottom.0)
        .title_bottom(bottom.1.right_aligned());
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let base = match state {
        State::Gone => Palette::dim(),
        _ => Style::new(),
    };
    frame.render_widget(
        Paragraph::new(body(tile, palette, inner)).style(base),
        inner,
    );
}

/// Two texts on one edge of the frame, the left one cut if they are too long.
fn edge(left: &Span<'_>, right: &str, width: u16) -> (Line<'static>, Line<'static>) {
    // The corners, a space on each side of a text, and a piece of the edge between them.
    let room = usize::from(width).saturating_sub(2);
    let right = if right.width() + 2 <= room / 2 {
        right
    } else {
        ""
    };
    let taken = if right.is_empty() {
        0
    } else {
        right.width() + 3
    };
    let text = cut(&left.content, room.saturating_sub(taken + 2));
    (padded(&text, left.style), padded(right, Style::new()))
}

fn padded(text: &str, style: Style) -> Line<'static> {
    if text.is_empty() {
        return Line::default();
    }
    Line::from(Span::styled(format!(" {text} "), style))
}

fn name(tile: &Tile, palette: Palette, border: Style) -> Span<'static> {
    let mut text = tile.id.to_string();
    if let Some(name) = &tile.entry.name
        && name != tile.id.as_str()
    {
        text = format!("{text}  {}", printable(name, NAME));
    }
    match (&tile.alert, tile.state()) {
        (Some(_), _) => Span::styled(format!("! {text}"), palette.alert()),
        (None, State::Gone) => Span::styled(text, Palette::dim()),
        (None, _) => Span::styled(text, border.patch(Palette::heading())),
    }
}

fn rate(tile: &Tile) -> String {
    if tile.output.rate.is_quiet() {
        return String::new();
    }
    format!("{}/s", tile.output.rate)
}

fn boot(tile: &Tile) -> String {
    match tile.epoch() {
        Some(epoch @ 2..) => format!("boot {epoch}"),
        _ => String::new(),
    }
}

/// The alert, or what is not as usual, or who holds it.
fn standing(tile: &Tile, palette: Palette) -> Span<'static> {
    let state = tile.state();
    if let Some(alert) = &tile.alert {
        return Span::styled(alert.line.clone(), palette.alert());
    }
    let text = match (&tile.answer, state) {
        (Some(Answer::Silent(why)), State::Silent) => why.clone(),
        (_, State::Gone) => "gone".to_owned(),
        (_, State::Stopped) => "stopped".to_owned(),
        _ => {
            let holder = tile.seen().and_then(|seen| seen.holder.clone());
            return Span::styled(holder.unwrap_or_default(), palette.holder());
        }
    };
    Span::styled(text, palette.state(state))
}

/// The last lines that have room.
fn body(tile: &Tile, palette: Palette, area: Rect) -> Vec<Line<'static>> {
    let width = usize::from(area.width);
    let lines = &tile.output.lines;
    if lines.is_empty() {
        let text = match &tile.output.trouble {
            Some(trouble) => trouble.as_str(),
            None if tile.output.head == Some(0) => "no output yet",
            None if tile.output.head.is_none() && tile.state() == State::Gone => "left no log",
            None => "",
        };
        return vec![Line::styled(cut(text, width), Palette::dim())];
    }
    let first = lines.len().saturating_sub(usize::from(area.height));
    let styled = |line: &super::tile::Line| {
        let style = if line.is_marked {
            palette.alert()
        } else {
            Style::new()
        };
        Line::styled(cut(&line.text, width), style)
    };
    lines[first..].iter().map(styled).collect()
}
