//! A screen without a terminal.

use std::time::{Duration, Instant};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use vm_console::instance::InstanceId;

use crate::commands::top::alerts::{Alerts, DEFAULT};
use crate::commands::top::draw::draw;
use crate::commands::top::keys::{Action, press};
use crate::commands::top::model::{Model, Newest};
use crate::commands::top::palette::Palette;
use crate::commands::top::tile::{Answer, Entry, Seen};

/// A screen, and the model behind it.
pub(super) struct Stage {
    pub(super) model: Model,
    pub(super) terminal: Terminal<TestBackend>,
    now: Instant,
    pub(super) palette: Palette,
}

impl Stage {
    pub(super) fn new(width: u16, height: u16) -> Self {
        let alerts = Alerts::new(DEFAULT).unwrap();
        Self {
            model: Model::new(alerts, String::new()),
            terminal: Terminal::new(TestBackend::new(width, height)).unwrap(),
            now: Instant::now(),
            palette: Palette { is_coloured: true },
        }
    }

    /// With so many live consoles: vm-1 and so on.
    pub(super) fn of(width: u16, height: u16, count: usize) -> Self {
        let mut stage = Self::new(width, height);
        stage.list(count);
        stage.draw();
        stage
    }

    pub(super) fn list(&mut self, count: usize) {
        let entry = |number| (id(number), live());
        self.model.list((1..=count).map(entry).collect(), 0);
    }

    /// Console `number` has printed all of `output` by now.
    pub(super) fn look(&mut self, number: usize, output: &str) {
        self.now += Duration::from_millis(200);
        let id = id(number);
        let is_visible = self.model.visible().contains(&id);
        let bytes = output.as_bytes().to_vec();
        let end = bytes.len() as u64;
        let newest = || {
            Some(Newest {
                bytes,
                end,
                epoch: 1,
            })
        };
        self.model.look(&id, end, is_visible, self.now, newest);
    }

    pub(super) fn answer(&mut self, number: usize, seen: Seen) {
        self.model.answered(&id(number), 1, Answer::Status(seen));
    }

    pub(super) fn press(&mut self, keys: &str) -> Option<Action> {
        let mut action = None;
        for key in keys.chars() {
            let key = match key {
                '\r' => KeyCode::Enter,
                '\x1b' => KeyCode::Esc,
                '\x7f' => KeyCode::Backspace,
                key => KeyCode::Char(key),
            };
            action = press(&mut self.model, KeyEvent::new(key, KeyModifiers::NONE));
        }
        action
    }

    pub(super) fn draw(&mut self) -> String {
        let (model, palette) = (&mut self.model, self.palette);
        self.terminal
            .draw(|frame| draw(frame, model, palette))
            .unwrap();
        text(self.terminal.backend().buffer())
    }

    pub(super) fn selected(&self) -> String {
        self.model.selected.as_ref().unwrap().to_string()
    }
}

pub(super) fn id(number: usize) -> InstanceId {
    format!("vm-{number}").parse().unwrap()
}

pub(super) fn live() -> Entry {
    Entry {
        is_live: true,
        incarnation: 1,
        ..Entry::default()
    }
}

pub(super) fn running() -> Seen {
    Seen {
        powered: true,
        epoch: 1,
        ..Seen::default()
    }
}

/// The characters of a screen. A wide one is followed by a space.
pub(super) fn text(buffer: &Buffer) -> String {
    let mut text = String::new();
    for line in buffer.content.chunks(usize::from(buffer.area.width)) {
        text.extend(line.iter().map(ratatui::buffer::Cell::symbol));
        text.push('\n');
    }
    text
}
