//! What keys do.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use vm_console::instance::InstanceId;

use super::model::{Mode, Model, Order};

/// What the program is to do beside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Quit,
    Attach(InstanceId),
    /// Stop, as a job of a shell.
    Suspend,
    /// Draw all of the screen again.
    Redraw,
}

/// The keys, and what they do, as the help shows them.
pub(super) const HELP: [(&str, &str); 10] = [
    ("arrows hjkl", "move; also PgUp PgDn Home End"),
    ("Enter", "attach to the console, and come back"),
    ("/", "show those only whose id or name matches"),
    ("Esc", "show all again"),
    ("n", "go to the next console with an alert"),
    ("c, C", "clear the alert of this console, of all"),
    ("o", "order by id, by output rate, by alert"),
    ("^L, ^Z", "draw again, stop"),
    ("?", "this help"),
    ("q", "quit"),
];

/// Carries out what a key means.
pub(super) fn press(model: &mut Model, key: KeyEvent) -> Option<Action> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    model.change();
    model.message = None;
    if key.modifiers.contains(KeyModifiers::ALT) {
        // Escape, and at once another key.
        press(model, KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE));
        let rest = key.modifiers - KeyModifiers::ALT;
        return press(model, KeyEvent::new(key.code, rest));
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        match key.code {
            KeyCode::Char('c' | '\\' | '4') => return Some(Action::Quit),
            KeyCode::Char('z') => return Some(Action::Suspend),
            KeyCode::Char('l') => return Some(Action::Redraw),
            _ => {}
        }
    }
    match model.mode {
        Mode::Help => {
            model.mode = Mode::Tiles;
            None
        }
        Mode::Filter => {
            edit(model, key);
            None
        }
        Mode::Tiles => command(model, key.code),
    }
}

/// A key while the filter is typed.
fn edit(model: &mut Model, key: KeyEvent) {
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Enter => model.mode = Mode::Tiles,
        KeyCode::Esc => {
            model.mode = Mode::Tiles;
            model.filter.clear();
        }
        KeyCode::Backspace if model.filter.pop().is_none() => model.mode = Mode::Tiles,
        KeyCode::Char('u' | 'w') if is_control => model.filter.clear(),
        KeyCode::Char('h') if is_control => {
            model.filter.pop();
        }
        KeyCode::Char(character) if !is_control && !character.is_control() => {
            model.filter.push(character);
        }
        _ => {}
    }
    model.arrange();
}

fn command(model: &mut Model, key: KeyCode) -> Option<Action> {
    let place = model.place();
    let grid = model.grid();
    match key {
        KeyCode::Char('q') => return Some(Action::Quit),
        KeyCode::Enter => {
            model.look_at_selected();
            return model.selected.clone().map(Action::Attach);
        }
        KeyCode::Left | KeyCode::Char('h') => model.select(place.saturating_sub(1)),
        KeyCode::Right | KeyCode::Char('l') => model.select(place + 1),
        KeyCode::Up | KeyCode::Char('k') if place >= grid.columns => {
            model.select(place - grid.columns);
        }
        KeyCode::Down | KeyCode::Char('j') if can_go_down(model) => {
            model.select(place + grid.columns);
        }
        KeyCode::PageUp => model.select(place.saturating_sub(grid.places())),
        KeyCode::PageDown => model.select(place + grid.places()),
        KeyCode::Home | KeyCode::Char('g') => model.select(0),
        KeyCode::End | KeyCode::Char('G') => model.select(usize::MAX),
        KeyCode::Char('n') => next_alert(model),
        KeyCode::Char('c') => model.look_at_selected(),
        KeyCode::Char('C') => {
            for tile in model.tiles.values_mut() {
                tile.alert = None;
            }
        }
        KeyCode::Char('o') => {
            model.order = match model.order {
                Order::Id => Order::Rate,
                Order::Rate => Order::Alert,
                Order::Alert => Order::Id,
            };
            model.arrange();
        }
        KeyCode::Char('/') => model.mode = Mode::Filter,
        KeyCode::Char('?') => model.mode = Mode::Help,
        KeyCode::Esc => {
            model.filter.clear();
            model.arrange();
        }
        _ => {}
    }
    None
}

/// Whether there is a row below, which may be shorter.
fn can_go_down(model: &Model) -> bool {
    let columns = model.grid().columns;
    model.place() / columns < model.shown.len().saturating_sub(1) / columns
}

/// Goes to the next tile with an alert, from the end on to the first.
fn next_alert(model: &mut Model) {
    let place = model.place();
    let count = model.shown.len();
    let is_marked = |place: &usize| {
        let tile = model.shown.get(*place).and_then(|id| model.tiles.get(id));
        tile.is_some_and(|tile| tile.alert.is_some())
    };
    let next = (1..count)
        .map(|step| (place + step) % count)
        .find(is_marked);
    if let Some(next) = next {
        return model.select(next);
    }
    let hidden = model.waiting() - usize::from(count > 0 && is_marked(&place));
    model.message = Some(match hidden {
        0 => "no other alert".to_owned(),
        hidden => format!("alerts that the filter hides: {hidden}"),
    });
}
