//! Colours, where people can see them and want them.

use std::io::IsTerminal;

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Colour {
    /// At a terminal, unless NO_COLOR is set or TERM is dumb.
    #[default]
    Auto,
    /// Even into a pipe.
    Always,
    /// Not at all.
    Never,
}

impl Colour {
    /// Whether to colour what goes to `stream`.
    pub(crate) fn applies_to(self, stream: &impl IsTerminal) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
                stream.is_terminal()
                    && !is_set("NO_COLOR")
                    && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
            }
        }
    }
}

/// How a text is to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Style {
    /// As it is.
    #[default]
    Plain,
    /// A heading.
    Bold,
    /// Of less interest.
    Dim,
    /// As it should be.
    Green,
    /// Worth a look.
    Yellow,
    /// Wrong.
    Red,
}

impl Style {
    /// What begins and what ends it in a terminal.
    pub(crate) fn codes(self) -> (&'static str, &'static str) {
        const END: &str = "\x1b[0m";
        match self {
            Self::Plain => ("", ""),
            Self::Bold => ("\x1b[1m", END),
            Self::Dim => ("\x1b[2m", END),
            Self::Green => ("\x1b[32m", END),
            Self::Yellow => ("\x1b[33m", END),
            Self::Red => ("\x1b[31m", END),
        }
    }
}
