//! How things look, with colours and without.

use ratatui::style::{Color, Modifier, Style};

use super::tile::State;

/// Without colours, only weight and brightness tell things apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Palette {
    pub(super) is_coloured: bool,
}

impl Palette {
    fn colour(self, colour: Color) -> Style {
        if self.is_coloured {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    }

    pub(super) fn heading() -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) fn dim() -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// What must not be overlooked.
    pub(super) fn warning(self) -> Style {
        self.colour(Color::Red)
            .add_modifier(Modifier::BOLD | Modifier::REVERSED)
    }

    /// What has an alert, and the lines that caused it.
    pub(super) fn alert(self) -> Style {
        self.colour(Color::Red).add_modifier(Modifier::BOLD)
    }

    pub(super) fn selected(self) -> Style {
        self.colour(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    pub(super) fn holder(self) -> Style {
        self.colour(Color::Green)
    }

    pub(super) fn state(self, state: State) -> Style {
        match state {
            State::Unknown | State::Running => Style::new(),
            State::Stopped | State::Silent => self.colour(Color::Yellow),
            State::Gone => Self::dim(),
        }
    }
}
