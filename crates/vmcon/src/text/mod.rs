//! Text for people: columns, spans of time, colours.

pub(crate) mod age;
pub(crate) mod columns;
pub(crate) mod style;
