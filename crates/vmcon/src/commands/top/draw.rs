//! The screen, drawn from the model.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};
use unicode_width::UnicodeWidthStr;

use super::keys::HELP;
use super::model::{Mode, Model, Order};
use super::palette::Palette;
use super::tile::State;
use super::tile_view;
use crate::text::columns::cut;

/// Between two facts of a line.
const SPACE: &str = "  ";

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, model: &mut Model, palette: Palette) {
    let [header, tiles, footer] = areas(frame.area());
    model.resize(tiles.as_size());
    frame.render_widget(header_line(model, palette), header);
    draw_tiles(frame, model, palette, tiles);
    draw_footer(frame, model, footer);
    if model.mode == Mode::Help {
        draw_help(frame, tiles);
    }
}

/// A line above and one below the tiles, if there is room.
fn areas(area: Rect) -> [Rect; 3] {
    let line = u16::from(area.height >= 4);
    let last = u16::from(area.height >= 2);
    let lengths = [
        Constraint::Length(line),
        Constraint::Fill(1),
        Constraint::Length(last),
    ];
    Layout::vertical(lengths).areas(area)
}

/// What matters most comes first, for narrow screens.
fn header_line(model: &Model, palette: Palette) -> Line<'static> {
    let mut facts = Vec::new();
    let waiting = model.waiting();
    if waiting > 0 {
        let text = format!(" {} ", counted(waiting, "alert"));
        facts.push(Span::styled(text, palette.warning()));
    }
    let all = model.tiles.len();
    facts.push(Span::styled(counted(all, "console"), Palette::heading()));
    if !model.filter.is_empty() {
        let text = format!("{} match {}", model.shown.len(), model.filter);
        facts.push(Span::raw(text));
    }
    let other_order = match model.order {
        Order::Id => None,
        Order::Rate => Some("by rate"),
        Order::Alert => Some("by alert"),
    };
    facts.extend(other_order.map(Span::raw));
    for (state, name) in [
        (State::Running, "running"),
        (State::Stopped, "stopped"),
        (State::Silent, "silent"),
        (State::Gone, "gone"),
    ] {
        let count = model.count(state);
        if count > 0 {
            facts.push(Span::raw(format!("{count} {name}")));
        }
    }
    if model.damaged > 0 {
        let text = format!("{} damaged, see vmcon ls", model.damaged);
        facts.push(Span::styled(text, palette.state(State::Silent)));
    }
    let spaced = facts.into_iter().flat_map(|fact| [fact, Span::raw(SPACE)]);
    Line::from(spaced.collect::<Vec<_>>())
}

fn counted(count: usize, what: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {what}{ending}")
}

fn draw_tiles(frame: &mut Frame<'_>, model: &Model, palette: Palette, area: Rect) {
    if model.shown.is_empty() {
        let text = if model.tiles.is_empty() {
            "No console is here yet."
        } else {
            "No console matches; Esc shows all."
        };
        return frame.render_widget(Line::styled(text, Palette::dim()), area);
    }
    let places = model.grid().split(area);
    for (id, place) in model.visible().iter().zip(places) {
        if let Some(tile) = model.tiles.get(id) {
            let is_selected = model.selected.as_ref() == Some(id);
            tile_view::draw(frame, tile, is_selected, palette, place);
        }
    }
}

fn draw_footer(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let width = usize::from(area.width);
    if model.mode == Mode::Filter {
        let prompt = format!("/{}", model.filter);
        // Its end is where the cursor is.
        let skipped = prompt.width().saturating_sub(width.saturating_sub(1));
        let mut left = skipped;
        let visible: String = prompt
            .chars()
            .skip_while(|character| {
                let is_skipped = left > 0;
                left = left.saturating_sub(character.to_string().width());
                is_skipped
            })
            .collect();
        let column = visible.width().min(width.saturating_sub(1));
        frame.set_cursor_position((area.x + column as u16, area.y));
        return frame.render_widget(Line::raw(visible), area);
    }
    let count = model.shown.len();
    let visible = model.visible();
    let first = visible.first();
    let first = first.and_then(|id| model.shown.iter().position(|shown| shown == id));
    let place = match first {
        Some(first) if visible.len() < count => {
            format!("{}-{} of {count}", first + 1, first + visible.len())
        }
        _ => String::new(),
    };
    let keys = "Enter attach  / filter  n next alert  o order  ? help  q quit";
    let (text, style) = match &model.message {
        Some(message) => (message.as_str(), Palette::heading()),
        None => (keys, Palette::dim()),
    };
    let room = width.saturating_sub(place.width() + SPACE.len());
    frame.render_widget(Line::styled(cut(text, room), style), area);
    frame.render_widget(Line::styled(place, Palette::dim()).right_aligned(), area);
}

fn draw_help(frame: &mut Frame<'_>, area: Rect) {
    let lines = HELP.map(|(keys, what)| {
        Line::from(vec![
            Span::styled(format!("{keys:>12}"), Palette::heading()),
            Span::raw(format!("{SPACE}{what} ")),
        ])
    });
    let width = lines.iter().map(Line::width).max().unwrap_or(0) as u16 + 2;
    let [area] = Layout::horizontal([Constraint::Max(width)])
        .flex(ratatui::layout::Flex::Center)
        .areas(area);
    let [area] = Layout::vertical([Constraint::Max(lines.len() as u16 + 2)])
        .flex(ratatui::layout::Flex::Center)
        .areas(area);
    let block = Block::bordered().title(" Keys ");
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines.to_vec()).block(block), area);
}
