//! Where in a sequence the guard is.

use super::utf8::Utf8;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Ground,
    /// After `C2`, which may begin an 8-bit control or a letter.
    C2,
    /// After ESC, intermediate bytes included.
    Escape,
    Csi,
    String(Reading),
    /// In a string that carries more than is held. It is taken out as it comes.
    Payload {
        escape: bool,
    },
}

/// How far a string has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) utf8: Utf8,
    /// The last byte was an ESC, which may begin the end. It is not held.
    pub(super) escape: bool,
    /// A byte was seen that payload does not contain.
    pub(super) is_text: bool,
}
